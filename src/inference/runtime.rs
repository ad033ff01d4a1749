//! The ONNX Runtime library, loaded once, and the device its sessions run on.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ort::{
    environment::Environment,
    ep::{self, ExecutionProvider, ExecutionProviderDispatch},
    session::{Session, builder::GraphOptimizationLevel},
};
use tracing::info;

use crate::memory;

/// Where the models run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Device {
    /// CUDA where ONNX Runtime finds a device, the CPU otherwise.
    #[default]
    Auto,
    Cpu,
    /// CUDA, or no start at all.
    Cuda,
}

/// A loaded ONNX Runtime.
#[derive(Debug)]
pub struct Runtime {
    environment: Environment,
    cuda: bool,
}

/// Why ONNX Runtime cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    #[error(
        "the ONNX Runtime library {path} does not load: {reason}; run `make setup`, or give --onnxruntime the path of a libonnxruntime.so of version 1.24 or newer"
    )]
    Library { path: PathBuf, reason: String },
    #[error(
        "--device cuda was demanded, but {reason}; install onnxruntime-gpu and the CUDA libraries, or use --device auto"
    )]
    NoCuda { reason: String },
    #[error("ONNX Runtime does not start")]
    Environment(#[from] ort::Error),
}

impl Runtime {
    /// Loads the library and settles the device: says in the log what was chosen, and why not CUDA.
    pub fn load(library: &Path, device: Device) -> Result<Self, RuntimeError> {
        memory::keep_large_blocks_apart();
        let environment = ort::init_from(library)
            .map_err(|error| RuntimeError::Library { path: library.into(), reason: error.to_string() })?
            .with_name("marketrank")
            .with_telemetry(false)
            .build()?;
        let mut runtime = Self { environment, cuda: device != Device::Cpu };
        if device != Device::Cpu
            && let Err(reason) = runtime.try_cuda()
        {
            if device == Device::Cuda {
                return Err(RuntimeError::NoCuda { reason });
            }
            info!(%reason, "no CUDA device, the models run on the CPU");
            runtime.cuda = false;
        }
        info!(library = %library.display(), device = runtime.device(), "ONNX Runtime is loaded");
        Ok(runtime)
    }

    /// `cuda` or `cpu`.
    pub fn device(&self) -> &'static str {
        if self.cuda { "cuda" } else { "cpu" }
    }

    pub fn on_cuda(&self) -> bool {
        self.cuda
    }

    /// Opens a model file with this many threads inside a run.
    pub fn open(&self, path: &Path, threads: usize) -> ort::Result<Session> {
        let mut builder = Session::builder(&self.environment)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(threads)?
            // The threads of a run wait for each other hundreds of times in it, too shortly to sleep. Between runs they would cost the
            // HTTP side its cores.
            .with_intra_op_spinning(true)?
            .with_config_entry("session.force_spinning_stop", "1")?;
        if !has_vnni() {
            // The fast integer kernels overflow in 16 bits there; this takes the exact ones, at twice the time.
            builder = builder.with_config_entry("session.x64quantprecision", "1")?;
        }
        if self.cuda {
            builder = builder.with_execution_providers([cuda()])?;
        }
        builder.commit_from_file(path)
    }

    /// Whether a session can be set up on CUDA; the reason where it cannot.
    fn try_cuda(&self) -> Result<(), String> {
        match ep::CUDA::is_available() {
            Ok(true) => {}
            Ok(false) => return Err("this ONNX Runtime was built without CUDA".into()),
            Err(error) => return Err(error.to_string()),
        }
        let builder = Session::builder(&self.environment).map_err(|error| error.to_string())?;
        builder.with_execution_providers([cuda()]).map(drop).map_err(|error| error.to_string())
    }
}

/// CUDA as the models are run on it. cuDNN would try every algorithm for every convolution at each new size of a batch, which takes
/// seconds; asked for the one that it expects to be fastest, it answers at once.
fn cuda() -> ExecutionProviderDispatch {
    ep::CUDA::default()
        .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic)
        .build()
        .error_on_failure()
}

/// Whether the processor sums products of bytes in 32 bits. Others than Intel's and AMD's have no such trouble.
#[cfg(target_arch = "x86_64")]
fn has_vnni() -> bool {
    std::arch::is_x86_feature_detected!("avx512vnni") || std::arch::is_x86_feature_detected!("avxvnni")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_vnni() -> bool {
    true
}
