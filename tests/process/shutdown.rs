//! Stopping: requests in flight are answered, and what was acknowledged is there afterwards.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{PATIENT, Server, client_that_waits, eventually};

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
                let client = client_that_waits(Duration::from_secs(240));
                let response = client.post(format!("{base}/v1/products")).json(&products).send().unwrap();
                assert_eq!(response.status(), 200);
                response.json::<Value>().unwrap()["stored"].as_u64().unwrap()
            })
        })
        .collect();
    // Each asks the catalogue for what it holds of the listings, when it has read them all.
    let client = client_that_waits(Duration::from_secs(60));
    eventually(Duration::from_secs(120), "every request has come in", || {
        let metrics = client.get(format!("{base}/metrics")).send().unwrap().text().unwrap();
        let asked = "marketrank_engine_seconds_count{operation=\"get\"} ";
        let count = metrics.lines().find_map(|line| line.strip_prefix(asked)?.parse::<usize>().ok());
        count.is_some_and(|count| count >= 8)
    });
    server.terminate();
    let stored: u64 = clients.into_iter().map(|client| client.join().unwrap()).sum();
    assert_eq!(stored, 8 * 16);
    assert!(server.wait().success());

    let again = Server::start(data.path());
    let ready: Value =
        reqwest::blocking::get(format!("http://{}/health/ready", again.address)).unwrap().json().unwrap();
    assert_eq!(ready["products"], stored);
}

#[test]
fn readiness_is_refused_before_connections_are() {
    // It says so for a second: where the machine stood still for as long, nothing was seen.
    let stood_still = Duration::from_millis(700);
    for _ in 0..5 {
        let data = TempDir::new().unwrap();
        let server = Server::start(data.path());
        let ready = || reqwest::blocking::get(format!("http://{}/health/ready", server.address));
        assert_eq!(ready().unwrap().status(), 200);
        server.terminate();
        let (mut statuses, mut longest, mut seen) = (Vec::new(), Duration::ZERO, Instant::now());
        while let Ok(response) = ready() {
            statuses.push(response.status().as_u16());
            thread::sleep(Duration::from_millis(20));
            longest = longest.max(seen.elapsed());
            seen = Instant::now();
        }
        longest = longest.max(seen.elapsed());
        assert!(server.wait().success());
        if statuses.last() == Some(&503) {
            return;
        }
        assert!(longest > stood_still, "{statuses:?}");
    }
    panic!("the machine stands still all the time");
}

#[test]
fn a_restart_under_load_fails_no_request_but_those_refused_at_the_door() {
    const CLIENTS: usize = 4;
    let data = TempDir::new().unwrap();
    let flags = [&PATIENT[..], &["--timeout-ms", "120000", "--shutdown-grace", "120"]].concat();
    let server = Server::start_with(data.path(), &flags);
    let (address, done, answered) = (server.address, AtomicBool::new(false), AtomicUsize::new(0));
    let url = format!("http://{address}/v1/predict-category");
    let failed: Vec<String> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let client = client_that_waits(Duration::from_secs(240));
                    let mut failed = Vec::new();
                    while !done.load(Ordering::Relaxed) {
                        match client.post(&url).json(&json!({"title": "Raleigh road bike"})).send() {
                            Ok(response) if response.status() == 200 => {
                                let answer: Value = response.json().unwrap();
                                assert_eq!(answer["category"], "Sports, Leisure & Travel");
                                answered.fetch_add(1, Ordering::Relaxed);
                            }
                            // At the door: nobody listens, for now.
                            Err(error) if error.is_connect() => thread::sleep(Duration::from_millis(10)),
                            other => failed.push(format!("{other:?}")),
                        }
                    }
                    failed
                })
            })
            .collect();
        let wait_for_more = || {
            let enough = answered.load(Ordering::Relaxed) + 20 * CLIENTS;
            eventually(Duration::from_secs(120), "answers come", || {
                answered.load(Ordering::Relaxed) >= enough
            });
        };
        wait_for_more();
        server.terminate();
        assert!(server.wait().success());
        let listen = address.to_string();
        let _again = Server::start_with(data.path(), &[&flags[..], &["--listen", &listen]].concat());
        wait_for_more();
        done.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert!(failed.is_empty(), "{} requests failed: {}", failed.len(), failed.join("\n"));
}
