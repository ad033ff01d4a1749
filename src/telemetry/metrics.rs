//! Every metric of the server, in Prometheus' naming: what is counted, in which buckets, and the one function that counts it.
//!
//! Where no recorder is installed (training, tests of a part) counting does nothing.

use std::{sync::OnceLock, time::Duration};

use ::metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::inference::Model;

const HTTP_REQUESTS: &str = "marketrank_http_requests_total";
const HTTP_SECONDS: &str = "marketrank_http_request_seconds";
const QUEUE_DEPTH: &str = "marketrank_queue_depth";
const QUEUE_WAIT: &str = "marketrank_queue_wait_seconds";
const BATCH_SIZE: &str = "marketrank_batch_size";
const INFERENCE_SECONDS: &str = "marketrank_inference_seconds";
const DECODE_SECONDS: &str = "marketrank_decode_seconds";
const ENGINE_SECONDS: &str = "marketrank_engine_seconds";
const CACHE_REQUESTS: &str = "marketrank_cache_requests_total";
const CACHE_BYTES: &str = "marketrank_cache_bytes";
const CATALOGUE_PRODUCTS: &str = "marketrank_catalogue_products";
const PREDICTIONS: &str = "marketrank_predictions_total";
const CONFIDENCE: &str = "marketrank_confidence";
const RESIDENT_BYTES: &str = "marketrank_process_resident_bytes";

/// From a cache hit to the longest deadline that makes sense, about three to a decade.
const SECONDS: [f64; 15] =
    [0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 3.0, 10.0];
const BATCHES: [f64; 9] = [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0, 64.0];
const SHARES: [f64; 10] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

/// Renders what was counted. There is one of it in a process, as there is one recorder.
pub struct Metrics(PrometheusHandle);

static INSTALLED: OnceLock<Metrics> = OnceLock::new();

/// Values that are looked at only when somebody asks.
#[derive(Debug, Clone, Default)]
pub struct Gauges {
    /// Examples on their way through each model.
    pub queue_depth: Vec<(Model, usize)>,
    /// Bytes of remembered predictions.
    pub cache_bytes: u64,
    /// Products in the catalogue; none where it does not answer.
    pub products: Option<u64>,
}

impl Metrics {
    /// Makes the process count from now on. Called again, it changes nothing.
    pub fn install() -> anyhow::Result<&'static Self> {
        if let Some(installed) = Self::installed() {
            return Ok(installed);
        }
        let mut builder = PrometheusBuilder::new();
        for seconds in [HTTP_SECONDS, QUEUE_WAIT, INFERENCE_SECONDS, DECODE_SECONDS, ENGINE_SECONDS] {
            builder = builder.set_buckets_for_metric(Matcher::Full(seconds.into()), &SECONDS)?;
        }
        let handle = builder
            .set_buckets_for_metric(Matcher::Full(BATCH_SIZE.into()), &BATCHES)?
            .set_buckets_for_metric(Matcher::Full(CONFIDENCE.into()), &SHARES)?
            .install_recorder()?;
        describe();
        Ok(INSTALLED.get_or_init(|| Self(handle)))
    }

    /// None where the process does not count.
    pub fn installed() -> Option<&'static Self> {
        INSTALLED.get()
    }

    /// Everything in Prometheus' text form.
    pub fn render(&self, gauges: &Gauges) -> String {
        for (model, depth) in &gauges.queue_depth {
            gauge!(QUEUE_DEPTH, "model" => model.name()).set(*depth as f64);
        }
        gauge!(CACHE_BYTES, "cache" => "predictions").set(gauges.cache_bytes as f64);
        if let Some(products) = gauges.products {
            gauge!(CATALOGUE_PRODUCTS).set(products as f64);
        }
        if let Some(bytes) = resident_bytes() {
            gauge!(RESIDENT_BYTES).set(bytes as f64);
        }
        self.0.run_upkeep();
        self.0.render()
    }
}

fn describe() {
    describe_counter!(HTTP_REQUESTS, "Requests answered, by route, method and status");
    describe_histogram!(HTTP_SECONDS, "Seconds from a request's head to its answer's head");
    describe_gauge!(QUEUE_DEPTH, "Examples let in to a model and not answered yet");
    describe_histogram!(QUEUE_WAIT, "Seconds an example waited for a worker");
    describe_histogram!(BATCH_SIZE, "Examples in one run of a model");
    describe_histogram!(INFERENCE_SECONDS, "Seconds of one run of a model");
    describe_histogram!(DECODE_SECONDS, "Seconds to decode and scale one photo");
    describe_histogram!(ENGINE_SECONDS, "Seconds of one operation of the catalogue");
    describe_counter!(CACHE_REQUESTS, "Look-ups in a cache, by what came of them");
    describe_gauge!(CACHE_BYTES, "Bytes a cache holds");
    describe_gauge!(CATALOGUE_PRODUCTS, "Products in the catalogue");
    describe_counter!(PREDICTIONS, "Listings by the category predicted for them: a drift shows here first");
    describe_histogram!(CONFIDENCE, "Confidence of the predicted category");
    describe_gauge!(RESIDENT_BYTES, "Resident memory of the process");
}

/// A request was answered. `route` is the pattern, not the path, so that ids do not multiply the series.
pub fn request(route: &str, method: &'static str, status: u16, took: Duration) {
    let route = route.to_owned();
    counter!(HTTP_REQUESTS, "route" => route.clone(), "method" => method, "status" => status.to_string())
        .increment(1);
    histogram!(HTTP_SECONDS, "route" => route).record(took);
}

/// An example was taken from the queue.
pub fn queue_wait(model: Model, waited: Duration) {
    histogram!(QUEUE_WAIT, "model" => model.name()).record(waited);
}

/// A model ran.
pub fn batch(model: Model, examples: usize, took: Duration) {
    histogram!(BATCH_SIZE, "model" => model.name()).record(examples as f64);
    histogram!(INFERENCE_SECONDS, "model" => model.name()).record(took);
}

/// A photo was decoded and scaled.
pub fn decoded(took: Duration) {
    histogram!(DECODE_SECONDS).record(took);
}

/// The catalogue did something.
pub fn engine(operation: &'static str, took: Duration) {
    histogram!(ENGINE_SECONDS, "operation" => operation).record(took);
}

/// A cache was asked.
pub fn cache_request(cache: &'static str, hit: bool) {
    let outcome = if hit { "hit" } else { "miss" };
    counter!(CACHE_REQUESTS, "cache" => cache, "outcome" => outcome).increment(1);
}

/// A listing was given a category.
pub fn prediction(model: Model, category: &str, confidence: f32) {
    counter!(PREDICTIONS, "model" => model.name(), "category" => category.to_owned()).increment(1);
    histogram!(CONFIDENCE, "model" => model.name()).record(f64::from(confidence));
}

/// Resident memory of this process, from `/proc`; none where there is no such thing.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
