//! A server for the tests of this file's folder: it listens on a free port, and every test uses ids of its own.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, mpsc},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Parser;
use marketrank::{
    api::{self, AppState, PhotoFetcher, Serving},
    config::{CatalogueConfig, ServeConfig},
    front::{self, Stop, Tls},
    inference::Inference,
    intake::Intake,
    serve::{gate, open_catalogue, open_models, upkeep},
    telemetry::metrics::Metrics,
};
use reqwest::blocking::{Client, RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;

/// What `serve` takes on its command line.
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    config: ServeConfig,
}

/// The models, opened once: a process may have one ONNX Runtime.
static MODELS: LazyLock<Arc<Inference>> =
    LazyLock::new(|| open_models(&config(&[]).models).expect("run `make setup`"));

/// What is counted, for all servers of this process.
static METRICS: LazyLock<&Metrics> = LazyLock::new(|| Metrics::install().unwrap());

static SERVER: LazyLock<SocketAddr> = LazyLock::new(|| start(&["--fetch-private"]));

/// Path of a file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The configuration of `serve` with these flags.
fn config(flags: &[&str]) -> ServeConfig {
    let models = repository("models").display().to_string();
    let library = repository(".cache/onnxruntime/libonnxruntime.so").display().to_string();
    let fixed = [
        "serve",
        "--models",
        &models,
        "--onnxruntime",
        &library,
        "--threads",
        "1",
        "--max-wait-ms=60000",
        "--overload-wait-ms=60000",
    ];
    // A machine that does other things beside takes long, unless a test is about just that.
    let patient =
        (!flags.iter().any(|flag| flag.starts_with("--timeout-ms"))).then_some("--timeout-ms=600000");
    Cli::parse_from(fixed.iter().copied().chain(patient).chain(flags.iter().copied())).config
}

/// Starts a server that lives as long as the tests, with further flags of `serve`.
pub fn start(flags: &[&str]) -> SocketAddr {
    let (sender, address) = mpsc::channel();
    let config = config(flags);
    thread::spawn(move || {
        let folder = TempDir::new().unwrap();
        let place = CatalogueConfig { data_dir: folder.path().join("catalogue"), ..config.catalogue.clone() };
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let inference = Arc::clone(&MODELS);
            let catalogue = open_catalogue(&place, &inference).await.unwrap();
            let photos = PhotoFetcher::new(&config.limits).unwrap();
            let intake =
                Intake::new(inference, config.limits.photo_limits()).with_cache(config.limits.cache_bytes());
            LazyLock::force(&METRICS);
            let state = AppState::new(intake, catalogue, photos, config.limits.timeout());
            let gate = gate(&config).unwrap();
            let tls = match config.front.tls().unwrap() {
                Some(files) => Some(Tls::load(files).await.unwrap()),
                None => None,
            };
            let serving = Serving::new(state, Arc::new(|| Ok(Arc::clone(&MODELS))));
            let router = api::router(serving, gate.clone());
            let _upkeep = upkeep(&config, gate.admission, tls.clone());
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            front::serve(listener, router, tls, config.front.bounds(), Stop::default()).await.unwrap();
        });
    });
    address.recv().unwrap()
}

/// What takes listings in, over the tests' models.
pub fn intake() -> Intake {
    Intake::new(Arc::clone(&MODELS), config(&[]).limits.photo_limits())
}

/// The models behind every server of the tests.
pub fn models() -> &'static Inference {
    &MODELS
}

/// Where the tests' shared server listens.
pub fn address() -> SocketAddr {
    *SERVER
}

/// Address of a route on the tests' shared server.
pub fn url(route: &str) -> String {
    format!("http://{}{route}", *SERVER)
}

pub fn client() -> Client {
    Client::builder().no_proxy().timeout(None).build().unwrap()
}

pub fn post_json(route: &str, body: &Value) -> (u16, Value) {
    answer(client().post(url(route)).json(body))
}

pub fn put_json(route: &str, body: &Value) -> (u16, Value) {
    answer(client().put(url(route)).json(body))
}

pub fn get(route: &str) -> (u16, Value) {
    answer(client().get(url(route)))
}

/// Status and JSON body of the answer; a problem must be one in every respect.
pub fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().unwrap();
    let status = response.status().as_u16();
    if status >= 400 {
        return (status, problem(response));
    }
    (status, response.json().unwrap_or(Value::Null))
}

fn problem(response: Response) -> Value {
    let status = response.status().as_u16();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/problem+json");
    let id = header("x-request-id");
    let body: Value = response.json().unwrap();
    assert_eq!(body["status"], status);
    assert_eq!(body["request_id"], id.as_str());
    assert!(!body["detail"].as_str().unwrap().is_empty());
    body
}

/// Bytes of a photo of the sample listings.
pub fn photo(name: &str) -> Vec<u8> {
    std::fs::read(repository("sample/photos").join(name)).unwrap()
}

pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Waits until it holds, for as long as a change may take to be seen on a busy machine.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(50));
    }
}
