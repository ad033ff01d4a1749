//! The committed OpenAPI document.

use serde_json::Value;

use crate::server::{get, repository};

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let committed = std::fs::read(repository("openapi/openapi.json")).unwrap();
    let committed: Value = serde_json::from_slice(&committed).unwrap();
    assert!(get("/openapi.json").1 == committed, "openapi/openapi.json is out of date: run `make openapi`");
}
