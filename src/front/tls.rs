//! The certificate, and a new one without a restart.

use std::{io, path::PathBuf};

use axum_server::tls_rustls::RustlsConfig;
use tracing::{error, info};

use crate::watched::Watched;

/// Where certificate and key are, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate first, then those that vouch for it.
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// TLS 1.2 and 1.3 with a certificate that may be replaced.
#[derive(Debug, Clone)]
pub struct Tls {
    files: TlsFiles,
    config: RustlsConfig,
}

/// Why certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "the certificate {cert} with the key {key} cannot be used: {reason}; give --tls-cert a PEM file of certificates and --tls-key the private key of the first"
)]
pub struct TlsError {
    cert: PathBuf,
    key: PathBuf,
    reason: io::Error,
}

impl Tls {
    pub async fn load(files: TlsFiles) -> Result<Self, TlsError> {
        match RustlsConfig::from_pem_file(&files.cert, &files.key).await {
            Ok(config) => Ok(Self { files, config }),
            Err(reason) => Err(files.refused(reason)),
        }
    }

    pub(super) fn config(&self) -> RustlsConfig {
        self.config.clone()
    }

    /// Takes the files up again whenever they change; connections made before keep the certificate they began with. Files
    /// that cannot be used leave the old certificate in force. Never returns.
    pub async fn keep_up(self) {
        let Self { files, config } = self;
        let mut watched = Watched::new(vec![files.cert.clone(), files.key.clone()]);
        loop {
            watched.changed().await;
            match config.reload_from_pem_file(&files.cert, &files.key).await {
                Ok(()) => info!(cert = %files.cert.display(), "the certificate was read"),
                Err(reason) => error!("{}; the one from before stays in force", files.refused(reason)),
            }
        }
    }
}

impl TlsFiles {
    fn refused(&self, reason: io::Error) -> TlsError {
        TlsError { cert: self.cert.clone(), key: self.key.clone(), reason }
    }
}
