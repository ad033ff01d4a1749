//! What connections and slow clients may cost.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::server::{answer, client, eventually, start};

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Everything the server says until it closes the connection.
fn read_to_close(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the connection stays open: {error}"),
    }
    String::from_utf8_lossy(&said).into_owned()
}

fn is_alive(server: SocketAddr) -> bool {
    client().get(format!("http://{server}/health/live")).send().is_ok_and(|response| response.status() == 200)
}

#[test]
fn a_connection_on_which_no_whole_head_comes_is_closed() {
    let server = start(&["--header-timeout-ms", "300"]);
    for said in ["", "G", "GET /health/live HTTP/1.1\r\nhost: a\r\n", "PRI * HTTP/2.0\r\n\r\nSM"] {
        let mut stream = connect(server);
        stream.write_all(said.as_bytes()).unwrap();
        let answer = read_to_close(stream);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{said:?}: {answer}");
    }
    eventually("others are answered", || is_alive(server));
}

#[test]
fn a_head_that_drips_is_closed_however_long_it_goes_on() {
    let server = start(&["--header-timeout-ms", "300"]);
    let mut stream = connect(server);
    stream.write_all(b"GET /health/live HTTP/1.1\r\n").unwrap();
    let start = Instant::now();
    while stream.write_all(b"x: y\r\n").is_ok() {
        assert!(start.elapsed() < Duration::from_secs(60), "the connection stays open");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn an_idle_connection_is_closed_after_its_answer() {
    let server = start(&["--header-timeout-ms", "3000"]);
    let mut stream = connect(server);
    stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let answer = read_to_close(stream);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_body_that_stops_coming_gets_408() {
    let server = start(&["--body-timeout-ms", "300"]);
    for (route, kind) in [
        ("/v1/predict-category", "application/json"),
        ("/v1/predict-category", "multipart/form-data; boundary=b"),
        ("/predict/image", "multipart/form-data; boundary=b"),
        ("/predict/text", "application/x-www-form-urlencoded"),
    ] {
        let mut stream = connect(server);
        let head = format!(
            "POST {route} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: 100\r\n\r\n--b\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let answer = read_to_close(stream);
        assert!(answer.starts_with("HTTP/1.1 408"), "{route}, {kind}: {answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let problem: Value = serde_json::from_str(body).unwrap();
        assert_eq!(problem["code"], "too_slow");
    }
}

#[test]
fn bodies_that_together_fill_their_memory_get_429_until_one_of_them_is_over() {
    let server = start(&["--max-body-mb", "2", "--max-bodies-mb", "2"]);
    let hold = || {
        let mut stream = connect(server);
        let head = "POST /v1/predict-category HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 1900000\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&vec![b' '; 1_800_000]).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    };
    let ask = || {
        let padded = json!({"title": "Road bike", "description": " ".repeat(400_000)});
        answer(client().post(format!("http://{server}/v1/predict-category")).json(&padded))
    };
    let mut long = hold();
    let mut refused = Value::Null;
    eventually("the server has read what the long one sent", || {
        // Whose body comes to the bound is refused: the long one itself, where the other was read before the last of it.
        if long.peek(&mut [0]).is_ok() {
            long = hold();
        }
        let (status, body) = ask();
        refused = body;
        status == 429
    });
    assert_eq!(refused["code"], "overloaded");
    assert!(refused["detail"].as_str().unwrap().contains("--max-bodies-mb"), "{refused}");
    drop(long);
    eventually("the long one's memory is free again", || ask().0 != 429);
}

#[test]
fn ndjson_of_any_length_needs_memory_for_a_chunk_of_lines_only() {
    let server = start(&["--max-body-mb", "2", "--max-bodies-mb", "2"]);
    let line = json!({"no_such_field": "x".repeat(16_000)}).to_string() + "\n";
    let request =
        client().post(format!("http://{server}/v1/products")).header("content-type", "application/x-ndjson");
    let text = request.body(line.repeat(500)).send().unwrap().text().unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last, json!({"stored": 0, "failed": 500}));
    assert!(!text.contains("cannot be read"), "{text}");
}

#[test]
fn blank_lines_need_no_memory() {
    let server = start(&["--max-body-mb", "2", "--max-bodies-mb", "2"]);
    let request =
        client().post(format!("http://{server}/v1/products")).header("content-type", "application/x-ndjson");
    let body = "\n".repeat(5 << 20) + &json!({"no_such_field": 1}).to_string();
    let text = request.body(body).send().unwrap().text().unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last, json!({"stored": 0, "failed": 1}), "{text}");
}

#[test]
fn a_head_beyond_64_kib_is_refused() {
    let server = start(&[]);
    let mut stream = connect(server);
    let head = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(100 << 10));
    // The server may close before it has read all of it.
    let _ = stream.write_all(head.as_bytes());
    let answer = read_to_close(stream);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert!(is_alive(server));
}

#[test]
fn a_connection_too_many_is_closed_and_the_next_free_slot_is_given() {
    let server = start(&["--max-connections", "2"]);
    let first = connect(server);
    let second = connect(server);
    // Both are in their slots once they have been answered.
    for mut stream in [&first, &second] {
        stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
    }
    assert_eq!(read_to_close(connect(server)), "");
    drop(first);
    eventually("a slot becomes free", || is_alive(server));
    drop(second);
}

/// An HTTP/2 frame (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: u8 = 4;

/// The frames in what was said: kind and payload.
fn frames(mut said: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((&[a, b, c, kind, ..], rest)) = said.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let Some((payload, rest)) = rest.split_at_checked(length) else { break };
        frames.push((kind, payload.to_vec()));
        said = rest;
    }
    frames
}

#[test]
fn an_http2_client_that_resets_what_it_asks_is_sent_away() {
    const GO_AWAY: u8 = 7;
    const ENHANCE_YOUR_CALM: u8 = 11;
    let server = start(&[]);
    let mut stream = connect(server);
    let mut said = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    for request in 0..2_000_u32 {
        let number = request * 2 + 1;
        // :method GET, :scheme http, :path /, :authority a; then RST_STREAM with CANCEL.
        said.extend(frame(1, 5, number, &[0x82, 0x86, 0x84, 0x41, 1, b'a']));
        said.extend(frame(3, 0, number, &8_u32.to_be_bytes()));
    }
    // The server may close before it has read all of it.
    let _ = stream.write_all(&said);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let frames = frames(&answer);
    let settings = &frames.iter().find(|(kind, _)| *kind == SETTINGS).unwrap().1;
    // SETTINGS_MAX_CONCURRENT_STREAMS is 3.
    assert!(settings.chunks_exact(6).any(|setting| setting == [0, 3, 0, 0, 0, 64]), "{settings:?}");
    let away = &frames.iter().find(|(kind, _)| *kind == GO_AWAY).expect("it is sent away").1;
    assert_eq!(away[7], ENHANCE_YOUR_CALM);
    assert!(is_alive(server));
}
