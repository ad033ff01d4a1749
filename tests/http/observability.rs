//! What the server tells of itself.

use serde_json::json;

use crate::server::{client, post_json, url};

fn metrics() -> String {
    let answer = client().get(url("/metrics")).send().unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    answer.text().unwrap()
}

/// Value of the series with this name and these labels; 0 where there is none yet.
fn value(metrics: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let has = |line: &str| labels.iter().all(|(key, value)| line.contains(&format!("{key}=\"{value}\"")));
    let line = metrics
        .lines()
        .find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])) && has(line));
    line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

#[test]
fn a_request_is_counted_under_its_route_and_status() {
    let labels = [("route", "/v1/products/{id}"), ("method", "GET"), ("status", "404")];
    let count = |metrics: &str| value(metrics, "marketrank_http_requests_total", &labels);
    let before = count(&metrics());
    client().get(url("/v1/products/no-such-product-is-counted")).send().unwrap();
    assert!(count(&metrics()) >= before + 1.0);
}

#[test]
fn paths_and_methods_that_nobody_serves_are_one_series() {
    let method = reqwest::Method::from_bytes(b"ONLYTHISTEST").unwrap();
    client().request(method, url("/a-path-that-only-this-test-asks-for")).send().unwrap();
    let metrics = metrics();
    assert!(!metrics.contains("a-path-that-only-this-test-asks-for") && !metrics.contains("ONLYTHISTEST"));
    assert!(
        value(&metrics, "marketrank_http_requests_total", &[("route", "unmatched"), ("method", "other")])
            >= 1.0
    );
}

#[test]
fn a_prediction_that_was_made_before_comes_from_the_cache() {
    let hits = || value(&metrics(), "marketrank_cache_requests_total", &[("outcome", "hit")]);
    let listing = json!({"title": "a garden gnome that is asked for ten times"});
    let (_, first) = post_json("/v1/predict-category", &listing);
    let before = hits();
    for _ in 0..9 {
        assert_eq!(post_json("/v1/predict-category", &listing), (200, first.clone()));
    }
    assert!(hits() >= before + 9.0);
}

#[test]
fn predictions_are_counted_by_category_and_confidence() {
    let (status, answer) = post_json("/v1/predict-category", &json!({"title": "a pair of running shoes"}));
    assert_eq!(status, 200);
    let metrics = metrics();
    let labels = [("model", "text"), ("category", answer["category"].as_str().unwrap())];
    assert!(value(&metrics, "marketrank_predictions_total", &labels) >= 1.0);
    assert!(value(&metrics, "marketrank_confidence_count", &[("model", "text")]) >= 1.0);
    assert!(value(&metrics, "marketrank_process_resident_bytes", &[]) > 1e6);
}

#[test]
fn every_metric_has_a_type_and_a_description() {
    post_json("/v1/predict-category", &json!({"title": "a lamp"}));
    let metrics = metrics();
    let names = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    for name in names {
        assert!(name.starts_with("marketrank_"), "{name}");
        assert!(metrics.contains(&format!("# HELP {name} ")), "{name} is not described");
    }
}
