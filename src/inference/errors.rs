//! Why the models do not start, and why a listing gets no answer.

use std::time::Duration;

use super::{Model, RuntimeError};
use crate::preprocess::TextEncoderError;

/// Why the models cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("{file} does not load: {reason}; restore the file or export the models again")]
    Model { file: String, reason: String },
    #[error("{file} is not the model the manifest describes: {reason}; export the models again")]
    Shape { file: String, reason: String },
    #[error(
        "{file} does not pass its self-test: {reason}; use the ONNX Runtime and the processor it was made for, or export the models again here"
    )]
    SelfTest { file: String, reason: String },
    #[error(
        "--precision {asked} was demanded, but the manifest has the {model} model only as {present}; `marketrank-train quantize` makes int8, or use --precision auto"
    )]
    Precision { asked: &'static str, model: &'static str, present: String },
    #[error("tokenizer.json does not load: {0}; restore the file or export the models again")]
    Tokenizer(#[from] TextEncoderError),
    #[error("{file} cannot run {reason}; give a smaller --max-batch, or use another --device")]
    BatchSize { file: String, reason: String },
    #[error("a worker thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Why a listing got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InferenceError {
    /// The listing had neither text nor photo.
    #[error("there is nothing to look at: give a text or a photo")]
    Empty,
    /// As many examples are on their way through the model as may be, or it would take too long to come to this one.
    #[error("too many requests wait for the {} model", model.name())]
    QueueFull {
        model: Model,
        /// When those that wait now will have been answered.
        retry_after: Duration,
    },
    /// The answer did not come before the deadline.
    #[error("the answer did not come in time")]
    DeadlineExceeded,
    /// ONNX Runtime failed on this batch.
    #[error("the model failed: {0}")]
    Failed(String),
}
