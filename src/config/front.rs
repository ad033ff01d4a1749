//! How the server meets the network.

use std::{path::PathBuf, time::Duration};

use anyhow::bail;
use clap::Args;

use crate::front::{Bounds, TlsFiles};

/// TLS, and what connections and slow clients may cost.
#[derive(Debug, Clone, Args)]
pub struct FrontConfig {
    /// Certificate chain (PEM), to serve https instead of http; read again when it changes
    #[arg(long, env = "MARKETRANK_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// Private key (PEM) of --tls-cert; read again when it changes
    #[arg(long, env = "MARKETRANK_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Connections that may be open at once; one more is closed as soon as it is made
    #[arg(long, env = "MARKETRANK_MAX_CONNECTIONS", default_value_t = 1_024, value_name = "CONNECTIONS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,

    /// A connection on which no whole request head arrives in this time is closed, an idle one too
    #[arg(long, env = "MARKETRANK_HEADER_TIMEOUT_MS", default_value_t = 20_000, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub header_timeout_ms: u64,

    /// A body may keep the server waiting this long, and a second longer for each KiB that has come; then 408
    #[arg(long, env = "MARKETRANK_BODY_TIMEOUT_MS", default_value_t = 20_000, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub body_timeout_ms: u64,
}

impl FrontConfig {
    /// Certificate and key, where https is served.
    pub fn tls(&self) -> anyhow::Result<Option<TlsFiles>> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert: cert.clone(), key: key.clone() })),
            (None, None) => Ok(None),
            (Some(_), None) => bail!("--tls-cert needs --tls-key, the private key of the certificate"),
            (None, Some(_)) => bail!("--tls-key needs --tls-cert, the certificate of the key"),
        }
    }

    pub fn bounds(&self) -> Bounds {
        Bounds {
            connections: self.max_connections as usize,
            header_timeout: Duration::from_millis(self.header_timeout_ms),
        }
    }

    pub fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }
}
