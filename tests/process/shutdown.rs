//! Stopping: requests in flight are answered, and what was acknowledged is there afterwards.

use std::{thread, time::Duration};

use reqwest::blocking::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::Server;

#[test]
fn sigterm_answers_what_is_in_flight_and_loses_nothing() {
    let data = TempDir::new().unwrap();
    // However long that takes on a busy machine.
    let patient = ["--timeout-ms", "120000", "--shutdown-grace", "120"];
    let server = Server::start_with(data.path(), &patient);
    let base = format!("http://{}", server.address);
    // Enough that the models are busy with it when the signal comes.
    let long = "A well kept item from a smoke and pet free home. ".repeat(30);
    let clients: Vec<_> = (0..8)
        .map(|number| {
            let (base, long) = (base.clone(), long.clone());
            thread::spawn(move || {
                let products: Vec<Value> = (0..16)
                    .map(|i| json!({"id": format!("p-{number}-{i}"), "title": "Sofa", "description": long}))
                    .collect();
                let client = Client::builder().no_proxy().timeout(Duration::from_secs(240)).build().unwrap();
                let response = client.post(format!("{base}/v1/products")).json(&products).send().unwrap();
                assert_eq!(response.status(), 200);
                response.json::<Value>().unwrap()["stored"].as_u64().unwrap()
            })
        })
        .collect();
    thread::sleep(Duration::from_millis(150));
    server.terminate();
    let stored: u64 = clients.into_iter().map(|client| client.join().unwrap()).sum();
    assert_eq!(stored, 8 * 16);
    assert!(server.wait().success());

    let again = Server::start(data.path());
    let ready: Value =
        reqwest::blocking::get(format!("http://{}/health/ready", again.address)).unwrap().json().unwrap();
    assert_eq!(ready["products"], stored);
}
