//! The safetensors format: a JSON header naming each tensor's type, shape and place, then the values.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};

use super::float_encoding::FloatEncoding;
use super::{HostTensor, StateDict, WeightsError};

/// Reads the float tensors of a safetensors file.
pub(super) fn read(path: &Path) -> Result<StateDict, WeightsError> {
    let bytes = fs::read(path).map_err(|source| WeightsError::unreadable(path, source))?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|source| WeightsError::Safetensors { path: path.to_owned(), source })?;

    let mut weights = StateDict::default();
    for (name, tensor) in file.iter() {
        let encoding = match tensor.dtype() {
            Dtype::F16 => FloatEncoding::F16,
            Dtype::BF16 => FloatEncoding::Bf16,
            Dtype::F32 => FloatEncoding::F32,
            Dtype::F64 => FloatEncoding::F64,
            Dtype::BOOL
            | Dtype::U8
            | Dtype::I8
            | Dtype::U16
            | Dtype::I16
            | Dtype::U32
            | Dtype::I32
            | Dtype::U64
            | Dtype::I64 => continue,
            other => {
                return Err(WeightsError::Encoding {
                    path: path.to_owned(),
                    tensor: name.to_owned(),
                    encoding: other.to_string(),
                });
            }
        };
        let data = encoding.decode(tensor.data());
        weights.insert(name, HostTensor { shape: tensor.shape().to_vec(), data });
    }
    Ok(weights)
}

/// Writes a state dict as float32 safetensors, with free text `metadata` in the header.
///
/// The file appears under `path` whole or not at all: it is written beside it, flushed to the disk, then renamed. Equal
/// weights and metadata give equal bytes, which the crate's own writer does not promise: it keeps metadata in a
/// `HashMap`.
///
/// # Errors
/// If the folder does not exist, or the disk refuses the write.
pub fn write_safetensors(
    path: &Path,
    weights: &StateDict,
    metadata: &BTreeMap<String, String>,
) -> Result<(), WeightsError> {
    let unwritable = |source| WeightsError::Unwritable { path: path.to_owned(), source };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };

    let mut partial = tempfile::Builder::new()
        .prefix(".weights-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(unwritable)?;
    write(BufWriter::new(partial.as_file_mut()), weights, metadata).map_err(unwritable)?;
    partial.as_file().sync_all().map_err(unwritable)?;
    partial.persist(path).map_err(|refused| unwritable(refused.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(unwritable)
}

fn write(mut file: impl Write, weights: &StateDict, metadata: &BTreeMap<String, String>) -> io::Result<()> {
    let header = header(weights, metadata);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    for (_, tensor) in weights.iter() {
        for value in &tensor.data {
            file.write_all(&value.to_le_bytes())?;
        }
    }
    file.flush()
}

/// The JSON header, padded with spaces so that the values begin on an eight-byte boundary.
fn header(weights: &StateDict, metadata: &BTreeMap<String, String>) -> String {
    let mut header = Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".to_owned(), json!(metadata));
    }
    let mut start = 0;
    for (name, tensor) in weights.iter() {
        let end = start + size_of_val(tensor.data.as_slice());
        let place = json!({"dtype": "F32", "shape": tensor.shape, "data_offsets": [start, end]});
        header.insert(name.to_owned(), place);
        start = end;
    }
    let mut header = Value::Object(header).to_string();
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
    header
}
