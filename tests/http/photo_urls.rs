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
    let head = format!("302 Found\r\nlocation: http://{address}/\r\ncontent-length: 0");
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
        format!("http://017700000001:{port}/"),
        format!("http://0x7f000001:{port}/"),
        format!("http://127.1:{port}/"),
        format!("http://0.0.0.0:{port}/"),
        format!("http://[::ffff:7f00:1]:{port}/"),
        format!("http://[::127.0.0.1]:{port}/"),
        format!("http://[64:ff9b::127.0.0.1]:{port}/"),
        format!("http://127.0.0.1.:{port}/"),
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
fn three_redirects_are_followed_and_a_fourth_is_not() {
    let photo = web_server(with_headers("200 OK", &photo("sofa.jpg")));
    let redirect_to = |address: SocketAddr| {
        web_server(with_headers(
            &format!("302 Found\r\nlocation: http://{address}/\r\ncontent-length: 0"),
            b"",
        ))
    };
    let third = redirect_to(redirect_to(redirect_to(photo)));
    assert_eq!(predict_url(&format!("http://{third}/")).0, 200);
    let (status, problem) = predict_url(&format!("http://{}/", redirect_to(third)));
    assert_eq!(status, 422, "{problem}");
}

#[test]
fn a_redirect_to_another_scheme_is_not_followed() {
    let head = "302 Found\r\nlocation: file:///etc/passwd\r\ncontent-length: 0";
    let (status, problem) = predict_url(&format!("http://{}/", web_server(with_headers(head, b""))));
    assert_eq!(status, 422, "{problem}");
}

#[test]
fn a_photo_that_drips_is_given_up_when_the_request_must_be() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let _ = connection.read(&mut [0; 4096]);
        let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n");
        while connection.write_all(b"x").is_ok() {
            thread::sleep(std::time::Duration::from_millis(50));
        }
    });
    let server = start(&["--fetch-private", "--timeout-ms", "500"]);
    let body = json!({"images": [{"url": format!("http://{address}/")}]});
    let (status, problem) = answer(client().post(format!("http://{server}/v1/predict-category")).json(&body));
    assert_eq!(status, 422);
    assert!(problem["detail"].as_str().unwrap().contains("took too long"), "{problem}");
}

#[test]
fn a_gzip_bomb_is_not_unpacked() {
    // 64 MiB of zeros: unpacked they would be too many bytes (413), packed they are no photo.
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(&vec![0; 64 << 20]).unwrap();
    let bomb = packer.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let address =
        web_server(with_headers("200 OK\r\ncontent-encoding: gzip\r\ncontent-type: image/jpeg", &bomb));
    let (status, problem) = predict_url(&format!("http://{address}/"));
    assert_eq!(status, 415, "{problem}");
}

#[test]
fn an_announced_length_beyond_the_limit_is_refused_unread() {
    let address = web_server(with_headers("200 OK\r\ncontent-length: 99999999999", b""));
    let (status, problem) = predict_url(&format!("http://{address}/"));
    assert_eq!((status, &problem["field"]), (413, &json!("images[0]")));
}

#[test]
fn a_server_that_does_not_fetch_says_so() {
    let server = start(&["--no-fetch"]);
    let body = json!({"images": [{"url": "http://example.com/sofa.jpg"}]});
    let (status, problem) = answer(client().post(format!("http://{server}/v1/predict-category")).json(&body));
    assert_eq!(status, 422);
    assert!(problem["detail"].as_str().unwrap().contains("does not fetch"), "{problem}");
}
