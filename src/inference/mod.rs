//! From tensors to answers: one worker thread per ONNX Runtime session, a bounded queue in front of each model, batches
//! formed from what waits.

mod activation;
mod admission;
mod batch_sizes;
mod demand;
mod errors;
mod listing;
mod model;
mod models;
mod outputs;
mod pool;
mod prediction;
mod queue;
mod runtime;
mod self_test;
mod session;
mod signature;
mod tensors;

pub use activation::{Activation, HeatMap};
pub use admission::{Admission, Patience};
pub use batch_sizes::BatchSizes;
pub use errors::{InferenceError, StartError};
pub use listing::{Inferred, ListingTensors};
pub use model::Model;
pub use models::{Inference, InferenceOptions};
pub use outputs::{Outputs, in_float16, mean_embedding, normalise};
pub use prediction::{CategoryProbability, Prediction, PriceBand, category_probabilities};
pub use runtime::{Device, Runtime, RuntimeError};
pub use session::{Example, ModelSession};
