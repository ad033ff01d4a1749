//! `marketrank-train`: from a marketplace's CSV and photos to the three ONNX models the server runs.

pub mod networks;
pub mod weights;
