//! Who is let in: keys, scopes, rates, origins.

use std::{net::SocketAddr, path::Path, time::Duration};

use marketrank::access::{Key, Scope};
use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{client, eventually, start};

/// A server that asks for these keys, and a key of each set of scopes.
struct Guarded {
    address: SocketAddr,
    folder: TempDir,
    client: Client,
}

impl Guarded {
    fn start(lines: &str, flags: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("keys");
        std::fs::write(&file, lines).unwrap();
        let file = file.display().to_string();
        let address = start(&[&["--api-keys-file", &file], flags].concat());
        Self { address, folder, client: client() }
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("keys")
    }

    fn send(&self, method: &str, route: &str, key: Option<&Key>) -> Response {
        let method = method.parse().unwrap();
        let mut request = self.client.request(method, format!("http://{}{route}", self.address));
        if let Some(key) = key {
            request = request.bearer_auth(key.reveal());
        }
        if matches!(route, "/v1/rank-products" | "/v1/predict-category" | "/v1/products/sofa") {
            request = request.json(&json!({}));
        }
        request.send().unwrap()
    }

    fn status(&self, method: &str, route: &str, key: Option<&Key>) -> u16 {
        self.send(method, route, key).status().as_u16()
    }
}

fn key(scopes: &[Scope]) -> (Key, String) {
    let key = Key::random();
    let line = key.line("test", scopes);
    (key, line)
}

/// A route of each scope, and the status of a request that is let in: what it brings is not usable.
const ROUTES: [(&str, &str, Scope, u16); 9] = [
    ("POST", "/v1/predict-category", Scope::Predict, 422),
    ("POST", "/predict/text", Scope::Predict, 415),
    ("GET", "/v2/models/text", Scope::Predict, 200),
    ("POST", "/v1/rank-products", Scope::Rank, 200),
    ("GET", "/v1/products", Scope::Rank, 200),
    ("GET", "/v1/products/sofa", Scope::Rank, 404),
    ("PUT", "/v1/products/sofa", Scope::Write, 422),
    ("POST", "/v1/products", Scope::Write, 415),
    ("DELETE", "/v1/products/sofa", Scope::Write, 404),
];

#[test]
fn a_key_opens_the_routes_of_its_scopes_and_no_others() {
    let keys = Scope::ALL.map(|scope| (scope, key(&[scope])));
    let lines: Vec<&str> = keys.iter().map(|(_, (_, line))| line.as_str()).collect();
    let server = Guarded::start(&lines.join("\n"), &[]);
    for (method, route, needed, admitted) in ROUTES {
        for (scope, (key, _)) in &keys {
            let response = server.send(method, route, Some(key));
            if *scope == needed {
                assert_eq!(response.status(), admitted, "{method} {route} with {scope}");
                continue;
            }
            assert_eq!(response.status(), 403, "{method} {route} with {scope}");
            let challenge = response.headers()["www-authenticate"].to_str().unwrap().to_owned();
            assert!(challenge.contains("insufficient_scope"), "{challenge}");
            assert!(challenge.contains(&format!("scope=\"{needed}\"")), "{challenge}");
        }
    }
}

#[test]
fn without_a_key_only_probes_and_documentation_answer() {
    let server = Guarded::start(&key(&Scope::ALL).1, &[]);
    for (method, route, ..) in ROUTES {
        let response = server.send(method, route, None);
        assert_eq!(response.status(), 401, "{method} {route}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"marketrank\"");
        assert_eq!(response.json::<Value>().unwrap()["code"], "unauthorized");
    }
    for route in ["/health/live", "/health/ready", "/v2/health/ready", "/openapi.json", "/docs/"] {
        assert_eq!(server.status("GET", route, None), 200, "{route}");
    }
}

#[test]
fn what_is_counted_is_for_whoever_has_a_key() {
    let (key, line) = key(&[Scope::Predict]);
    let server = Guarded::start(&line, &[]);
    assert_eq!(server.status("GET", "/metrics", None), 401);
    assert_eq!(server.status("GET", "/metrics", Some(&key)), 200);
}

#[test]
fn a_key_that_is_not_in_the_file_is_refused_everywhere() {
    let server = Guarded::start(&key(&Scope::ALL).1, &[]);
    let response = server.send("GET", "/openapi.json", Some(&Key::random()));
    assert_eq!(response.status(), 401);
    assert!(response.headers()["www-authenticate"].to_str().unwrap().contains("invalid_token"));
    let other_scheme = client()
        .get(format!("http://{}/v1/products", server.address))
        .header("authorization", "Basic c2hvcDpzaG9w")
        .send();
    assert_eq!(other_scheme.unwrap().status(), 401);
}

#[test]
fn keys_are_rotated_without_a_restart() {
    let ((old, old_line), (new, new_line)) = (key(&[Scope::Rank]), key(&[Scope::Rank]));
    let server = Guarded::start(&old_line, &[]);
    let statuses = || [&old, &new].map(|key| server.status("GET", "/v1/products", Some(key)));
    assert_eq!(statuses(), [200, 401]);
    std::fs::write(server.file(), &new_line).unwrap();
    eventually("the new key is let in and the old one is not", || statuses() == [401, 200]);

    // A file that cannot be used changes nothing: the next good one shows that it was passed by.
    replace(&server.file(), "not a key file");
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(statuses(), [401, 200]);
    replace(&server.file(), &old_line);
    eventually("the old key is let in again", || statuses() == [200, 401]);
}

/// As an editor or a mounted secret does: by another file.
fn replace(path: &Path, contents: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, contents).unwrap();
    std::fs::rename(new, path).unwrap();
}

#[test]
fn an_address_that_asks_too_often_is_told_when_to_come_again() {
    let server = start(&["--rate-per-address", "3"]);
    let client = client();
    let get = |route: &str| client.get(format!("http://{server}{route}")).send().unwrap();
    let refused = (0..200).map(|_| get("/v1/products")).find(|response| response.status() == 429);
    let refused = refused.expect("200 requests are more than 3 a second");
    assert_eq!(refused.headers()["retry-after"], "1");
    let problem: Value = refused.json().unwrap();
    assert_eq!(problem["code"], "rate_limited");
    for probe in ["/health/live", "/v2/health/live"] {
        assert!((0..20).all(|_| get(probe).status() == 200), "{probe}");
    }
}

#[test]
fn a_key_that_asks_too_often_costs_no_other_key() {
    let ((busy, busy_line), (quiet, quiet_line)) = (key(&[Scope::Rank]), key(&[Scope::Rank]));
    let lines = [busy_line, quiet_line.replace("test", "quiet")].join("\n");
    let server = Guarded::start(&lines, &["--rate-per-key", "3"]);
    assert!((0..200).any(|_| server.status("GET", "/v1/products", Some(&busy)) == 429));
    assert_eq!(server.status("GET", "/v1/products", Some(&quiet)), 200);
}

fn with_origin(server: SocketAddr, origin: &str) -> Option<String> {
    let request = client().get(format!("http://{server}/v1/products")).header("origin", origin);
    let response = request.send().unwrap();
    Some(response.headers().get("access-control-allow-origin")?.to_str().unwrap().to_owned())
}

#[test]
fn pages_of_other_origins_are_kept_out_unless_named() {
    assert_eq!(with_origin(start(&[]), "https://shop.example"), None);
    let server = start(&["--cors-origin", "https://shop.example,https://admin.example"]);
    let allowed = Some("https://shop.example".to_owned());
    assert_eq!(with_origin(server, "https://shop.example"), allowed);
    assert_eq!(with_origin(server, "https://shop.example.evil.example"), None);
}

#[test]
fn a_browser_may_ask_first_without_a_key_and_reads_refusals_too() {
    let server = Guarded::start(&key(&Scope::ALL).1, &["--cors-origin", "https://shop.example"]);
    let preflight = client()
        .request(reqwest::Method::OPTIONS, format!("http://{}/v1/rank-products", server.address))
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type")
        .send()
        .unwrap();
    assert_eq!(preflight.status(), 200);
    assert_eq!(preflight.headers()["access-control-allow-origin"], "https://shop.example");
    let headers = preflight.headers()["access-control-allow-headers"].to_str().unwrap().to_owned();
    assert!(headers.contains("authorization"), "{headers}");
    assert_eq!(with_origin(server.address, "https://shop.example").as_deref(), Some("https://shop.example"));
}
