//! BERT as it was pretrained, and three convolutions over its last hidden states.

use burn::{
    module::Module,
    nn::{
        Dropout, DropoutConfig, Linear, LinearConfig, PaddingConfig1d,
        conv::{Conv1d, Conv1dConfig},
        pool::{MaxPool1d, MaxPool1dConfig},
    },
    tensor::{Device, Int, Tensor, activation::relu},
};
use rand_chacha::ChaCha8Rng;

use crate::{
    learn::{
        fit::{Lesson, Score, shuffled_batches},
        score::class_score,
        targets::{Target, TargetBatch},
        text::HiddenText,
    },
    onnx::LabelCounts,
};

/// After the width of BERT.
const CHANNELS: [usize; 3] = [256, 128, 64];
const KERNEL: usize = 3;
const DROPOUT: f64 = 0.2;
/// Texts that are judged at a time.
const TOGETHER: usize = 32;

/// Convolutions over tokens, each followed by a rectifier, the first two by pooling over two tokens, the last one by pooling
/// over all that are left; dropout; a linear layer.
#[derive(Module, Debug)]
pub struct ConvHead {
    convolutions: Vec<Conv1d>,
    pool: MaxPool1d,
    dropout: Dropout,
    classifier: Linear,
}

impl ConvHead {
    /// A random head on hidden states of this width.
    pub fn new(width: usize, classes: usize, device: &Device) -> Self {
        let inputs = std::iter::once(width).chain(CHANNELS);
        let convolution = |(inputs, outputs)| {
            Conv1dConfig::new(inputs, outputs, KERNEL).with_padding(PaddingConfig1d::Same).init(device)
        };
        let [.., last] = CHANNELS;
        Self {
            convolutions: inputs.zip(CHANNELS).map(convolution).collect(),
            pool: MaxPool1dConfig::new(2).with_stride(2).with_ceil_mode(true).init(),
            dropout: DropoutConfig::new(DROPOUT).init(),
            classifier: LinearConfig::new(last, classes).init(device),
        }
    }

    /// Hidden states `[batch, tokens, width]` and mask `[batch, tokens]` to features `[batch, 64]`. What stands beside a text
    /// in its batch changes nothing: padding is zero before each convolution, and never the largest.
    pub fn features(&self, hidden: Tensor<3>, mask: Tensor<2, Int>) -> Tensor<2> {
        let mut mask = mask.float().unsqueeze_dim::<3>(1);
        let mut maps = hidden.swap_dims(1, 2) * mask.clone();
        for (index, convolution) in self.convolutions.iter().enumerate() {
            maps = relu(convolution.forward(maps)) * mask.clone();
            if index + 1 < self.convolutions.len() {
                maps = self.pool.forward(maps);
                mask = self.pool.forward(mask);
            }
        }
        maps.max_dim(2).squeeze_dim::<2>(2)
    }

    /// Features `[batch, 64]` to logits `[batch, classes]`.
    pub fn classify(&self, features: Tensor<2>) -> Tensor<2> {
        self.classifier.forward(self.dropout.forward(features))
    }
}

/// The category of texts.
pub struct ConvLesson {
    pub train: Vec<(HiddenText, Target)>,
    pub validation: Vec<(HiddenText, Target)>,
    pub labels: LabelCounts,
    pub device: Device,
    /// Names the examples.
    pub fingerprint: String,
}

impl Lesson for ConvLesson {
    type Network = ConvHead;

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn batches(&self, size: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
        shuffled_batches(self.train.len(), size, rng)
    }

    fn loss(&self, network: &ConvHead, batch: &[usize], _rng: &mut ChaCha8Rng) -> Tensor<1> {
        let device = self.device.clone().autodiff();
        let (texts, targets): (Vec<&HiddenText>, Vec<Target>) =
            batch.iter().map(|&index| (&self.train[index].0, self.train[index].1)).unzip();
        let (hidden, mask) = HiddenText::batch(&texts, &device);
        let logits = network.classify(network.features(hidden, mask));
        TargetBatch::new(targets, &device).class_loss(logits, self.labels, 0.0)
    }

    fn validate(&self, network: &ConvHead) -> Score {
        let (texts, targets): (Vec<&HiddenText>, Vec<Target>) =
            self.validation.iter().map(|(text, target)| (text, *target)).unzip();
        class_score(network.classify(features(network, &texts, &self.device)), &targets, self.labels)
    }
}

/// Features `[texts, 64]` by a head at rest.
pub fn features(head: &ConvHead, texts: &[&HiddenText], device: &Device) -> Tensor<2> {
    let rows = texts.chunks(TOGETHER).map(|chunk| {
        let (hidden, mask) = HiddenText::batch(chunk, device);
        head.features(hidden, mask)
    });
    Tensor::cat(rows.collect(), 0)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    #[test]
    fn padding_changes_nothing() {
        let device = Device::flex();
        device.seed(1);
        let head = ConvHead::new(8, 3, &device);
        let text = Tensor::<3>::random([1, 5, 8], Distribution::Normal(0.0, 1.0), &device);
        let mask = |tokens: usize| {
            let values: Vec<i32> = (0..tokens).map(|token| i32::from(token < 5)).collect();
            Tensor::<2, Int>::from_data(burn::tensor::TensorData::new(values, [1, tokens]), &device)
        };
        let padded = Tensor::cat(vec![text.clone(), Tensor::ones([1, 6, 8], &device)], 1);
        let alone = head.features(text, mask(5));
        let beside = head.features(padded, mask(11));
        let difference = (alone.clone() - beside).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-5, "{difference}");
        assert!(alone.max().into_scalar::<f32>() > 0.0);
    }
}
