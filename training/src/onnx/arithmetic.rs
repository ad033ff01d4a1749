//! In which numbers a model computes and is stored.

use std::rc::Rc;

use half::f16;

use super::calibration::Calibration;
use crate::weights::HostTensor;

/// How weights of two or more dimensions are stored where arithmetic is float32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Precision {
    Float32,
    /// Half the size; each weight keeps 11 significant bits.
    Float16,
}

impl Precision {
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
        }
    }
}

/// What a [`GraphBuilder`](super::GraphBuilder) makes of the networks that are written with it.
#[derive(Debug, Clone)]
pub enum Arithmetic {
    /// Computed in float32, from weights stored in this precision.
    Float(Precision),
    /// Computed in float32, with every activation that int8 would round as a further output: what calibration runs.
    Observed,
    /// Weights and activations of the networks and of the photo's wide projection in int8, the other heads' weights stored as
    /// float16. An activation that calibration has not seen stays float32.
    Int8(Rc<Calibration>),
}

impl From<Precision> for Arithmetic {
    fn from(precision: Precision) -> Self {
        Self::Float(precision)
    }
}

impl Arithmetic {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Float(precision) => precision.name(),
            Self::Observed => Precision::Float32.name(),
            Self::Int8(_) => "int8",
        }
    }

    /// Whether the model is made for integer arithmetic, and so for a CPU.
    pub(super) fn is_int8(&self) -> bool {
        matches!(self, Self::Int8(_))
    }

    /// Biases and normalisation parameters are small and sensitive, and values beyond float16's range would become
    /// infinite: both stay float32.
    pub(super) fn stores_half(&self, tensor: &HostTensor) -> bool {
        let largest = f16::MAX.to_f32();
        matches!(self, Self::Float(Precision::Float16) | Self::Int8(_))
            && tensor.shape.len() >= 2
            && tensor.data.iter().all(|value| value.abs() <= largest)
    }
}
