//! Other models in the place of those that serve.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use reqwest::blocking::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{
    PATIENT, Server, change_manifest, client_that_waits, eventually, linked_models, replace, variants,
};

/// No answer is remembered, so that every one is the models' own.
const NO_CACHE: [&str; 2] = ["--cache-mb", "0"];

struct Shop {
    models: TempDir,
    _data: TempDir,
    server: Server,
    client: Client,
}

impl Shop {
    fn open() -> Self {
        let (models, data) = (linked_models(), TempDir::new().unwrap());
        let server = Server::start_over(models.path(), data.path(), &[&PATIENT[..], &NO_CACHE].concat());
        Self { models, _data: data, server, client: client() }
    }

    fn confidence(&self) -> f64 {
        confidence(&self.client, &self.server)
    }

    fn reload(&self) -> (u16, Value) {
        let response = self.client.post(url(&self.server, "/v1/admin/reload")).send().unwrap();
        (response.status().as_u16(), response.json().unwrap())
    }
}

/// Models spoiled in this way are refused for this reason, and nothing has changed.
#[track_caller]
fn assert_refused(spoil: impl FnOnce(&Path), reason: &[&str]) {
    let shop = Shop::open();
    let before = shop.confidence();
    spoil(shop.models.path());
    let (status, problem) = shop.reload();
    assert_eq!(status, 409, "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    reason.iter().for_each(|part| assert!(detail.contains(part), "{detail}"));
    assert_eq!(shop.confidence(), before);
    assert_eq!(shop.client.get(url(&shop.server, "/health/ready")).send().unwrap().status(), 200);
}

fn client() -> Client {
    client_that_waits(Duration::from_secs(120))
}

fn url(server: &Server, route: &str) -> String {
    format!("http://{}{route}", server.address)
}

fn confidence(client: &Client, server: &Server) -> f64 {
    let listing = json!({"title": "Raleigh road bike"});
    let response = client.post(url(server, "/v1/predict-category")).json(&listing).send().unwrap();
    assert_eq!(response.status(), 200);
    response.json::<Value>().unwrap()["confidence"].as_f64().unwrap()
}

/// Every text model's temperature: a hotter one is less sure of the same answer.
fn make_hotter(manifest: &mut Value) {
    variants(manifest, "text").iter_mut().for_each(|variant| variant["temperature"] = json!(10.0));
}

#[test]
fn models_reloaded_under_load_answer_every_request_as_the_old_or_as_the_new_ones() {
    let shop = Shop::open();
    let before = shop.confidence();
    let (begun, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let answers: Vec<Vec<f64>> = thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let client = client();
                    let mut answers = vec![confidence(&client, &shop.server)];
                    begun.fetch_add(1, Ordering::Relaxed);
                    while !done.load(Ordering::Relaxed) {
                        answers.push(confidence(&client, &shop.server));
                    }
                    // The one before may have been asked of the old models.
                    answers.push(confidence(&client, &shop.server));
                    answers
                })
            })
            .collect();
        eventually(Duration::from_secs(120), "every client has an answer", || {
            begun.load(Ordering::Relaxed) == 4
        });
        change_manifest(shop.models.path(), make_hotter);
        let (status, reloaded) = shop.reload();
        assert_eq!(status, 200, "{reloaded}");
        assert_eq!(reloaded["models"].as_array().unwrap().len(), 3);
        thread::sleep(Duration::from_millis(200));
        done.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let after = shop.confidence();
    assert!(after < before / 2.0, "{before} {after}");
    for answers in answers {
        assert_eq!((answers.first(), answers.last()), (Some(&before), Some(&after)));
        assert!(answers.iter().all(|answer| [before, after].contains(answer)), "{answers:?}");
        assert!(
            answers.is_sorted_by(|a, b| a >= b),
            "the old models answered after the new ones: {answers:?}"
        );
    }
}

#[test]
fn a_hangup_reads_the_models_anew() {
    let shop = Shop::open();
    let before = shop.confidence();
    change_manifest(shop.models.path(), make_hotter);
    shop.server.signal("HUP");
    eventually(Duration::from_secs(120), "the new models answer", || shop.confidence() != before);
}

#[test]
fn models_that_fail_their_self_test_do_not_take_the_place_of_those_that_pass() {
    let turn_logits = |manifest: &mut Value| {
        make_hotter(manifest);
        for variant in variants(manifest, "image") {
            variant["self_test_logits"].as_array_mut().unwrap().rotate_right(1);
        }
    };
    assert_refused(|models| change_manifest(models, turn_logits), &["image", "self-test"]);
}

#[test]
fn models_whose_files_are_torn_do_not_take_the_place_of_whole_ones() {
    let tear = |models: &Path| {
        let whole = std::fs::read(models.join("text.int8.onnx")).unwrap();
        replace(models, "text.int8.onnx", &whole[..whole.len() / 2]);
    };
    assert_refused(tear, &["text.int8.onnx", "altered"]);
}

#[test]
fn models_of_another_embedding_space_are_refused_by_name() {
    let rename = |manifest: &mut Value| {
        make_hotter(manifest);
        manifest["version"] = json!("another-space");
    };
    assert_refused(|models| change_manifest(models, rename), &["another-space", "reindex"]);
}
