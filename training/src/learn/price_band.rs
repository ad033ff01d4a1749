//! Making the price band as wide as it says: 80 % of the validation prices inside.
//!
//! The quantiles are learnt on training listings, which a model knows too well: its band holds fewer of the unseen prices.
//! One number, added to both half widths before the softplus, is fitted on the validation split, in the spirit of
//! conformalised quantile regression (Romano et al. 2019).

use burn::tensor::Tensor;

use super::{losses::ordered_quantiles, targets::Target};
use crate::{
    onnx::{LabelCounts, quantiles::QUANTILES},
    weights::StateDict,
};

/// Share of prices that the band from the 10 to the 90 % quantile shall hold.
const COVERAGE: f64 = 0.8;
/// No band needs to be wider or narrower than what this adds to the raw columns.
const WIDEST: f32 = 8.0;
const STEPS: usize = 24;

/// Calibrates the band of text heads, whose columns of the validation listings are `[examples, columns]`.
pub fn calibrate(
    heads: StateDict,
    columns: &Tensor<2>,
    targets: &[Target],
    labels: LabelCounts,
) -> StateDict {
    let raw = columns.clone().narrow(1, labels.classes(), QUANTILES);
    if targets.iter().all(|target| target.log_price.is_none()) {
        return heads;
    }
    // Coverage rises with the shift, so halving the interval finds it.
    let (mut low, mut high) = (-WIDEST, WIDEST);
    for _ in 0..STEPS {
        let middle = (low + high) / 2.0;
        if coverage(&raw, targets, middle) < COVERAGE { low = middle } else { high = middle }
    }
    let shifted = heads.into_iter().map(|(name, mut tensor)| {
        if name == "heads.0.bias" {
            for column in [labels.classes(), labels.classes() + QUANTILES - 1] {
                tensor.data[column] += high;
            }
        }
        (name, tensor)
    });
    shifted.collect()
}

/// Share of the known prices inside the band when both half widths are shifted.
fn coverage(raw: &Tensor<2>, targets: &[Target], shift: f32) -> f64 {
    let shift = Tensor::<2>::from_data([[shift, 0.0, shift]], &raw.device());
    let quantiles: Vec<f32> = ordered_quantiles(raw.clone() + shift).into_data().iter().collect();
    let known = quantiles
        .chunks_exact(QUANTILES)
        .zip(targets)
        .filter_map(|(band, target)| Some((band, target.log_price?)));
    let (inside, total) = known.fold((0_u32, 0_u32), |(inside, total), (band, price)| {
        (inside + u32::from((band[0]..=band[2]).contains(&price)), total + 1)
    });
    f64::from(inside) / f64::from(total.max(1))
}
