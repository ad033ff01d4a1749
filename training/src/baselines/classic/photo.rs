//! ResNet-50 of which only the last stage and the classifier are trained, on the maps below them.

use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::{
    learn::{
        fit::{Lesson, Score, shuffled_batches},
        maps::Maps,
        score::class_score,
        targets::{Target, TargetBatch},
    },
    networks::resnet50::LastStage,
    onnx::LabelCounts,
};

/// Share of photos that are seen in a mirror.
const FLIP: f64 = 0.3;
/// Photos that are judged at a time.
const TOGETHER: usize = 16;

/// The category of photos.
pub struct LastStageLesson {
    /// As they are, and in a mirror.
    pub train: [Maps; 2],
    pub train_targets: Vec<Target>,
    pub validation: Maps,
    pub validation_targets: Vec<Target>,
    pub labels: LabelCounts,
    pub device: Device,
    /// Names the examples.
    pub fingerprint: String,
}

impl Lesson for LastStageLesson {
    type Network = LastStage;

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn batches(&self, size: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
        shuffled_batches(self.train_targets.len(), size, rng)
    }

    fn loss(&self, network: &LastStage, batch: &[usize], rng: &mut ChaCha8Rng) -> Tensor<1> {
        let device = self.device.clone().autodiff();
        let seen = batch.iter().map(|&index| (&self.train[usize::from(rng.random_bool(FLIP))], index));
        let logits = network.classify(network.features(tensor(seen, &device)));
        let targets = batch.iter().map(|&index| self.train_targets[index]).collect();
        TargetBatch::new(targets, &device).class_loss(logits, self.labels, 0.0)
    }

    fn validate(&self, network: &LastStage) -> Score {
        let logits = network.classify(features(network, &self.validation, &self.device));
        class_score(logits, &self.validation_targets, self.labels)
    }
}

/// Pooled features `[photos, 2048]` by a network at rest.
pub fn features(network: &LastStage, maps: &Maps, device: &Device) -> Tensor<2> {
    let all: Vec<usize> = (0..maps.len()).collect();
    let rows = all
        .chunks(TOGETHER)
        .map(|chunk| network.features(tensor(chunk.iter().map(|&index| (maps, index)), device)));
    Tensor::cat(rows.collect(), 0)
}

/// Maps `[batch, channels, side, side]`.
fn tensor<'a>(photos: impl Iterator<Item = (&'a Maps, usize)>, device: &Device) -> Tensor<4> {
    let (mut values, mut shape) = (Vec::new(), [0; 2]);
    for (maps, index) in photos {
        shape = maps.shape();
        values.extend(maps.row(index).iter().map(|value| value.to_f32()));
    }
    let [channels, positions] = shape;
    let side = positions.isqrt();
    let batch = values.len() / (channels * positions).max(1);
    Tensor::from_data(TensorData::new(values, [batch, channels, side, side]), device)
}
