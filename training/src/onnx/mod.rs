//! From trained weights to the ONNX files that are served: a state dict goes in, one self-contained model comes out.
//!
//! The files hold operators of the standard ONNX domain only (opset 17, int8 files 23), so that any ONNX client runs them.
//! From the bottom up:
//!
//! - `proto`: the published schema of the format;
//! - [`arithmetic`]: in which numbers a model computes;
//! - [`graph`], `node`, `tensor`, [`ops`]: a graph under construction and the operators it is made of;
//! - [`calibration`], [`quantisation`], `int8`: the same networks in 8 bits;
//! - [`convolution`], [`efficientnet`], [`resnet50`], [`bert`], [`image_input`], `pixel_quads`, [`maps`]: the networks;
//! - [`lexical`], [`amounts`], [`mlp`], [`quantiles`]: what is trained beside them;
//! - [`listing`]: the three served models, and the names and shapes of the tensors they are made from;
//! - [`file`]: a finished model on disk.

pub mod amounts;
pub mod arithmetic;
pub mod backbone;
pub mod bert;
pub mod calibration;
pub mod convolution;
pub mod efficientnet;
pub mod file;
pub mod graph;
pub mod image_input;
mod int8;
pub mod lexical;
pub mod listing;
pub mod maps;
pub mod mlp;
mod node;
pub mod ops;
mod pixel_quads;
mod proto;
pub mod quantiles;
pub mod quantisation;
pub mod resnet50;
mod tensor;

pub use arithmetic::{Arithmetic, Precision};
pub use backbone::{ImageBackbone, TextBackbone};
pub use bert::BertArchitecture;
pub use graph::{Dim, GraphBuilder, Value};
pub use listing::LabelCounts;

use crate::weights::StateDictError;

/// Why a model could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// A tensor is missing from the weights or has another shape than the network.
    #[error(transparent)]
    Weights(#[from] StateDictError),
    #[error(
        "a BERT that is {width} wide cannot be split into {heads} attention heads; check num_attention_heads in its config.json"
    )]
    AttentionHeads { width: usize, heads: usize },
    #[error("the text's embedding is {text} wide and the photo's {photo}; train both into one space")]
    EmbeddingWidths { text: usize, photo: usize },
    #[error(
        "the model has {bytes} bytes, more than the 2 GiB that fit into one ONNX file; store it as float16"
    )]
    TooLarge { bytes: usize },
}
