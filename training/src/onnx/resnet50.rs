//! ResNet-50 (He et al. 2015) as torchvision has it: the stride is in the 3x3 convolution of a bottleneck ("v1.5").
//!
//! Tensor names are torchvision's (and timm's); the classifier (`fc`) is not read.

use super::{
    GraphBuilder, OnnxError, Value,
    convolution::{Convolution, Padding},
};
use crate::weights::StateDict;

/// Channels of the pooled features.
pub const FEATURES: usize = 2048;
/// Channels of `layer3`.
pub const MIDDLE_FEATURES: usize = 1024;
const STEM: usize = 64;
/// A bottleneck's output is so many times wider than its 3x3 convolution.
const EXPANSION: usize = 4;
const BATCH_NORM_EPSILON: f64 = 1e-5;

/// Bottlenecks of one width; the first has the stride.
struct Layer {
    name: &'static str,
    blocks: usize,
    /// Of the 3x3 convolutions.
    width: usize,
    stride: usize,
}

const LAYERS: [Layer; 4] = [
    Layer { name: "layer1", blocks: 3, width: 64, stride: 1 },
    Layer { name: "layer2", blocks: 4, width: 128, stride: 2 },
    Layer { name: "layer3", blocks: 6, width: 256, stride: 2 },
    Layer { name: "layer4", blocks: 3, width: 512, stride: 2 },
];

impl Layer {
    fn outputs(&self) -> usize {
        self.width * EXPANSION
    }
}

/// What the network gives.
#[derive(Debug)]
pub struct ResNet50 {
    /// The outputs of `layer1` to `layer4`: [batch, 256 to 2048, height / 4 to 32, width / 4 to 32].
    pub layers: [Value<f32>; 4],
    /// The mean of `layer4` over positions: [batch, 2048].
    pub features: Value<f32>,
}

/// Emits the network: normalised image [batch, 3, height, width] -> layers and pooled features.
///
/// # Errors
/// A tensor is missing or has another shape.
pub fn resnet50(
    g: &mut GraphBuilder,
    weights: &StateDict,
    image: &Value<f32>,
) -> Result<ResNet50, OnnxError> {
    let [layer1, layer2, layer3] = lower_layers(g, weights, image)?;
    let [_, _, third, fourth] = &LAYERS;
    let layer4 = Emitter { g, weights }.layer(fourth, third.outputs(), &layer3)?;
    let features = g.global_average_pool(&layer4);
    Ok(ResNet50 { layers: [layer1, layer2, layer3, layer4], features })
}

/// Emits all below `layer4`: normalised image [batch, 3, height, width] -> the outputs of `layer1` to `layer3`.
///
/// # Errors
/// A tensor is missing or has another shape.
pub fn lower_layers(
    g: &mut GraphBuilder,
    weights: &StateDict,
    image: &Value<f32>,
) -> Result<[Value<f32>; 3], OnnxError> {
    let mut emitter = Emitter { g, weights };
    let stem = emitter.activated(convolution(3, STEM, 7, 2), "conv1", "bn1", image)?;
    let pooled = emitter
        .g
        .node("MaxPool")
        .input(&stem)
        .ints("kernel_shape", &[3, 3])
        .ints("strides", &[2, 2])
        .ints("pads", &[1, 1, 1, 1])
        .emit();
    let [first, second, third, _] = &LAYERS;
    let layer1 = emitter.layer(first, STEM, &pooled)?;
    let layer2 = emitter.layer(second, first.outputs(), &layer1)?;
    let layer3 = emitter.layer(third, second.outputs(), &layer2)?;
    Ok([layer1, layer2, layer3])
}

fn convolution(inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Convolution {
    Convolution { inputs, outputs, kernel, stride, groups: 1, padding: Padding::Each(kernel / 2) }
}

struct Emitter<'a> {
    g: &'a mut GraphBuilder,
    weights: &'a StateDict,
}

impl Emitter<'_> {
    fn layer(&mut self, layer: &Layer, inputs: usize, x: &Value<f32>) -> Result<Value<f32>, OnnxError> {
        let mut x = self.bottleneck(&format!("{}.0", layer.name), inputs, layer.width, layer.stride, x)?;
        for block in 1..layer.blocks {
            x = self.bottleneck(&format!("{}.{block}", layer.name), layer.outputs(), layer.width, 1, &x)?;
        }
        Ok(x)
    }

    /// 1x1, 3x3, 1x1 and a shortcut, which is a 1x1 convolution where the shape changes.
    fn bottleneck(
        &mut self,
        prefix: &str,
        inputs: usize,
        width: usize,
        stride: usize,
        x: &Value<f32>,
    ) -> Result<Value<f32>, OnnxError> {
        let name = |part: &str| format!("{prefix}.{part}");
        let outputs = width * EXPANSION;
        let inner = self.activated(convolution(inputs, width, 1, 1), &name("conv1"), &name("bn1"), x)?;
        let inner =
            self.activated(convolution(width, width, 3, stride), &name("conv2"), &name("bn2"), &inner)?;
        let inner =
            self.normalised(convolution(width, outputs, 1, 1), &name("conv3"), &name("bn3"), &inner)?;
        let inner = self.g.activation(&name("conv3"), &inner);
        let shortcut = if stride == 1 && inputs == outputs {
            x.clone()
        } else {
            let shape = convolution(inputs, outputs, 1, stride);
            let shortcut = self.normalised(shape, &name("downsample.0"), &name("downsample.1"), x)?;
            self.g.activation(&name("downsample.0"), &shortcut)
        };
        let sum = self.g.add(&inner, &shortcut);
        let sum = self.g.relu(&sum);
        Ok(self.g.activation(prefix, &sum))
    }

    fn activated(
        &mut self,
        shape: Convolution,
        convolution: &str,
        norm: &str,
        x: &Value<f32>,
    ) -> Result<Value<f32>, OnnxError> {
        let x = self.normalised(shape, convolution, norm, x)?;
        let x = self.g.relu(&x);
        Ok(self.g.activation(convolution, &x))
    }

    fn normalised(
        &mut self,
        shape: Convolution,
        convolution: &str,
        norm: &str,
        x: &Value<f32>,
    ) -> Result<Value<f32>, OnnxError> {
        shape.with_batch_norm(self.g, self.weights, convolution, norm, BATCH_NORM_EPSILON, x)
    }
}
