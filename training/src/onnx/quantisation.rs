//! Numbers in eight bits: which scales they get, and what is done so that rounding costs little.

use super::calibration::Activation;
use crate::weights::HostTensor;

/// How much of the spread between a dense layer's input channels goes over to its weights: 0 none, 1 all. Between 0.8 and
/// 0.9 the embeddings of validation texts are nearest to those of float32.
const MIGRATION: f32 = 0.85;
/// Input channels from which a 1x1 convolution is faster as a product of matrices.
const WIDE: usize = 512;
/// Biases are integers of 32 bits; this leaves one to spare.
const LARGEST_BIAS: f32 = (1 << 30) as f32;

/// An affine map from reals to 0..=255: `x / scale + zero`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    pub scale: f32,
    pub zero: u8,
}

impl Affine {
    /// The map that reaches from `low` to `high`. Zero is always inside and exact, as padding demands.
    pub fn covering((low, high): (f32, f32)) -> Self {
        let (low, high) = (low.min(0.0), high.max(0.0));
        let scale = (high - low) / 255.0;
        if scale < f32::MIN_POSITIVE {
            return Self { scale: 1.0, zero: 0 };
        }
        Self { scale, zero: (-low / scale).round() as u8 }
    }
}

/// A tensor of -127..=127 with a scale for each channel, one axis of it: `(value - zero) scale`.
#[derive(Debug, Clone, PartialEq)]
pub struct Int8Tensor {
    pub shape: Vec<usize>,
    pub axis: usize,
    pub values: Vec<i8>,
    pub scales: Vec<f32>,
    /// The value that stands for 0, in every channel.
    pub zero: i8,
}

impl Int8Tensor {
    /// Rounds a tensor, each channel to the 127th part of its largest magnitude (of what `zero` leaves of 127) but not finer than
    /// `finest(channel)`.
    pub fn per_channel(tensor: &HostTensor, axis: usize, zero: i8, finest: impl Fn(usize) -> f32) -> Self {
        let steps = 127.0 - f32::from(zero).abs();
        let channel_of = channel_of(&tensor.shape, axis);
        let mut scales = vec![0.0_f32; tensor.shape.get(axis).copied().unwrap_or_default()];
        for (index, value) in tensor.data.iter().enumerate() {
            let scale = &mut scales[channel_of(index)];
            *scale = scale.max(value.abs() / steps);
        }
        for (channel, scale) in scales.iter_mut().enumerate() {
            *scale = scale.max(finest(channel)).max(f32::MIN_POSITIVE);
        }
        let round = |(index, value): (usize, &f32)| {
            ((value / scales[channel_of(index)]).round() + f32::from(zero)) as i8
        };
        let values = tensor.data.iter().enumerate().map(round).collect();
        Self { shape: tensor.shape.clone(), axis, values, scales, zero }
    }

    /// What rounding added to each element.
    fn errors<'a>(&'a self, tensor: &'a HostTensor) -> impl Iterator<Item = f64> + 'a {
        let channel_of = channel_of(&self.shape, self.axis);
        self.values.iter().zip(&tensor.data).enumerate().map(move |(index, (&rounded, &exact))| {
            let steps = f64::from(rounded) - f64::from(self.zero);
            steps * f64::from(self.scales[channel_of(index)]) - f64::from(exact)
        })
    }
}

/// The channel of an element, from its index in C order.
fn channel_of(shape: &[usize], axis: usize) -> impl Fn(usize) -> usize + use<> {
    let inner = shape.iter().skip(axis + 1).product::<usize>().max(1);
    let channels = shape.get(axis).copied().unwrap_or(1).max(1);
    move |index| index / inner % channels
}

/// A layer of rounded weights, and the bias that makes up for their rounding.
#[derive(Debug, Clone, PartialEq)]
pub struct Int8Layer {
    pub weight: Int8Tensor,
    pub bias: Vec<f32>,
}

impl Int8Layer {
    /// Kernels [outputs, inputs / groups, height, width], their input in steps of `step`.
    ///
    /// Weights that are rounded shift the mean of every output by their errors times the mean of the input, which the bias
    /// takes back (Nagel et al. 2019). The scales are large enough for the bias in steps of `step * scale`.
    pub fn convolution(kernels: &HostTensor, bias: &HostTensor, input: &Activation, step: f32) -> Self {
        let weight = Int8Tensor::per_channel(kernels, 0, zero_of(kernels), finest_for(bias, step));
        let outputs = weight.scales.len().max(1);
        let [inputs, size] = [1, 2].map(|axis| kernels.shape.iter().skip(axis).product::<usize>().max(1));
        let group_inputs = inputs / size;
        let groups = (input.low.len() / group_inputs.max(1)).max(1);
        let mut shifts = vec![0.0; outputs];
        for (index, error) in weight.errors(kernels).enumerate() {
            let output = index / inputs;
            let group = output * groups / outputs;
            shifts[output] += error * input.mean(group * group_inputs + index % inputs / size);
        }
        Self { bias: without(&bias.data, &shifts), weight }
    }

    /// Weights [inputs, outputs], their input in steps of `step`, corrected as in [`convolution`](Self::convolution).
    pub fn dense(weight: &HostTensor, bias: &HostTensor, input: &Activation, step: f32) -> Self {
        let rounded = Int8Tensor::per_channel(weight, 1, 0, finest_for(bias, step));
        let outputs = rounded.scales.len().max(1);
        let mut shifts = vec![0.0; outputs];
        for (index, error) in rounded.errors(weight).enumerate() {
            shifts[index % outputs] += error * input.mean(index / outputs);
        }
        Self { bias: without(&bias.data, &shifts), weight: rounded }
    }
}

/// Where kernels [outputs, inputs / groups, height, width] have their zero.
///
/// ONNX Runtime 1.32 has a convolution of its own for kernels around 0, and takes all others as products of matrices, for which
/// newer CPUs have tiles (AMX). With them the 1x1 convolutions of EfficientNet-Lite2 that have 528 input channels or more take
/// two thirds of the time, those of fewer longer. Without them both are about as fast.
fn zero_of(kernels: &HostTensor) -> i8 {
    match *kernels.shape {
        [_, inputs, 1, 1] if inputs >= WIDE => 1,
        _ => 0,
    }
}

/// The smallest scale for the weights of an output with which its bias fits into an integer.
fn finest_for(bias: &HostTensor, step: f32) -> impl Fn(usize) -> f32 {
    move |output| bias.data[output].abs() / (step * LARGEST_BIAS)
}

fn without(bias: &[f32], shifts: &[f64]) -> Vec<f32> {
    bias.iter().zip(shifts).map(|(&bias, shift)| (f64::from(bias) - shift) as f32).collect()
}

/// Factors for the channels of a dense layer's input that make them alike, so that one scale fits all: `1 / s` of
/// SmoothQuant (Xiao et al. 2022), where `s = max|x|^a / max|w|^(1 - a)`; the rows of `weight` [inputs, outputs] are
/// multiplied by `s`. A BERT has channels thirty times as large as most others.
pub fn smoothing(input: &Activation, weight: &HostTensor) -> Vec<f32> {
    let outputs = weight.shape.last().copied().unwrap_or(1).max(1);
    let largest = |values: &[f32]| values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let factor = |(channel, row): (usize, &[f32])| {
        let x = largest(&[input.low[channel], input.high[channel]]);
        let factor = largest(row).powf(1.0 - MIGRATION) / x.powf(MIGRATION);
        // A channel that is always zero, or that nothing listens to, stays as it is.
        if factor.is_normal() { factor } else { 1.0 }
    };
    weight.data.chunks_exact(outputs).enumerate().take(input.low.len()).map(factor).collect()
}

/// The rows of `weight` [inputs, outputs] divided by `factors`.
pub fn unscaled_rows(weight: &HostTensor, factors: &[f32]) -> HostTensor {
    let outputs = weight.shape.last().copied().unwrap_or(1).max(1);
    let rows = weight.data.chunks_exact(outputs).zip(factors);
    let data = rows.flat_map(|(row, factor)| row.iter().map(move |value| value / factor)).collect();
    HostTensor { shape: weight.shape.clone(), data }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::calibration::Calibration;

    fn tensor(shape: &[usize], data: &[f32]) -> HostTensor {
        HostTensor { shape: shape.to_vec(), data: data.to_vec() }
    }

    fn seen(shape: &[usize], values: &[f32]) -> Activation {
        let mut calibration = Calibration::default();
        calibration.observe("x", shape, values);
        calibration.get("x").unwrap().clone()
    }

    #[test]
    fn an_affine_map_covers_its_range_and_keeps_zero_exact() {
        assert_eq!(Affine::covering((-1.0, 4.1)), Affine { scale: 0.02, zero: 50 });
        assert_eq!(Affine::covering((2.0, 5.1)), Affine { scale: 0.02, zero: 0 });
        assert_eq!(Affine::covering((0.0, 0.0)), Affine { scale: 1.0, zero: 0 });
    }

    #[test]
    fn every_channel_is_rounded_to_the_127th_part_of_its_largest_weight() {
        // Columns are channels: 1.27 and 254 are the largest magnitudes, so the steps are 0.01 and 2.
        let weights = tensor(&[2, 2], &[1.27, 101.0, -0.104, -254.0]);
        let rounded = Int8Tensor::per_channel(&weights, 1, 0, |_| 0.0);
        assert_eq!(rounded.values, [127, 51, -10, -127]);
        assert!((rounded.scales[0] - 0.01).abs() < 1e-9 && (rounded.scales[1] - 2.0).abs() < 1e-6);
        // The same numbers with rows as channels.
        let rounded = Int8Tensor::per_channel(&weights, 0, 0, |_| 0.0);
        assert_eq!(rounded.values, [2, 127, 0, -127]);
    }

    #[test]
    fn only_kernels_of_wide_1x1_convolutions_have_their_zero_beside_0_and_stand_for_the_same() {
        let input = |channels: usize| seen(&[1, channels, 1, 1], &vec![1.0; channels]);
        let zero_of = |shape: [usize; 4]| {
            let kernels = tensor(&shape, &vec![1.0; shape.iter().product()]);
            Int8Layer::convolution(&kernels, &tensor(&[1], &[0.0]), &input(shape[1]), 0.1).weight.zero
        };
        assert_eq!([[1, WIDE, 1, 1], [1, WIDE - 1, 1, 1], [1, WIDE, 3, 3]].map(zero_of), [1, 0, 0]);

        let kernels: Vec<f32> = (0..WIDE).map(|i| i as f32 - 126.0).map(|w| w.clamp(-126.0, 126.0)).collect();
        let kernels = tensor(&[1, WIDE, 1, 1], &kernels);
        let layer = Int8Layer::convolution(&kernels, &tensor(&[1], &[0.0]), &input(WIDE), 0.1);
        let stands_for = |&value: &i8| f32::from(value) - f32::from(layer.weight.zero);
        assert_eq!(layer.weight.values.iter().map(stands_for).collect::<Vec<_>>(), kernels.data);
        assert!(layer.bias[0].abs() < 1e-5, "nothing was rounded: {:?}", layer.bias);
    }

    #[test]
    fn the_bias_takes_back_what_rounding_adds_on_average() {
        // Steps of 0.01: 0.504 becomes 0.50, and the input is 3 on average.
        let kernels = tensor(&[1, 2, 1, 1], &[1.27, 0.504]);
        let input = seen(&[1, 2, 1, 2], &[0.0, 0.0, 2.0, 4.0]);
        let layer = Int8Layer::convolution(&kernels, &tensor(&[1], &[1.0]), &input, 0.1);
        assert!((layer.bias[0] - (1.0 + 0.004 * 3.0)).abs() < 1e-5, "{layer:?}");
    }

    #[test]
    fn a_depthwise_kernel_is_corrected_by_its_own_channel() {
        let kernels = tensor(&[2, 1, 1, 2], &[1.27, 0.504, 1.27, 0.5]);
        let input = seen(&[1, 2, 1, 2], &[5.0, 5.0, 100.0, 100.0]);
        let layer = Int8Layer::convolution(&kernels, &tensor(&[2], &[0.0, 0.0]), &input, 0.1);
        assert!((layer.bias[0] - 0.02).abs() < 1e-5 && layer.bias[1].abs() < 1e-4, "{layer:?}");
    }

    #[test]
    fn the_bias_of_a_channel_without_weights_still_fits_into_32_bits() {
        let kernels = tensor(&[1, 1, 1, 1], &[1e-12]);
        let layer =
            Int8Layer::convolution(&kernels, &tensor(&[1], &[3.0]), &seen(&[1, 1, 1, 1], &[1.0]), 0.02);
        assert!(3.0 / (0.02 * layer.weight.scales[0]) < i32::MAX as f32);
    }

    #[test]
    fn smoothing_changes_no_product() {
        let weight = tensor(&[2, 1], &[0.5, -2.0]);
        let input = seen(&[1, 2], &[30.0, -0.1]);
        let factors = smoothing(&input, &weight);
        let smooth = unscaled_rows(&weight, &factors);
        let product = 30.0 * factors[0] * smooth.data[0] - 0.1 * factors[1] * smooth.data[1];
        assert!((product - (30.0 * 0.5 + 0.1 * 2.0)).abs() < 1e-4);
        // The two channels, 300 times apart before, are brought closer.
        assert!(30.0 * factors[0] / (0.1 * factors[1]) < 10.0, "{factors:?}");
    }
}
