//! Photos that the server fetches.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    thread,
};

use serde_json::{Value, json};

use crate::server::{answer, client, photo, post_json, start};

/// A web server that gives every request the same answer.
fn web_server(answer: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let _ = connection.read(&mut [0; 4096]);
            let _ = connection.write_all(&answer);
        }
    });
    address
}

fn with_headers(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {headers}\r\nconnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn predict_url(url: &str) -> (u16, Value) {
    post_json("/v1/predict-category", &json!({"images": [{"url": url}]}))
}

#[test]
fn a_photo_by_url_is_fetched() {
    let address = web_server(with_headers("200 OK", &photo("sofa.jpg")));
    let (status, body) = predict_url(&format!("http://{address}/sofa.jpg"));
    assert_eq!((status, &body["model"]["name"]), (200, &json!("image")));
}

#[test]
fn an_endless_body_is_cut_off() {
    let address = web_server(with_headers("200 OK", &vec![0; 13 << 20]));
    let (status, problem) = predict_url(&format!("http://{address}/"));
    assert_eq!((status, &problem["field"]), (413, &json!("images[0]")));
}

#[test]
fn a_url_that_does_not_answer_with_a_photo_is_refused() {
    let missing = web_server(with_headers("404 Not Found\r\ncontent-length: 0", b""));
    assert_eq!(predict_url(&format!("http://{missing}/")).0, 422);
    let page = web_server(with_headers("200 OK", b"<html></html>"));
    assert_eq!(predict_url(&format!("http://{page}/")).0, 415);
    assert_eq!(predict_url("ftp://example.com/sofa.jpg").0, 422);
    assert_eq!(predict_url("no url at all").0, 422);
}

#[test]
fn redirects_in_a_circle_are_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let head = format!("302 Found\r\nlocation: http://{address}/\r\ncontent-length: 0");
    let listener = TcpListener::bind(address).unwrap();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let _ = connection.read(&mut [0; 4096]);
            let _ = connection.write_all(&with_headers(&head, b""));
        }
    });
    let (status, problem) = predict_url(&format!("http://{address}/"));
    assert_eq!(status, 422);
    assert!(problem["detail"].as_str().unwrap().contains("redirects"), "{problem}");
}

#[test]
fn private_addresses_are_not_fetched_unless_allowed() {
    let server = start(&[]);
    let photo = web_server(with_headers("200 OK", &photo("sofa.jpg")));
    let redirect =
        web_server(with_headers("302 Found\r\nlocation: http://10.0.0.1/\r\ncontent-length: 0", b""));
    let port = photo.port();
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://0177.0.0.1:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://{redirect}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
    ] {
        let body = json!({"images": [{"url": url}]});
        let (status, problem) =
            answer(client().post(format!("http://{server}/v1/predict-category")).json(&body));
        assert_eq!(status, 422, "{url}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains("public address"), "{url}: {problem}");
    }
}

#[test]
fn a_server_that_does_not_fetch_says_so() {
    let server = start(&["--no-fetch"]);
    let body = json!({"images": [{"url": "http://example.com/sofa.jpg"}]});
    let (status, problem) = answer(client().post(format!("http://{server}/v1/predict-category")).json(&body));
    assert_eq!(status, 422);
    assert!(problem["detail"].as_str().unwrap().contains("does not fetch"), "{problem}");
}
