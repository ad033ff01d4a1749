//! Random and hostile requests among good ones: every good one is answered right, and none of the others gets a 500.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    random::Random,
    server::{base64, client, photo, start},
};

/// Requests of the test that always runs; that of `make test-slow` sends the number the issue asks for.
const A_FEW: usize = 400;
const MANY: usize = 10_000;
const CLIENTS: usize = 4;
/// Bytes by which memory may differ between the halves of a long run: the allocator's own wavering.
const FLAT: usize = 48 << 20;

#[test]
fn good_requests_among_hundreds_of_hostile_ones_are_answered_right() {
    run(A_FEW);
}

#[test]
#[ignore = "ten thousand requests take minutes: `make test-slow`"]
fn good_requests_among_ten_thousand_hostile_ones_are_answered_right_and_memory_stays_flat() {
    let server = run(MANY / 2);
    let half = resident();
    run_against(server, MANY / 2, 1_000_000);
    let whole = resident();
    assert!(whole < half + FLAT, "{half} bytes resident after half of them, {whole} after all");
}

fn run(requests: usize) -> SocketAddr {
    let server = start(&["--no-fetch", "--header-timeout-ms", "2000", "--body-timeout-ms", "2000"]);
    run_against(server, requests, 0);
    server
}

/// Sends this many requests, one in four of them good, from several clients at once.
fn run_against(server: SocketAddr, requests: usize, seed: u64) {
    let steady = Steady::prepare(server);
    let next = AtomicUsize::new(0);
    let problems = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= requests {
                        return;
                    }
                    let mut random = Random(seed + number as u64);
                    let outcome = if number.is_multiple_of(4) {
                        steady.check(number / 4)
                    } else {
                        attack(server, &mut random)
                    };
                    if let Err(problem) = outcome {
                        problems.lock().unwrap().push(format!("request {number}: {problem}"));
                    }
                }
            });
        }
    });
    let problems = problems.into_inner().unwrap();
    assert!(problems.is_empty(), "{} of {requests}:\n{}", problems.len(), problems.join("\n"));
}

/// Requests whose answers are known: no hostile one can change them.
struct Steady {
    server: SocketAddr,
    requests: Vec<(&'static str, Value, Value)>,
}

impl Steady {
    fn prepare(server: SocketAddr) -> Self {
        let sofa = json!({"base64": base64(&photo("sofa.jpg"))});
        let product = |id: &str, title: &str| json!({"id": id, "title": title});
        let requests = [
            ("/v1/predict-category", json!({"title": "Nike football boots size 8"})),
            ("/v1/predict-category", json!({"title": "Three seater sofa", "images": [sofa]})),
            (
                "/v1/rank-products",
                json!({"query": {"text": "road bike"}, "candidates": [
                    product("a", "Garden shed"), product("b", "Racing bicycle, 56 cm"), product("c", "Piano")]}),
            ),
        ];
        let requests = requests.into_iter().map(|(route, body)| {
            let answer = send_json(server, route, &body).unwrap();
            (route, body, answer)
        });
        Self { server, requests: requests.collect() }
    }

    fn check(&self, turn: usize) -> Result<(), String> {
        let (route, body, expected) = &self.requests[turn % self.requests.len()];
        let found = send_json(self.server, route, body)?;
        let names = |answer: &Value| match answer["results"].as_array() {
            Some(results) => results.iter().map(|result| result["id"].clone()).collect(),
            None => vec![answer["category"].clone(), answer["subcategory"].clone()],
        };
        // In another batch the last digits of a probability are others.
        let confidence = |answer: &Value| answer["confidence"].as_f64().unwrap_or_default();
        if names(&found) == names(expected) && (confidence(&found) - confidence(expected)).abs() < 5e-3 {
            return Ok(());
        }
        Err(format!("{route} answers {found}, expected {expected}"))
    }
}

fn send_json(server: SocketAddr, route: &str, body: &Value) -> Result<Value, String> {
    let answer = client()
        .post(format!("http://{server}{route}"))
        .json(body)
        .send()
        .map_err(|error| format!("{route}: {error:?}"))?;
    match answer.status().as_u16() {
        200 => answer.json().map_err(|error| error.to_string()),
        status => Err(format!("{route} answers {status}: {}", answer.text().unwrap_or_default())),
    }
}

/// Sends something that no good client sends. It may be refused or cut off, or answered where it is good by chance.
fn attack(server: SocketAddr, random: &mut Random) -> Result<(), String> {
    let request = hostile(random);
    let mut stream = TcpStream::connect(server).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // The server may have closed before it has read all of it.
    let _ = stream.write_all(&request);
    match random.below(4) {
        // Gone before the answer.
        0 => return Ok(()),
        1 => drop(stream.shutdown(Shutdown::Write)),
        _ => {}
    }
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while answer.len() < 16 {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => answer.extend(&piece[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                return Err(format!("no answer to {}", shown(&request)));
            }
            Err(_) => break,
        }
    }
    let status = answer.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3));
    match status {
        Some(b"500") => Err(format!("500 for {}", shown(&request))),
        _ => Ok(()),
    }
}

fn shown(request: &[u8]) -> String {
    String::from_utf8_lossy(&request[..request.len().min(600)]).into_owned()
}

fn hostile(random: &mut Random) -> Vec<u8> {
    match random.below(10) {
        0 => {
            let length = random.below(4_000);
            random.bytes(length)
        }
        1 => odd_head(random),
        2 => {
            let opening = random.pick(&["[", "{\"a\":", "{\"candidates\":[", "[[{\"x\":"]);
            post(
                random.pick(&["/v1/predict-category", "/v1/rank-products", "/v1/products"]),
                JSON,
                opening.repeat(20_000).into_bytes(),
            )
        }
        3 | 4 => multipart(random),
        5 => tensors(random),
        6 => {
            let line = json!({"id": "hostile", "title": "Lamp", "price": 3}).to_string();
            let lines = (0..random.below(20))
                .flat_map(|_| [random.mutate(line.clone().into_bytes()), vec![b'\n']].concat());
            let lines = lines.collect();
            post("/v1/products", "application/x-ndjson", lines)
        }
        7 => {
            let mut request = json_request(random);
            request.truncate(random.below(request.len()));
            request
        }
        8 => {
            let noise = random.below(600);
            [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), random.bytes(noise)].concat()
        }
        _ => json_request(random),
    }
}

const JSON: &str = "application/json";

fn post(route: &str, kind: &str, body: Vec<u8>) -> Vec<u8> {
    let head = format!(
        "POST {route} HTTP/1.1\r\nhost: a\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// A good JSON request with something wrong in it.
fn json_request(random: &mut Random) -> Vec<u8> {
    let bodies = [
        ("/v1/predict-category", json!({"title": "Sofa", "description": "Grey", "top_k": 3})),
        ("/v1/predict-category", json!({"images": [{"base64": base64(&photo("lamp.jpg"))}]})),
        ("/v1/predict-category", json!({"images": [{"url": "http://127.0.0.1/x.jpg"}]})),
        ("/v1/predict-category/batch", json!({"items": [{"title": "Sofa"}, {"title": "Bike"}]})),
        (
            "/v1/rank-products",
            json!({"query": {"text": "bike", "weights": {"text": 2}}, "filter": {"price": {"min": 1, "max": 2},
            "near": {"lat": 53.8, "lon": -1.5, "radius_km": 20}}, "boost": {"recency_half_life_days": 3}, "diversity": 0.5,
            "facets": ["category"], "user": {"viewed": ["a"]}, "explain": true, "limit": 5, "offset": 3}),
        ),
        (
            "/v1/products",
            json!([{"id": "hostile", "title": "Sofa", "price": 12.5, "location": {"lat": 1, "lon": 2},
            "listed_at": "2026-11-20T09:30:00Z", "attributes": {"a": [1, {"b": null}]}}]),
        ),
    ];
    let (route, body) = &bodies[random.below(bodies.len())];
    let body = random.mutate(body.to_string().into_bytes());
    post(route, JSON, body)
}

/// A form with a photo that was damaged, or with damage of its own.
fn multipart(random: &mut Random) -> Vec<u8> {
    let file = photo(random.pick(&["sofa.jpg", "lamp.jpg", "guitar.jpg"]));
    let file = if random.below(2) == 0 { random.mutate(file) } else { other_format(&file, random) };
    let name = random.pick(&["image", "image\"; filename=\"x.jpg", "title", "photo", ""]);
    let head = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
    let mut body = [head.into_bytes(), file, b"\r\n--b--\r\n".to_vec()].concat();
    if random.below(3) == 0 {
        body = random.mutate(body);
    }
    post(
        random.pick(&["/v1/predict-category", "/predict/image", "/predict/combined"]),
        "multipart/form-data; boundary=b",
        body,
    )
}

/// The photo as a PNG or WebP, small and then damaged.
fn other_format(jpeg: &[u8], random: &mut Random) -> Vec<u8> {
    let format = [image::ImageFormat::Png, image::ImageFormat::WebP][random.below(2)];
    let small = image::load_from_memory(jpeg).unwrap().thumbnail(40, 40);
    let mut bytes = std::io::Cursor::new(Vec::new());
    small.write_to(&mut bytes, format).unwrap();
    random.mutate(bytes.into_inner())
}

/// Tensors whose shapes, types and values need not fit.
fn tensors(random: &mut Random) -> Vec<u8> {
    let odd = |random: &mut Random| [0, 1, 2, 3, 64, 65, 260, usize::MAX, 1 << 40][random.below(9)];
    let tensor = |name: &str, random: &mut Random| {
        let shape: Vec<usize> = (0..random.below(5)).map(|_| odd(random)).collect();
        let data: Vec<i64> = (0..random.below(8)).map(|_| random.next() as i64 >> random.below(64)).collect();
        json!({"name": name, "shape": shape, "datatype": random.pick(&["INT64", "UINT8", "FP32"]), "data": data})
    };
    let inputs: Vec<Value> =
        ["input_ids", "attention_mask", "image"].iter().map(|name| tensor(name, random)).collect();
    let body = random.mutate(json!({"inputs": inputs}).to_string().into_bytes());
    let route = format!("/v2/models/{}/infer", random.pick(&["text", "image", "combined", "%00"]));
    post(&route, JSON, body)
}

/// Lines of a head that no client should send.
fn odd_head(random: &mut Random) -> Vec<u8> {
    let method = random.pick(&["GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "get", "", "\u{1}"]);
    let path = random.pick(&[
        "/v1/products/%ff%fe",
        "/v1/products/../../etc/passwd",
        "/v1/products?limit=-1",
        "/v1/products?cursor=%00",
        "*",
        "//",
        "/docs/../../x",
        "/v1/products?limit=99999999999999999999",
        "http://other.example/",
        "/v1/products/%2e%2e/photo",
    ]);
    let headers = random.pick(&[
        "content-length: -1",
        "content-length: 5\r\ncontent-length: 6",
        "transfer-encoding: chunked",
        "expect: 100-continue",
        "content-length: 18446744073709551616",
        "x-request-id: \u{7f}",
        "authorization: Bearer",
        "content-type: multipart/form-data",
        "transfer-encoding: chunked\r\ncontent-length: 4",
        "host: b\r\nhost: c",
        "cookie: ",
        "range: bytes=0-18446744073709551615",
        "accept-encoding: gzip;q=nonsense",
        "inference-header-content-length: 99999999999999999999",
    ]);
    let length = random.below(200);
    let body = random.pick(&["", "ffffffffffffffff\r\n", "-1\r\n", "3\r\nabc\r\n0\r\n\r\n", "5\r\nab"]);
    [
        format!("{method} {path} HTTP/1.1\r\nhost: a\r\n{headers}\r\n\r\n{body}").into_bytes(),
        random.bytes(length),
    ]
    .concat()
}

/// Resident bytes of this process, which the servers of the tests run in.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}
