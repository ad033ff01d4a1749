//! Making the price band as wide as it says: 80 % of the validation prices inside.
//!
//! The quantiles are learnt on training listings, which the word tables know too well: their band held 54 % of unseen
//! prices. One number, added to both half widths before the softplus, is fitted on the validation split, in the spirit of
//! conformalised quantile regression (Romano et al. 2019).

use anyhow::{Context, Result};
use burn::tensor::Device;

use super::{
    examples::Examples,
    heads::{Heads, HeadsConfig},
    losses::ordered_quantiles,
};
use crate::{
    onnx::{LabelCounts, quantiles::QUANTILES},
    weights::StateDict,
};

/// Share of prices that the band from the 10 to the 90 % quantile shall hold.
const COVERAGE: f64 = 0.8;
/// No band needs to be wider or narrower than what this adds to the raw columns.
const WIDEST: f32 = 8.0;
const STEPS: usize = 24;

/// Calibrates the band of text heads, as [`Heads::state_dict`] gives them with the word frequencies folded in.
///
/// # Errors
/// The tensors are not those of the heads.
pub fn calibrate(
    tensors: StateDict,
    config: &HeadsConfig,
    labels: LabelCounts,
    validation: &Examples,
    device: &Device,
) -> Result<StateDict> {
    let heads = Heads::load(config, &tensors, device)?;
    let all: Vec<usize> = (0..validation.len()).collect();
    let batch = validation.batch(&all, |_| 0, device);
    let columns =
        heads.columns(batch.features, batch.words.as_ref()).context("the heads have no price columns")?;
    let raw: Vec<f32> = columns.narrow(1, labels.classes(), QUANTILES).into_data().iter().collect();
    let prices: Vec<Option<f32>> = validation.targets.iter().map(|target| target.log_price).collect();
    if prices.iter().all(Option::is_none) {
        return Ok(tensors);
    }

    // Coverage rises with the shift, so halving the interval finds it.
    let (mut low, mut high) = (-WIDEST, WIDEST);
    for _ in 0..STEPS {
        let middle = (low + high) / 2.0;
        if coverage(&raw, &prices, middle, device) < COVERAGE { low = middle } else { high = middle }
    }
    let shifted = tensors.into_iter().map(|(name, mut tensor)| {
        if name == "heads.0.bias" {
            for column in [labels.classes(), labels.classes() + QUANTILES - 1] {
                tensor.data[column] += high;
            }
        }
        (name, tensor)
    });
    Ok(shifted.collect())
}

/// Share of the known prices inside the band when both half widths are shifted.
fn coverage(raw: &[f32], prices: &[Option<f32>], shift: f32, device: &Device) -> f64 {
    let shifted: Vec<f32> =
        raw.chunks_exact(QUANTILES).flat_map(|row| [row[0] + shift, row[1], row[2] + shift]).collect();
    let rows = shifted.len() / QUANTILES;
    let shifted = burn::tensor::TensorData::new(shifted, [rows, QUANTILES]);
    let quantiles: Vec<f32> =
        ordered_quantiles(burn::tensor::Tensor::from_data(shifted, device)).into_data().iter().collect();
    let known =
        quantiles.chunks_exact(QUANTILES).zip(prices).filter_map(|(band, price)| Some((band, (*price)?)));
    let (inside, total) = known.fold((0_u32, 0_u32), |(inside, total), (band, price)| {
        (inside + u32::from((band[0]..=band[2]).contains(&price)), total + 1)
    });
    f64::from(inside) / f64::from(total.max(1))
}
