//! Who may ask, and how often.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use crate::access::{Access, KeyFile, RateLimits};

/// Keys, rates and origins.
#[derive(Debug, Clone, Args)]
pub struct AccessConfig {
    /// File of the API keys that are let in, a key a line as `marketrank keys new` prints it. It is read again when it
    /// changes
    #[arg(long, env = "MARKETRANK_API_KEYS_FILE", value_name = "FILE")]
    pub api_keys_file: Option<PathBuf>,

    /// Let everyone in who reaches --listen, without API keys. Needed where that is not loopback, so that nobody opens the
    /// door by accident
    #[arg(long, env = "MARKETRANK_OPEN")]
    pub open: bool,

    /// Requests a second of each API key; more are answered 429 [default: no limit]
    #[arg(long, env = "MARKETRANK_RATE_PER_KEY", value_name = "REQUESTS")]
    pub rate_per_key: Option<NonZeroU32>,

    /// Requests a second from each address, probes not counted; more are answered 429 [default: no limit]. Behind a proxy
    /// all come from the proxy's
    #[arg(long, env = "MARKETRANK_RATE_PER_ADDRESS", value_name = "REQUESTS")]
    pub rate_per_address: Option<NonZeroU32>,

    /// Origins whose web pages may call this server from a browser (CORS), with commas between them; `*` is any
    /// [default: none]
    #[arg(long, env = "MARKETRANK_CORS_ORIGIN", value_delimiter = ',', value_name = "https://HOST")]
    pub cors_origin: Vec<String>,
}

impl AccessConfig {
    /// Refuses to let the world in by accident.
    pub fn check_reach(&self, listen: SocketAddr) -> anyhow::Result<()> {
        if self.api_keys_file.is_some() || self.open || listen.ip().is_loopback() {
            return Ok(());
        }
        bail!(
            "--listen {listen} can be reached from other machines, and no API keys are asked for; give \
             --api-keys-file (`marketrank keys new` makes a key), or --open to let everyone in"
        )
    }

    /// The keys of the file, where there is one.
    pub fn access(&self) -> anyhow::Result<Access> {
        let Some(path) = &self.api_keys_file else { return Ok(Access::open()) };
        let keys =
            KeyFile::read(path).with_context(|| format!("the key file {} cannot be used", path.display()))?;
        if keys.is_empty() {
            tracing::warn!(file = %path.display(), "the key file holds no key: nobody is let in");
        }
        Ok(Access::by_keys(keys))
    }

    pub fn rate_limits(&self) -> RateLimits {
        RateLimits::new(self.rate_per_key, self.rate_per_address)
    }
}
