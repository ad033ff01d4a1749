//! Probes, request ids and the documentation page.

use serde_json::Value;

use crate::server::{client, get, repository, url};

#[test]
fn readiness_names_the_models() {
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(repository("models/manifest.json")).unwrap()).unwrap();
    let (status, body) = get("/health/ready");
    assert_eq!(status, 200);
    assert_eq!(body["model_version"], manifest["version"]);
    assert_eq!(get("/health/live").0, 200);
}

#[test]
fn a_request_keeps_the_id_it_came_with() {
    let response = client().get(url("/nowhere")).header("x-request-id", "mine-42").send().unwrap();
    assert_eq!(response.headers()["x-request-id"], "mine-42");
    assert_eq!(response.json::<Value>().unwrap()["request_id"], "mine-42");
}

#[test]
fn the_documentation_is_a_page_that_reads_the_spec() {
    let page = client().get(url("/docs/")).send().unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().unwrap().contains("swagger-ui"));
    let initializer = client().get(url("/docs/swagger-initializer.js")).send().unwrap().text().unwrap();
    assert!(initializer.contains("/openapi.json"), "{initializer}");
}
