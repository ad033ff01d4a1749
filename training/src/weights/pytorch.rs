//! Files of `torch.save`: the zip archive of PyTorch 1.6 and later, and the stream of pickles before it.
//!
//! The pickle machine is `pytorch-reader`, of the burn project. It calls nothing that a pickle names: it knows how
//! tensors and dictionaries are rebuilt and keeps any other object as an inert name. Here such a name is a refusal,
//! because a file of weights has no business holding one.

use std::fs;
use std::path::Path;

use pytorch_reader::{DType, PickleValue, PytorchError, PytorchReader, Tensor};

use super::float_encoding::FloatEncoding;
use super::{HostTensor, StateDict, WeightsError};

/// How often the same storage may be counted: tied weights are one storage under several names.
const LARGEST_TENSORS_TO_FILE: u64 = 4;

/// Reads the float tensors of a PyTorch file, views (strides, offsets) laid out in C order.
pub(super) fn read(path: &Path) -> Result<StateDict, WeightsError> {
    let malformed = |source| match source {
        PytorchError::InvalidFormat(reason) if reason.starts_with("not a PyTorch checkpoint") => {
            WeightsError::Unrecognised { path: path.to_owned() }
        }
        source => WeightsError::Pytorch { path: path.to_owned(), source },
    };
    let contents = PytorchReader::read_pickle_data(path, None).map_err(malformed)?;
    if let Some(object) = foreign_object(&contents) {
        return Err(WeightsError::ForeignObject { path: path.to_owned(), object: object.to_owned() });
    }
    let file = PytorchReader::new(path).map_err(malformed)?;
    refuse_oversized(path, &file)?;

    let mut weights = StateDict::default();
    for (name, tensor) in file.tensors() {
        let Some(encoding) = float_encoding(tensor) else { continue };
        let bytes = tensor.read().map_err(|source| WeightsError::unreadable(path, source))?;
        let data = encoding.decode(&bytes);
        weights.insert(name, HostTensor { shape: tensor.shape().to_vec(), data });
    }
    Ok(weights)
}

/// The first object that is neither a tensor nor a plain value.
fn foreign_object(value: &PickleValue) -> Option<&str> {
    match value {
        PickleValue::Unsupported(name) if name == "torch.Tensor" => None,
        PickleValue::Unsupported(name) => Some(name),
        PickleValue::List(items) => items.iter().find_map(foreign_object),
        PickleValue::Dict(entries) => entries.values().find_map(foreign_object),
        PickleValue::None
        | PickleValue::Bool(_)
        | PickleValue::Int(_)
        | PickleValue::Float(_)
        | PickleValue::String(_)
        | PickleValue::Bytes(_) => None,
    }
}

/// A view may repeat its storage without end (a stride of zero), so a file of a kilobyte can claim gigabytes.
fn refuse_oversized(path: &Path, file: &PytorchReader) -> Result<(), WeightsError> {
    let file_bytes = fs::metadata(path).map_err(|source| WeightsError::unreadable(path, source))?.len();
    let tensor_bytes =
        file.tensors().values().map(|tensor| tensor.byte_len() as u64).fold(0, u64::saturating_add);
    if tensor_bytes > file_bytes.saturating_mul(LARGEST_TENSORS_TO_FILE) {
        return Err(WeightsError::Oversized { path: path.to_owned(), tensor_bytes, file_bytes });
    }
    Ok(())
}

/// `None` for integers and booleans. `pytorch-reader` refuses any other type itself.
fn float_encoding(tensor: &Tensor) -> Option<FloatEncoding> {
    match tensor.dtype() {
        DType::F16 => Some(FloatEncoding::F16),
        DType::BF16 => Some(FloatEncoding::Bf16),
        DType::F32 => Some(FloatEncoding::F32),
        DType::F64 => Some(FloatEncoding::F64),
        DType::I64
        | DType::I32
        | DType::I16
        | DType::I8
        | DType::U64
        | DType::U32
        | DType::U16
        | DType::U8
        | DType::Bool => None,
    }
}
