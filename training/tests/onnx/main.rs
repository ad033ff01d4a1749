//! The graphs that the writer makes, run by ONNX Runtime.

mod amounts;
mod backbones;
mod formula;
mod image;
mod int8;
mod lexical;
mod listing;
mod operators;
mod published;
mod runtime;
