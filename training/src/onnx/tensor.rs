//! Initialisers: constant tensors inside the file, as raw little-endian bytes.

use half::f16;

use super::proto::{TensorProto, tensor_proto::DataType};
use crate::weights::HostTensor;

/// How weights of two or more dimensions are stored. Arithmetic is float32 either way.
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

    /// Biases and normalisation parameters are small and sensitive, and values beyond float16's range would become
    /// infinite: both stay float32.
    pub(super) fn applies_half_to(self, tensor: &HostTensor) -> bool {
        let largest = f16::MAX.to_f32();
        self == Self::Float16
            && tensor.shape.len() >= 2
            && tensor.data.iter().all(|value| value.abs() <= largest)
    }
}

/// A type that elements of a graph value can have.
pub trait Element {
    const DATA_TYPE: DataType;
}

impl Element for f32 {
    const DATA_TYPE: DataType = DataType::Float;
}

impl Element for f16 {
    const DATA_TYPE: DataType = DataType::Float16;
}

impl Element for i64 {
    const DATA_TYPE: DataType = DataType::Int64;
}

impl Element for u8 {
    const DATA_TYPE: DataType = DataType::Uint8;
}

impl Element for bool {
    const DATA_TYPE: DataType = DataType::Bool;
}

pub(super) fn float32(name: &str, shape: &[usize], data: &[f32]) -> TensorProto {
    let raw = data.iter().flat_map(|value| value.to_le_bytes()).collect();
    initialiser::<f32>(name, shape, raw)
}

pub(super) fn float16(name: &str, shape: &[usize], data: &[f32]) -> TensorProto {
    let raw = data.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect();
    initialiser::<f16>(name, shape, raw)
}

pub(super) fn int64(name: &str, shape: &[usize], data: &[i64]) -> TensorProto {
    let raw = data.iter().flat_map(|value| value.to_le_bytes()).collect();
    initialiser::<i64>(name, shape, raw)
}

fn initialiser<T: Element>(name: &str, shape: &[usize], raw: Vec<u8>) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: shape.iter().map(|&dim| dim as i64).collect(),
        data_type: T::DATA_TYPE as i32,
        raw_data: raw,
        ..TensorProto::default()
    }
}
