//! Pixels and convolutions against values computed by hand.

use marketrank_train::{
    onnx::{
        Dim, GraphBuilder, OnnxError, Precision,
        convolution::{Convolution, Padding},
        image_input::{self, EFFICIENTNET_LITE, IMAGENET, PixelScale},
    },
    weights::{HostTensor, StateDict, StateDictError},
};

use crate::runtime::{Output, Runtime, assert_close, tensor};

const PLANES: [Dim; 4] =
    [Dim::Named("batch"), Dim::Named("channels"), Dim::Named("height"), Dim::Named("width")];

fn vector(data: &[f32]) -> HostTensor {
    HostTensor { shape: vec![data.len()], data: data.to_vec() }
}

/// A convolution's kernels and a batch normalisation that changes nothing, for `channels` outputs.
fn convolution_weights(kernels: HostTensor, channels: usize) -> StateDict {
    let mut weights = StateDict::default();
    weights.insert("conv.weight", kernels);
    for (field, value) in [("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)] {
        weights.insert(format!("bn.{field}"), vector(&vec![value; channels]));
    }
    weights
}

fn convolve(
    shape: Convolution,
    weights: &StateDict,
    epsilon: f64,
    x: [usize; 4],
) -> Result<Output, OnnxError> {
    let mut g = GraphBuilder::new("convolution", Precision::Float32);
    let input = g.input("x", &PLANES);
    let y = shape.with_batch_norm(&mut g, weights, "conv", "bn", epsilon, &input)?;
    g.output("y", &y, &PLANES);
    let pixels: Vec<f32> = (0..x.iter().product::<usize>()).map(|index| index as f32).collect();
    let mut runtime = Runtime::load(&g.finish()?);
    Ok(runtime.run(vec![("x", tensor(&x, &pixels))]).remove("y").unwrap())
}

#[test]
fn same_padding_puts_the_odd_pixel_at_the_end() {
    let ones = HostTensor { shape: vec![1, 1, 3, 3], data: vec![1.0; 9] };
    let shape =
        Convolution { inputs: 1, outputs: 1, kernel: 3, stride: 2, groups: 1, padding: Padding::Same };
    let y = convolve(shape, &convolution_weights(ones, 1), 0.0, [1, 1, 4, 4]).unwrap();
    // Rows 0..=15 of four: the windows begin at pixels 0 and 2, and those at 2 reach one pixel past the end.
    assert_eq!(y.shape, [1, 1, 2, 2]);
    assert_eq!(y.data, [45.0, 39.0, 66.0, 50.0]);
}

#[test]
fn torch_padding_puts_a_pixel_on_every_side() {
    let ones = HostTensor { shape: vec![1, 1, 3, 3], data: vec![1.0; 9] };
    let shape =
        Convolution { inputs: 1, outputs: 1, kernel: 3, stride: 2, groups: 1, padding: Padding::Each(1) };
    let y = convolve(shape, &convolution_weights(ones, 1), 0.0, [1, 1, 4, 4]).unwrap();
    assert_eq!(y.data, [10.0, 24.0, 51.0, 90.0]);
}

#[test]
fn a_depthwise_convolution_keeps_channels_apart() {
    let kernels = HostTensor { shape: vec![2, 1, 1, 1], data: vec![10.0, -1.0] };
    let shape =
        Convolution { inputs: 2, outputs: 2, kernel: 1, stride: 1, groups: 2, padding: Padding::Same };
    let y = convolve(shape, &convolution_weights(kernels, 2), 0.0, [1, 2, 1, 2]).unwrap();
    assert_eq!(y.data, [0.0, 10.0, -2.0, -3.0]);
}

#[test]
fn a_folded_batch_norm_equals_one_after_the_convolution() {
    let mut weights = convolution_weights(HostTensor { shape: vec![1, 1, 1, 1], data: vec![3.0] }, 1);
    weights.insert("bn.weight", vector(&[2.0]));
    weights.insert("bn.bias", vector(&[-1.0]));
    weights.insert("bn.running_mean", vector(&[5.0]));
    weights.insert("bn.running_var", vector(&[15.0]));
    let shape =
        Convolution { inputs: 1, outputs: 1, kernel: 1, stride: 1, groups: 1, padding: Padding::Same };
    let y = convolve(shape, &weights, 1.0, [1, 1, 1, 3]).unwrap();
    // 2 (3 x - 5) / sqrt(15 + 1) - 1
    assert_close(&y.data, &[-3.5, -2.0, -0.5]);
}

#[test]
fn kernels_of_another_size_are_refused_by_name() {
    let weights = convolution_weights(HostTensor { shape: vec![1, 1, 5, 5], data: vec![1.0; 25] }, 1);
    let shape =
        Convolution { inputs: 1, outputs: 1, kernel: 3, stride: 1, groups: 1, padding: Padding::Same };
    let error = convolve(shape, &weights, 0.0, [1, 1, 4, 4]).unwrap_err();
    let OnnxError::Weights(StateDictError::Shape { name, expected, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!((name.as_str(), expected), ("conv.weight", vec![1, 1, 3, 3]));
}

/// What a network sees of a photo one pixel high and two wide.
fn normalised(scale: PixelScale, pixels: [u8; 6]) -> Output {
    let mut g = GraphBuilder::new("pixels", Precision::Float32);
    let image = image_input::image_input(&mut g);
    let planes = image_input::normalised(&mut g, &image, scale);
    g.output("planes", &planes, &PLANES);
    let mut runtime = Runtime::load(&g.finish().unwrap());
    runtime.run(vec![("image", tensor(&[1, 1, 2, 3], &pixels))]).remove("planes").unwrap()
}

#[test]
fn pixels_become_planes_of_red_green_and_blue() {
    let planes = normalised(EFFICIENTNET_LITE, [127, 255, 0, 191, 63, 127]);
    assert_eq!(planes.shape, [1, 3, 1, 2]);
    assert_eq!(planes.data, [0.0, 0.5, 1.0, -0.5, -127.0 / 128.0, 0.0]);
}

#[test]
fn imagenet_pixels_are_centred_channel_by_channel() {
    let planes = normalised(IMAGENET, [0, 0, 0, 255, 255, 255]);
    let expected = [-2.117_904, 2.248_908, -2.035_714, 2.428_571, -1.804_444, 2.64];
    assert_close(&planes.data, &expected);
}
