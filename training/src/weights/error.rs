use std::io;
use std::path::{Path, PathBuf};

/// Why a weight file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    #[error("cannot read the weights in {path}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(
        "{path} is neither a safetensors nor a PyTorch file; a Git LFS pointer or a web page under that name?"
    )]
    Unrecognised { path: PathBuf },
    #[error("{path} is not a whole safetensors file: {source}; fetch it again")]
    Safetensors { path: PathBuf, source: safetensors::SafeTensorError },
    #[error("{path} is not a whole PyTorch file: {source}; fetch it again")]
    Pytorch { path: PathBuf, source: pytorch_reader::PytorchError },
    #[error(
        "{path} holds the Python object {object}, and only tensors and plain values are accepted; save it again with \
         torch.save(model.state_dict(), ...)"
    )]
    ForeignObject { path: PathBuf, object: String },
    #[error("tensor {tensor:?} of {path} is stored as {encoding}; only 16, 32 and 64-bit floats are read")]
    Encoding { path: PathBuf, tensor: String, encoding: String },
    #[error(
        "the tensors of {path} would take {tensor_bytes} bytes, far more than the {file_bytes} of the file itself; \
         it is damaged, or made to exhaust the memory"
    )]
    Oversized { path: PathBuf, tensor_bytes: u64, file_bytes: u64 },
    #[error("{path} holds no float tensor")]
    Empty { path: PathBuf },
    #[error("cannot write the weights to {path}")]
    Unwritable { path: PathBuf, source: io::Error },
}

impl WeightsError {
    pub(super) fn unreadable(path: &Path, source: io::Error) -> Self {
        Self::Unreadable { path: path.to_owned(), source }
    }
}
