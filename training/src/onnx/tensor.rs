//! Initialisers: constant tensors inside the file, as raw little-endian bytes.

use half::f16;

use super::proto::{TensorProto, tensor_proto::DataType};

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

impl Element for i32 {
    const DATA_TYPE: DataType = DataType::Int32;
}

impl Element for i8 {
    const DATA_TYPE: DataType = DataType::Int8;
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

pub(super) fn int32(name: &str, shape: &[usize], data: &[i32]) -> TensorProto {
    let raw = data.iter().flat_map(|value| value.to_le_bytes()).collect();
    initialiser::<i32>(name, shape, raw)
}

pub(super) fn int8(name: &str, shape: &[usize], data: &[i8]) -> TensorProto {
    let raw = data.iter().flat_map(|value| value.to_le_bytes()).collect();
    initialiser::<i8>(name, shape, raw)
}

pub(super) fn uint8(name: &str, shape: &[usize], data: &[u8]) -> TensorProto {
    initialiser::<u8>(name, shape, data.to_vec())
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
