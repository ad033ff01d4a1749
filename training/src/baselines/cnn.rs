//! A convolutional network of three layers, trained from scratch.

use std::path::Path;

use anyhow::Result;
use burn::{
    module::Module,
    nn::{
        Dropout, DropoutConfig, Linear, LinearConfig, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
        pool::{MaxPool2d, MaxPool2dConfig},
    },
    tensor::{Device, Tensor, TensorData, activation::relu},
};
use marketrank::{artefacts::ImageInput, preprocess::PhotoTensor};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{
    photos::read,
    result::{Outcome, metrics_of},
};
use crate::{
    data::{CleanTable, Split},
    learn::{
        corpus::Corpus,
        fit::{FitConfig, Fitted, Lesson, Score, fit, schedule::Schedule, shuffled_batches},
        recipes::FitArgs,
        score::class_score,
        targets::{Target, TargetBatch},
    },
    onnx::LabelCounts,
};

const SIDE: usize = 128;
const INPUT: ImageInput = ImageInput { height: SIDE as u32, width: SIDE as u32, letterbox: [0; 3] };
const CHANNELS: [usize; 4] = [3, 16, 32, 64];
/// Side of the last maps: the first convolution halves the side, and so does each pooling.
const LAST_SIDE: usize = SIDE / 16;
const DROPOUT: f64 = 0.5;
/// Photos that are judged at a time.
const TOGETHER: usize = 64;

const FIT: FitConfig = FitConfig {
    epochs: 15,
    batch_size: 64,
    shards: 2,
    learning_rate: 1e-3,
    schedule: Schedule::Cosine,
    weight_decay: 1e-2,
    gradient_clip: 1.0,
    patience: 4,
    seed: 0,
};

/// Three convolutions of 3x3, each followed by a rectifier and by pooling over 2x2, and a linear layer.
#[derive(Module, Debug)]
pub struct Cnn {
    convolutions: Vec<Conv2d>,
    pool: MaxPool2d,
    dropout: Dropout,
    classifier: Linear,
}

impl Cnn {
    pub fn new(classes: usize, device: &Device) -> Self {
        let convolution = |index: usize| {
            // The first one skips every other position, which saves three quarters of the work.
            let stride = if index == 0 { 2 } else { 1 };
            Conv2dConfig::new([CHANNELS[index], CHANNELS[index + 1]], [3, 3])
                .with_stride([stride; 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(device)
        };
        Self {
            convolutions: (0..CHANNELS.len() - 1).map(convolution).collect(),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            dropout: DropoutConfig::new(DROPOUT).init(),
            classifier: LinearConfig::new(CHANNELS[3] * LAST_SIDE * LAST_SIDE, classes).init(device),
        }
    }

    /// Photos `[batch, 3, 128, 128]`, from -1 to 1, to logits `[batch, classes]`.
    pub fn forward(&self, photos: Tensor<4>) -> Tensor<2> {
        let maps = self
            .convolutions
            .iter()
            .fold(photos, |maps, convolution| self.pool.forward(relu(convolution.forward(maps))));
        self.classifier.forward(self.dropout.forward(maps.flatten(1, 3)))
    }
}

/// The category of photos.
struct CnnLesson {
    train: (Vec<PhotoTensor>, Vec<Target>),
    validation: (Vec<PhotoTensor>, Vec<Target>),
    labels: LabelCounts,
    device: Device,
    fingerprint: String,
}

impl Lesson for CnnLesson {
    type Network = Cnn;

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn batches(&self, size: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
        shuffled_batches(self.train.1.len(), size, rng)
    }

    /// Half of the photos are seen in a mirror.
    fn loss(&self, network: &Cnn, batch: &[usize], rng: &mut ChaCha8Rng) -> Tensor<1> {
        let device = self.device.clone().autodiff();
        let (photos, targets) = &self.train;
        let seen = batch.iter().map(|&index| (&photos[index], rng.random_bool(0.5)));
        let logits = network.forward(pixels(seen, &device));
        let targets = batch.iter().map(|&index| targets[index]).collect();
        TargetBatch::new(targets, &device).class_loss(logits, self.labels, 0.0)
    }

    fn validate(&self, network: &Cnn) -> Score {
        let (photos, targets) = &self.validation;
        class_score(logits(network, photos, &self.device), targets, self.labels)
    }
}

/// Trains the network, with checkpoints in the folder `run`, and measures it on the test split.
pub fn train(table: &CleanTable, args: &FitArgs, run: &Path) -> Result<(String, Outcome)> {
    let corpus = Corpus::new(table);
    let device = args.hardware.device();
    let lesson = CnnLesson {
        train: read(&corpus, Split::Train, INPUT)?,
        validation: read(&corpus, Split::Validation, INPUT)?,
        labels: LabelCounts { subcategories: 0, ..corpus.labels() },
        device: device.clone(),
        fingerprint: table.sha256.clone(),
    };
    let recipe = args.apply(FIT);
    let training = device.clone().autodiff();
    training.seed(recipe.seed);
    let network = Cnn::new(lesson.labels.categories, &training);
    let Fitted { network, epochs, .. } = fit(&recipe, &lesson, network, &device, run, args.resume)?;
    let (photos, targets) = read(&corpus, Split::Test, INPUT)?;
    let metrics = metrics_of(logits(&network, &photos, &device), &targets);
    let settings = format!("{SIDE}x{SIDE} pixels, three layers, {} epochs", epochs.len());
    Ok((settings, Outcome::Category { photos: photos.len(), metrics }))
}

/// Logits `[photos, classes]` of a network at rest.
fn logits(network: &Cnn, photos: &[PhotoTensor], device: &Device) -> Tensor<2> {
    let chunks = photos.chunks(TOGETHER);
    let rows = chunks.map(|chunk| network.forward(pixels(chunk.iter().map(|photo| (photo, false)), device)));
    Tensor::cat(rows.collect(), 0)
}

/// Photos `[batch, 3, side, side]` from -1 to 1, those with `true` mirrored.
fn pixels<'a>(photos: impl Iterator<Item = (&'a PhotoTensor, bool)>, device: &Device) -> Tensor<4> {
    let mut values: Vec<f32> = Vec::new();
    let value = |&byte: &u8| f32::from(byte) / 127.5 - 1.0;
    for (photo, mirrored) in photos {
        for row in photo.as_bytes().chunks_exact(SIDE * 3) {
            match mirrored {
                true => values.extend(row.rchunks_exact(3).flatten().map(value)),
                false => values.extend(row.iter().map(value)),
            }
        }
    }
    let shape = [values.len() / (SIDE * SIDE * 3), SIDE, SIDE, 3];
    Tensor::<4>::from_data(TensorData::new(values, shape), device).permute([0, 3, 1, 2])
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};
    use marketrank::preprocess::Letterbox;

    use super::*;

    #[test]
    fn a_mirrored_photo_shows_on_the_right_what_was_on_the_left() {
        let red_on_the_left = RgbImage::from_fn(SIDE as u32, SIDE as u32, |x, _| {
            if x < SIDE as u32 / 2 { Rgb([255, 0, 0]) } else { Rgb([0; 3]) }
        });
        let photo = Letterbox::new(INPUT).apply(&red_on_the_left);
        let both = pixels([(&photo, false), (&photo, true)].into_iter(), &Device::flex());
        let at = |photo: usize, channel: usize, x: usize| {
            let pixel = both.clone().slice([photo..photo + 1, channel..channel + 1, 0..1, x..x + 1]);
            pixel.into_scalar::<f32>()
        };
        assert_eq!([at(0, 0, 0), at(0, 0, SIDE - 1)], [1.0, -1.0]);
        assert_eq!([at(1, 0, 0), at(1, 0, SIDE - 1)], [-1.0, 1.0]);
        assert_eq!(at(1, 2, SIDE - 1), -1.0);
    }
}
