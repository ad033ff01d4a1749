//! More requests than the models can answer.

use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Server, client};

/// Sends this many different listings at once and gives each answer's status, `retry-after` and body.
fn burst(server: &Server, requests: usize) -> Vec<(u16, Option<u64>, Value)> {
    let url = format!("http://{}/v1/predict-category", server.address);
    let clients: Vec<_> = (0..requests)
        .map(|number| {
            let url = url.clone();
            thread::spawn(move || {
                let client = client();
                let description = format!("{number} gears, a 56 cm frame, new tyres and brakes. ").repeat(40);
                let listing = json!({"title": "Road bike", "description": description});
                let response = client.post(url).json(&listing).send().unwrap();
                let retry = response.headers().get("retry-after");
                let retry = retry.map(|value| value.to_str().unwrap().parse().unwrap());
                (response.status().as_u16(), retry, response.json().unwrap())
            })
        })
        .collect();
    clients.into_iter().map(|client| client.join().unwrap()).collect()
}

#[test]
fn what_does_not_fit_is_refused_at_once_and_the_rest_is_answered() {
    let data = TempDir::new().unwrap();
    let server = Server::start_with(data.path(), &["--queue", "2"]);
    let answers = burst(&server, 32);
    let (served, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.0 == 200);
    assert!(!served.is_empty() && !refused.is_empty(), "{} served, {} refused", served.len(), refused.len());
    assert!(served.iter().all(|(_, _, body)| body["category"] == "Sports, Leisure & Travel"));
    for (status, retry_after, body) in refused {
        assert_eq!((status, body["code"].as_str().unwrap()), (429, "overloaded"));
        assert!(retry_after.is_some_and(|seconds| (1..=10).contains(&seconds)));
    }
    // The places are free again.
    assert_eq!(burst(&server, 1)[0].0, 200);
}

#[test]
fn whoever_would_wait_longer_than_allowed_is_refused() {
    let data = TempDir::new().unwrap();
    let server = Server::start_with(data.path(), &["--max-wait-ms", "1"]);
    assert_eq!(burst(&server, 1)[0].0, 200);
    let refused = burst(&server, 32).into_iter().filter(|answer| answer.0 == 429).count();
    assert!((1..32).contains(&refused), "{refused} of 32 refused");
}
