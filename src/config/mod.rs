//! Every knob of the server: one struct, each flag also an environment variable, all of it checked before anything starts.

mod access;
pub mod effective;
pub mod file;
mod front;

use std::{net::SocketAddr, path::PathBuf, thread::available_parallelism, time::Duration};

use anyhow::bail;
use clap::Args;

pub use self::{access::AccessConfig, front::FrontConfig};
use crate::{
    artefacts::PrecisionChoice,
    catalogue::cluster::ClusterOptions,
    inference::{BatchSizes, Device, InferenceOptions, Patience},
    preprocess::PhotoLimits,
    secret::Secret,
};

/// What `serve` needs: the models and the catalogue, and how to meet the network.
#[derive(Debug, Clone, Args)]
pub struct ServeConfig {
    /// Address and port to listen on. One that other machines can reach needs --api-keys-file or --open
    #[arg(long, env = "MARKETRANK_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    #[command(flatten)]
    pub models: ModelConfig,

    #[command(flatten)]
    pub catalogue: CatalogueConfig,

    #[command(flatten)]
    pub access: AccessConfig,

    #[command(flatten)]
    pub front: FrontConfig,

    #[command(flatten)]
    pub limits: LimitConfig,

    /// Count nothing; `/metrics` is then answered 503
    #[arg(long, env = "MARKETRANK_NO_METRICS")]
    pub no_metrics: bool,

    /// On SIGTERM, requests in flight get this many seconds to finish
    #[arg(long, env = "MARKETRANK_SHUTDOWN_GRACE", default_value_t = 30, value_name = "SECONDS")]
    pub shutdown_grace: u64,
}

/// Where the models are and what they may use of the machine.
#[derive(Debug, Clone, Args)]
pub struct ModelConfig {
    /// Folder with manifest.json and the files it names
    #[arg(long, env = "MARKETRANK_MODELS", default_value = "models", value_name = "FOLDER")]
    pub models: PathBuf,

    /// The ONNX Runtime shared library, 1.24 or newer; `make setup` puts it at the default place
    #[arg(
        long,
        env = "MARKETRANK_ONNXRUNTIME",
        default_value = ".cache/onnxruntime/libonnxruntime.so",
        value_name = "FILE"
    )]
    pub onnxruntime: PathBuf,

    /// `auto` takes CUDA where there is one and says in the log why not; `cuda` refuses to start without
    #[arg(long, env = "MARKETRANK_DEVICE", value_enum, default_value_t)]
    pub device: Device,

    /// `auto` takes int8 on the CPU where the models come in it, which is faster for a little accuracy (the model card says how
    /// little), and a float on CUDA; the others demand one
    #[arg(long, env = "MARKETRANK_PRECISION", value_enum, default_value_t)]
    pub precision: PrecisionChoice,

    /// Sessions of each model, each with its own weights. A core of its own for each serves most requests; fewer with more
    /// threads take less memory [default: one a core, at most 4; 1 on CUDA]
    #[arg(long, env = "MARKETRANK_WORKERS", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: Option<u16>,

    /// Threads inside one session [default: the machine's cores, shared between the workers]
    #[arg(long, env = "MARKETRANK_THREADS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,

    /// Examples a model takes at once. Larger batches keep a GPU busy and raise the wait of each request in them; a CPU gains
    /// little by them and loses by padding. On CUDA photos run in batches of powers of two up to this many [default: 4; 32 on CUDA]
    #[arg(long, env = "MARKETRANK_MAX_BATCH", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub max_batch: Option<u16>,

    /// How long a batch that is not full may wait for more examples. Raises throughput on a GPU and the wait of every request; on a
    /// CPU a batch forms by itself while the one before it runs
    #[arg(long, env = "MARKETRANK_BATCH_WAIT_US", default_value_t = 0, value_name = "MICROSECONDS", value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    pub batch_wait_us: u64,

    /// Examples that may be on their way through a model before requests are answered 429
    #[arg(long, env = "MARKETRANK_QUEUE", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub queue: u32,

    /// A request that would wait longer for its model is answered 429 at once. Higher refuses fewer requests of a short burst
    #[arg(long, env = "MARKETRANK_MAX_WAIT_MS", default_value_t = 250, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub max_wait_ms: u64,

    /// The same while more is asked of the model than it can do: what is answered then is answered fast. As high as --max-wait-ms:
    /// no difference is made
    #[arg(long, env = "MARKETRANK_OVERLOAD_WAIT_MS", default_value_t = 12, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub overload_wait_ms: u64,
}

/// Where listings are kept.
#[derive(Debug, Clone, Args)]
pub struct CatalogueConfig {
    /// Folder of the embedded catalogue; made where it is missing
    #[arg(long, env = "MARKETRANK_DATA_DIR", default_value = "data/catalogue", value_name = "FOLDER")]
    pub data_dir: PathBuf,

    /// Keep the catalogue in a Qdrant server or cluster instead: gRPC addresses of its nodes, with commas between them. Any
    /// node will do; the others are asked where one does not answer
    #[arg(long, env = "MARKETRANK_QDRANT", value_delimiter = ',', value_name = "http://HOST:6334")]
    pub qdrant: Vec<String>,

    #[command(flatten)]
    pub cluster: ClusterConfig,
}

/// How a Qdrant cluster is asked, and how a collection is made where there is none.
#[derive(Debug, Clone, Args)]
pub struct ClusterConfig {
    /// Key that the cluster asks for
    #[arg(long, env = "MARKETRANK_QDRANT_API_KEY", value_name = "KEY", hide_env_values = true)]
    pub qdrant_api_key: Option<Secret>,

    /// First part of the collection's name; the version of the models is the second, so that new models never meet the
    /// embeddings of old ones
    #[arg(long, env = "MARKETRANK_QDRANT_COLLECTION", default_value = "marketrank", value_name = "NAME")]
    pub qdrant_collection: String,

    /// A node that does not answer in this time is given up for the next
    #[arg(long, env = "MARKETRANK_QDRANT_TIMEOUT_MS", default_value_t = 2_000, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub qdrant_timeout_ms: u64,

    /// Shards of a new collection: at least one a node, or some have nothing to do
    #[arg(long, env = "MARKETRANK_QDRANT_SHARDS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub qdrant_shards: u32,

    /// Copies of each shard of a new collection; with two, reads go on when a node is away
    #[arg(long, env = "MARKETRANK_QDRANT_REPLICAS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub qdrant_replicas: u32,

    /// Copies of a new collection's shard that must have taken a write before it is acknowledged. More survive the loss of
    /// more nodes, and need more nodes to be there
    #[arg(long, env = "MARKETRANK_QDRANT_WRITE_CONSISTENCY", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub qdrant_write_consistency: u32,
}

/// What a request may cost.
#[derive(Debug, Clone, Args)]
pub struct LimitConfig {
    /// Memory for answers of the models, so that a listing or a query that comes again is not looked at again; 0 keeps none
    #[arg(long, env = "MARKETRANK_CACHE_MB", default_value_t = 64, value_name = "MIB", value_parser = clap::value_parser!(u32).range(0..=65_536))]
    pub cache_mb: u32,

    /// A request that is not answered in this time gets 504
    #[arg(long, env = "MARKETRANK_TIMEOUT_MS", default_value_t = 10_000, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub timeout_ms: u64,

    /// Largest request body; eight photos must fit
    #[arg(long, env = "MARKETRANK_MAX_BODY_MB", default_value_t = 64, value_name = "MIB", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub max_body_mb: u16,

    /// Memory for the bodies of all requests under way together; a request that does not fit gets 429
    #[arg(long, env = "MARKETRANK_MAX_BODIES_MB", default_value_t = 1024, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub max_bodies_mb: u32,

    /// Largest photo file
    #[arg(long, env = "MARKETRANK_MAX_PHOTO_MB", default_value_t = 12, value_name = "MIB", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub max_photo_mb: u16,

    /// Refuse photos given by URL
    #[arg(long, env = "MARKETRANK_NO_FETCH")]
    pub no_fetch: bool,

    /// Fetch photos from private and loopback addresses too. Only where every client is trusted: it lets them reach
    /// what this machine can reach
    #[arg(long, env = "MARKETRANK_FETCH_PRIVATE")]
    pub fetch_private: bool,
}

impl ModelConfig {
    /// Most workers of a model that are started unasked.
    const MAX_WORKERS: usize = 4;

    pub fn inference_options(&self, on_cuda: bool) -> InferenceOptions {
        let cores = available_parallelism().map_or(1, usize::from);
        let (workers, max_batch) = if on_cuda { (1, 32) } else { (cores.min(Self::MAX_WORKERS), 4) };
        let workers = self.workers.map_or(workers, usize::from);
        InferenceOptions {
            precision: self.precision,
            workers,
            threads: self.threads.map_or((cores / workers).max(1), usize::from),
            max_batch: self.max_batch.map_or(max_batch, usize::from),
            batch_sizes: BatchSizes::suited_to(on_cuda),
            batch_wait: Duration::from_micros(self.batch_wait_us),
            queue: self.queue as usize,
            patience: Patience {
                burst: Duration::from_millis(self.max_wait_ms),
                overloaded: Duration::from_millis(self.overload_wait_ms),
            },
        }
    }
}

impl ClusterConfig {
    /// For the cluster with these nodes.
    pub fn options(&self, addresses: &[String]) -> ClusterOptions {
        ClusterOptions {
            addresses: addresses.to_vec(),
            api_key: self.qdrant_api_key.clone(),
            collection: self.qdrant_collection.clone(),
            timeout: Duration::from_millis(self.qdrant_timeout_ms),
            shards: self.qdrant_shards,
            replicas: self.qdrant_replicas,
            write_consistency: self.qdrant_write_consistency,
        }
    }
}

impl LimitConfig {
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    pub fn cache_bytes(&self) -> u64 {
        u64::from(self.cache_mb) << 20
    }

    pub fn max_body_bytes(&self) -> usize {
        usize::from(self.max_body_mb) << 20
    }

    /// # Errors
    /// If one body that is allowed would never fit.
    pub fn all_body_bytes(&self) -> anyhow::Result<usize> {
        let bytes = (self.max_bodies_mb as usize) << 20;
        if bytes < self.max_body_bytes() {
            bail!(
                "--max-bodies-mb {} is less than --max-body-mb {}: raise it",
                self.max_bodies_mb,
                self.max_body_mb
            );
        }
        Ok(bytes)
    }

    pub fn photo_limits(&self) -> PhotoLimits {
        PhotoLimits { max_bytes: usize::from(self.max_photo_mb) << 20, ..PhotoLimits::default() }
    }
}
