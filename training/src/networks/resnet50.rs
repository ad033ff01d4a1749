//! ResNet-50 v1.5, as in torchvision: the stride of a stage is in its first 3x3 convolution.
//!
//! He et al., "Deep Residual Learning for Image Recognition", <https://arxiv.org/abs/1512.03385>.

use burn::module::{Initializer, Module};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::module::adaptive_avg_pool2d;
use burn::tensor::{Device, Tensor};

use super::published;
use crate::weights::{StateDict, StateDictError};

/// A block's output has four times the channels of its 3x3 convolution.
const EXPANSION: usize = 4;

/// Fields bear torchvision's names.
#[derive(Module, Debug)]
pub struct ResNet50 {
    conv1: Conv2d,
    bn1: BatchNorm,
    maxpool: MaxPool2d,
    layer1: Vec<Bottleneck>,
    layer2: Vec<Bottleneck>,
    layer3: Vec<Bottleneck>,
    layer4: Vec<Bottleneck>,
    fc: Linear,
}

impl ResNet50 {
    /// The width of the pooled features.
    pub const EMBEDDING_WIDTH: usize = 2048;
    /// What is subtracted from a pixel of 0 to 255, per channel (RGB).
    pub const PIXEL_MEAN: [f32; 3] = [123.675, 116.28, 103.53];
    /// What the difference is divided by.
    pub const PIXEL_STD: [f32; 3] = [58.395, 57.12, 57.375];

    /// A network with random weights (He's normal distribution over the outgoing connections, as torchvision's).
    pub fn new(classes: usize, device: &Device) -> Self {
        Self {
            conv1: convolution([3, 64], 7, 2, device),
            bn1: BatchNormConfig::new(64).init(device),
            maxpool: MaxPool2dConfig::new([3, 3])
                .with_strides([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(),
            layer1: stage(3, 64, 64, 1, device),
            layer2: stage(4, 256, 128, 2, device),
            layer3: stage(6, 512, 256, 2, device),
            layer4: stage(3, 1024, 512, 2, device),
            fc: LinearConfig::new(Self::EMBEDDING_WIDTH, classes).init(device),
        }
    }

    /// A network with published weights, under torchvision's names (which are timm's too). As many classes as `fc` has.
    ///
    /// # Errors
    /// Names the first tensor that is missing or of another shape.
    pub fn load(weights: &StateDict, device: &Device) -> Result<Self, StateDictError> {
        let classes = weights.get("fc.bias")?.data.len();
        published::load(Self::new(classes, device), weights, |field| field)
    }

    /// The weights under torchvision's names.
    pub fn state_dict(&self) -> StateDict {
        published::state_dict(self, |field| field)
    }

    /// Normalised photos `[batch, 3, height, width]` to the outputs of the four stages, the last
    /// `[batch, 2048, height / 32, width / 32]`.
    pub fn stages(&self, photos: Tensor<4>) -> [Tensor<4>; 4] {
        let mut features = self.stem(photos);
        [&self.layer1, &self.layer2, &self.layer3, &self.layer4].map(|stage| {
            features = run(stage, features.clone());
            features.clone()
        })
    }

    /// Normalised photos `[batch, 3, height, width]` to pooled features `[batch, 2048]`.
    pub fn features(&self, photos: Tensor<4>) -> Tensor<2> {
        let stages = [&self.layer1, &self.layer2, &self.layer3, &self.layer4];
        let last = stages.into_iter().fold(self.stem(photos), |features, stage| run(stage, features));
        adaptive_avg_pool2d(last, [1, 1]).flatten(1, 3)
    }

    /// Normalised photos `[batch, 3, height, width]` to logits `[batch, classes]`.
    pub fn forward(&self, photos: Tensor<4>) -> Tensor<2> {
        self.fc.forward(self.features(photos))
    }

    fn stem(&self, photos: Tensor<4>) -> Tensor<4> {
        self.maxpool.forward(relu(self.bn1.forward(self.conv1.forward(photos))))
    }
}

/// The last stage and a classifier, to be trained on what the other stages make of photos.
#[derive(Module, Debug)]
pub struct LastStage {
    layer4: Vec<Bottleneck>,
    fc: Linear,
}

impl LastStage {
    /// The stage with published weights, under torchvision's names, and a random classifier.
    ///
    /// # Errors
    /// Names the first tensor that is missing or of another shape.
    pub fn load(weights: &StateDict, classes: usize, device: &Device) -> Result<Self, StateDictError> {
        let network = Self {
            layer4: stage(3, 1024, 512, 2, device),
            fc: LinearConfig::new(ResNet50::EMBEDDING_WIDTH, classes).init(device),
        };
        // What is published under `fc` tells other classes apart.
        let of_classifier = published::state_dict(&network, |field| field);
        let of_classifier = of_classifier.into_iter().filter(|(name, _)| name.starts_with("fc."));
        let of_stage = weights.iter().filter(|(name, _)| name.starts_with("layer4."));
        let of_stage = of_stage.map(|(name, tensor)| (name.to_owned(), tensor.clone()));
        published::load(network, &of_stage.chain(of_classifier).collect(), |field| field)
    }

    /// The output of the third stage, `[batch, 1024, rows, columns]`, to pooled features `[batch, 2048]`.
    pub fn features(&self, maps: Tensor<4>) -> Tensor<2> {
        adaptive_avg_pool2d(run(&self.layer4, maps), [1, 1]).flatten(1, 3)
    }

    /// Pooled features `[batch, 2048]` to logits `[batch, classes]`.
    pub fn classify(&self, features: Tensor<2>) -> Tensor<2> {
        self.fc.forward(features)
    }
}

/// 1x1 down, 3x3, 1x1 up, and the way around them.
#[derive(Module, Debug)]
struct Bottleneck {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    conv3: Conv2d,
    bn3: BatchNorm,
    /// Fits the input to the output where their shapes differ.
    downsample: Option<(Conv2d, BatchNorm)>,
}

impl Bottleneck {
    fn new(input: usize, width: usize, stride: usize, device: &Device) -> Self {
        let output = width * EXPANSION;
        let norm = |channels| BatchNormConfig::new(channels).init(device);
        Self {
            conv1: convolution([input, width], 1, 1, device),
            bn1: norm(width),
            conv2: convolution([width, width], 3, stride, device),
            bn2: norm(width),
            conv3: convolution([width, output], 1, 1, device),
            bn3: norm(output),
            downsample: (stride > 1 || input != output)
                .then(|| (convolution([input, output], 1, stride, device), norm(output))),
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let features = relu(self.bn1.forward(self.conv1.forward(input.clone())));
        let features = relu(self.bn2.forward(self.conv2.forward(features)));
        let features = self.bn3.forward(self.conv3.forward(features));
        let around = match &self.downsample {
            Some((conv, norm)) => norm.forward(conv.forward(input)),
            None => input,
        };
        relu(features + around)
    }
}

fn stage(blocks: usize, input: usize, width: usize, stride: usize, device: &Device) -> Vec<Bottleneck> {
    let first = Bottleneck::new(input, width, stride, device);
    let others = (1..blocks).map(|_| Bottleneck::new(width * EXPANSION, width, 1, device));
    std::iter::once(first).chain(others).collect()
}

fn run(stage: &[Bottleneck], input: Tensor<4>) -> Tensor<4> {
    stage.iter().fold(input, |features, block| block.forward(features))
}

fn convolution(channels: [usize; 2], kernel: usize, stride: usize, device: &Device) -> Conv2d {
    let padding = kernel / 2;
    Conv2dConfig::new(channels, [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
        .with_bias(false)
        .with_initializer(Initializer::KaimingNormal { gain: std::f64::consts::SQRT_2, fan_out_only: true })
        .init(device)
}
