//! Where tensors live and networks run.

use burn::tensor::Device;

/// The hardware to compute on. Values of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Hardware {
    /// All cores of this machine.
    Cpu,
    /// The first NVIDIA GPU.
    #[cfg(feature = "cuda")]
    Cuda,
}

impl Hardware {
    /// The device, without automatic differentiation: `Device::autodiff` adds that for training.
    pub fn device(self) -> Device {
        match self {
            Self::Cpu => Device::flex(),
            #[cfg(feature = "cuda")]
            Self::Cuda => Device::cuda(0),
        }
    }
}
