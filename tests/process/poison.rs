//! An input on which ONNX Runtime itself fails.

use std::{fs, thread};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::program::{PATIENT, Server, change_manifest, client, linked_models, replace};

/// A word whose token the models' tables do not reach.
const POISON: &str = "xylophone";

/// The repository's models with a tokenizer that gives [`POISON`] a number far behind the last row of the models' tables: no
/// check of the server's own stands between that number and ONNX Runtime.
fn poisonable_models() -> TempDir {
    let models = linked_models();
    let file = fs::read(models.path().join("tokenizer.json")).unwrap();
    let mut tokenizer: Value = serde_json::from_slice(&file).unwrap();
    tokenizer["model"]["vocab"][POISON] = json!(1_000_000);
    let tokenizer = tokenizer.to_string();
    change_manifest(models.path(), |manifest| {
        manifest["tokenizer"]["sha256"] = json!(format!("{:x}", Sha256::digest(&tokenizer)));
    });
    replace(models.path(), "tokenizer.json", tokenizer.as_bytes());
    models
}

/// Asks about listings with these titles at once, in the order given.
fn ask_at_once(server: &Server, titles: &[&str]) -> Vec<(u16, Option<String>, Value)> {
    let url = format!("http://{}/v1/predict-category", server.address);
    thread::scope(|scope| {
        let asked: Vec<_> = titles
            .iter()
            .map(|title| {
                let url = &url;
                scope.spawn(move || {
                    let client = client();
                    let response = client.post(url).json(&json!({"title": title})).send().unwrap();
                    let id = response.headers().get("x-request-id").map(|id| id.to_str().unwrap().to_owned());
                    (response.status().as_u16(), id, response.json().unwrap())
                })
            })
            .collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    })
}

#[test]
fn an_input_that_onnx_runtime_fails_on_gets_500_and_the_rest_of_its_batch_is_answered() {
    let (models, data) = (poisonable_models(), TempDir::new().unwrap());
    // One worker that waits until four requests have come: they are one batch.
    let one_batch = ["--workers", "1", "--max-batch", "4", "--batch-wait-us", "1000000"];
    let flags = [&PATIENT[..], &one_batch].concat();
    let server = Server::start_over(models.path(), data.path(), &flags);
    let mut answers =
        ask_at_once(&server, &["Raleigh road bike", "Three seater sofa", "A xylophone", "Washing machine"]);
    let (status, id, problem) = answers.remove(2);
    assert_eq!((status, problem["code"].as_str()), (500, Some("internal")), "{problem}");
    assert!(id.is_some() && problem["request_id"].as_str() == id.as_deref(), "{problem}");
    let categories = ["Sports, Leisure & Travel", "Home & Garden", "Appliances"];
    for ((status, _, answer), category) in answers.into_iter().zip(categories) {
        assert_eq!((status, answer["category"].as_str()), (200, Some(category)), "{answer}");
    }
    // The worker that met it goes on.
    assert_eq!(ask_at_once(&server, &["Oak dining table"])[0].0, 200);
}
