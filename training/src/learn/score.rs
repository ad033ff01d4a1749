//! What category logits are worth on a validation split.

use burn::tensor::{Int, Tensor, TensorData, activation::log_softmax};

use super::{fit::Score, targets::Target};
use crate::onnx::LabelCounts;

/// Temperatures at which the loss is judged, in tenths: serving calibrates, so a model is not to be punished for being too
/// sure or too little.
const TEMPERATURES: std::ops::RangeInclusive<u32> = 3..=30;

/// The score of columns `[examples, columns]`, categories first: the mean negative log-likelihood at the best temperature,
/// and top-1.
pub fn class_score(columns: Tensor<2>, targets: &[Target], labels: LabelCounts) -> Score {
    let logits = columns.narrow(1, 0, labels.categories);
    let right: Vec<i32> = targets.iter().map(|target| target.category as i32).collect();
    let right = Tensor::<1, Int>::from_data(TensorData::new(right, [targets.len()]), &logits.device());
    let at = |tenths: u32| -> f64 {
        let log_probabilities = log_softmax(logits.clone() / (tenths as f32 / 10.0), 1);
        let of_label = log_probabilities.gather(1, right.clone().unsqueeze_dim::<2>(1));
        f64::from(of_label.mean().neg().into_scalar::<f32>())
    };
    let predicted = logits.clone().argmax(1).squeeze_dim::<1>(1);
    let hits = predicted.equal(right.clone()).int().sum().into_scalar::<i64>();
    Score {
        loss: TEMPERATURES.map(at).fold(f64::INFINITY, f64::min),
        accuracy: hits as f64 / targets.len().max(1) as f64,
    }
}
