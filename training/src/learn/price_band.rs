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

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::weights::HostTensor;

    #[test]
    fn the_band_comes_to_hold_four_prices_in_five_and_nothing_else_changes() {
        const LISTINGS: usize = 100;
        let labels = LabelCounts { categories: 2, subcategories: 1 };
        // From -2 to 2 around a median of 0: four in five are within 1.6.
        let targets: Vec<Target> = (0..LISTINGS)
            .map(|number| Target {
                category: 0,
                subcategory: None,
                log_price: Some((number as f32 - 49.5) / 25.0),
                listing: number,
                path: 0,
                branch: 0,
            })
            .collect();
        let columns = labels.classes_and_price();
        let raw = TensorData::new(vec![0.0_f32; LISTINGS * columns], [LISTINGS, columns]);
        let bias = HostTensor { shape: vec![columns], data: vec![0.0; columns] };
        let mut heads = StateDict::default();
        heads.insert("heads.0.bias", bias.clone());
        heads.insert("heads.0.weight", bias);

        let heads = calibrate(heads, &Tensor::from_data(raw, &Device::flex()), &targets, labels);

        assert_eq!(heads.get("heads.0.weight").unwrap().data, [0.0; 6]);
        let [a, b, c, low, median, high] = heads.get("heads.0.bias").unwrap().data[..] else { panic!() };
        assert_eq!(([a, b, c, median], low), ([0.0; 4], high));
        let half_width = low.exp().ln_1p();
        assert!((half_width - 1.6).abs() < 0.03, "{half_width}");
    }
}
