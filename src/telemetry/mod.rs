//! What the server tells of itself: logs (readable lines for people, JSON for machines), metrics, traces.

pub mod metrics;
mod traces;

use std::io::IsTerminal;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use traces::Exporter;
pub use traces::continue_trace;

/// What is logged unless told otherwise: what the server does, and what libraries warn of. The engine warns at every
/// start of settings it has defaults for.
pub const DEFAULT_FILTER: &str = "warn,marketrank=info,ort=error,qdrant_edge=error";

/// Form of a log line, on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Where logs and traces go.
#[derive(Debug, Clone, Args)]
pub struct TelemetryConfig {
    /// Form of the log, on standard error
    #[arg(long, global = true, env = "MARKETRANK_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// What to log: a level, or a level per module (`marketrank=debug,warn`)
    #[arg(long, global = true, env = "MARKETRANK_LOG", default_value = DEFAULT_FILTER, value_name = "FILTER")]
    pub log: String,

    /// Send traces to this OpenTelemetry collector over gRPC; `OTEL_TRACES_SAMPLER` says which
    #[arg(
        long,
        global = true,
        env = "MARKETRANK_OTLP_ENDPOINT",
        value_name = "http://HOST:4317",
        hide_env_values = true
    )]
    pub otlp_endpoint: Option<String>,
}

/// Sends the last traces when it is dropped, at the end of the process.
#[must_use]
pub struct Telemetry(#[expect(dead_code, reason = "held for its drop")] Option<Exporter>);

/// Starts logs and traces for the process.
pub fn init(config: &TelemetryConfig) -> anyhow::Result<Telemetry> {
    let filter = EnvFilter::try_new(&config.log)
        .map_err(|error| anyhow!("--log {:?} is no log filter: {error}", config.log))?;
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let lines = match config.log_format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let exporter = config.otlp_endpoint.as_deref().map(Exporter::to).transpose()?;
    let spans =
        exporter.as_ref().map(|exporter| tracing_opentelemetry::layer().with_tracer(exporter.tracer()));
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .with(spans)
        .try_init()
        .map_err(|error| anyhow!("logging does not start: {error}"))?;
    Ok(Telemetry(exporter))
}
