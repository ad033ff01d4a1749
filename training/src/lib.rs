//! `marketrank-train`: from a marketplace's CSV and photos to the three ONNX models the server runs.

pub mod baselines;
pub mod data;
pub mod evaluate;
pub mod export;
pub mod learn;
pub mod model_card;
pub mod networks;
pub mod onnx;
pub mod quantise;
pub mod weights;
