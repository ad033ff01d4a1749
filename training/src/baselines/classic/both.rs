//! A linear layer on what the trained photo network and the trained text head see of a photo and its listing.

use burn::{
    module::Module,
    nn::{Dropout, DropoutConfig, Linear, LinearConfig},
    tensor::{Device, Tensor},
};
use rand_chacha::ChaCha8Rng;

use crate::{
    learn::{
        features::Features,
        fit::{Lesson, Score, shuffled_batches},
        score::class_score,
        targets::{Target, TargetBatch},
    },
    onnx::LabelCounts,
};

const DROPOUT: f64 = 0.2;

/// Dropout and a linear layer.
#[derive(Module, Debug)]
pub struct Both {
    dropout: Dropout,
    classifier: Linear,
}

impl Both {
    /// A random layer on features of this width.
    pub fn new(features: usize, classes: usize, device: &Device) -> Self {
        Self {
            dropout: DropoutConfig::new(DROPOUT).init(),
            classifier: LinearConfig::new(features, classes).init(device),
        }
    }

    /// Features `[batch, features]` to logits `[batch, classes]`.
    pub fn classify(&self, features: Tensor<2>) -> Tensor<2> {
        self.classifier.forward(self.dropout.forward(features))
    }
}

/// The category of photos with their texts.
pub struct BothLesson {
    /// A row and a target a photo.
    pub train: (Features, Vec<Target>),
    pub validation: (Features, Vec<Target>),
    pub labels: LabelCounts,
    pub device: Device,
    /// Names the examples.
    pub fingerprint: String,
}

impl Lesson for BothLesson {
    type Network = Both;

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn batches(&self, size: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
        shuffled_batches(self.train.1.len(), size, rng)
    }

    fn loss(&self, network: &Both, batch: &[usize], _rng: &mut ChaCha8Rng) -> Tensor<1> {
        let device = self.device.clone().autodiff();
        let (features, targets) = &self.train;
        let logits = network.classify(features.select(batch).into_tensor(&device));
        let targets = batch.iter().map(|&index| targets[index]).collect();
        TargetBatch::new(targets, &device).class_loss(logits, self.labels, 0.0)
    }

    fn validate(&self, network: &Both) -> Score {
        let (features, targets) = &self.validation;
        let logits = network.classify(features.clone().into_tensor(&self.device));
        class_score(logits, targets, self.labels)
    }
}
