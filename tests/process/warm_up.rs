//! What a server does before it is ready.

use reqwest::blocking::{Client, get};
use serde_json::json;
use tempfile::TempDir;

use crate::program::Server;

#[test]
fn metrics_count_what_clients_ask_and_not_what_the_server_asked_itself() {
    let data = TempDir::new().unwrap();
    let server = Server::start(data.path());
    let url = format!("http://{}", server.address);
    let metrics = || get(format!("{url}/metrics")).unwrap().text().unwrap();
    let before = metrics();
    assert!(!before.contains("marketrank_batch_size_count"), "{before}");
    assert!(!before.contains("marketrank_decode_seconds_count"), "{before}");
    let asked = Client::new().post(format!("{url}/v1/predict-category")).json(&json!({"title": "Road bike"}));
    assert_eq!(asked.send().unwrap().status(), 200);
    let after = metrics();
    assert!(after.contains("marketrank_batch_size_count{model=\"text\"} 1\n"), "{after}");
}
