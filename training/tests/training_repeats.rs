//! The training loop on made-up examples: it learns, it repeats, it resumes, and it keeps its best epoch.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use marketrank_train::{
    learn::{
        fit::{FitConfig, Fitted, Lesson, Score, fit, schedule::Schedule},
        heads::{Heads, HeadsConfig},
        projection::ProjectionConfig,
        score::class_score,
        targets::{Target, TargetBatch},
    },
    onnx::LabelCounts,
};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

const LABELS: LabelCounts = LabelCounts { categories: 3, subcategories: 3 };
const WIDTH: usize = 12;

/// Listings whose category shows in one of the first three features, under noise.
struct Noisy {
    train: Vec<([f32; WIDTH], Target)>,
    validation: Vec<([f32; WIDTH], Target)>,
}

fn examples(count: usize, mut state: u32) -> Vec<([f32; WIDTH], Target)> {
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state as f32 / u32::MAX as f32 - 0.5
    };
    let example = |listing: usize| {
        let category = listing % 3;
        let features = std::array::from_fn(|i| random() + if i == category { 1.0 } else { 0.0 });
        let target = Target {
            category,
            subcategory: Some(category),
            log_price: Some(category as f32),
            listing,
            path: category,
            branch: category,
        };
        (features, target)
    };
    (0..count).map(example).collect()
}

fn features(examples: &[&([f32; WIDTH], Target)], device: &Device) -> Tensor<2> {
    let values: Vec<f32> = examples.iter().flat_map(|(features, _)| *features).collect();
    Tensor::from_data(TensorData::new(values, [examples.len(), WIDTH]), device)
}

impl Lesson for Noisy {
    type Network = Heads;

    fn fingerprint(&self) -> String {
        self.train.len().to_string()
    }

    fn batches(&self, size: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..self.train.len()).collect();
        order.shuffle(rng);
        order.chunks(size).map(<[usize]>::to_vec).collect()
    }

    fn loss(&self, network: &Heads, batch: &[usize], _rng: &mut ChaCha8Rng) -> Tensor<1> {
        let device = Device::flex().autodiff();
        let batch: Vec<_> = batch.iter().map(|&index| &self.train[index]).collect();
        let targets = TargetBatch::new(batch.iter().map(|(_, target)| *target).collect(), &device);
        targets.loss(network.columns(features(&batch, &device)), LABELS, 0.05)
    }

    fn validate(&self, network: &Heads) -> Score {
        let batch: Vec<_> = self.validation.iter().collect();
        let targets: Vec<Target> = batch.iter().map(|(_, target)| *target).collect();
        class_score(network.columns(features(&batch, &Device::flex())), &targets, LABELS)
    }
}

fn config(seed: u64, epochs: usize) -> FitConfig {
    FitConfig {
        epochs,
        batch_size: 16,
        shards: 2,
        learning_rate: 1e-2,
        schedule: Schedule::Constant,
        weight_decay: 1e-2,
        gradient_clip: 1.0,
        patience: 3,
        seed,
    }
}

fn train(config: &FitConfig, run: &Path, resume: bool) -> anyhow::Result<Fitted<Heads>> {
    let heads = HeadsConfig {
        columns: LABELS.classes_and_price(),
        projection: ProjectionConfig { features: WIDTH, hidden: None, embedding: 8, residual: false },
        feature_scale: 1.0,
        dropout: 0.2,
    };
    let device = Device::flex();
    device.seed(config.seed);
    let network = Heads::new(&heads, &device.clone().autodiff());
    let lesson = Noisy { train: examples(120, 3), validation: examples(60, 17) };
    fit(config, &lesson, network, &device, run, resume)
}

/// In one test, because burn's random numbers are the process's own, and tests run side by side.
#[test]
fn the_same_seed_gives_the_same_network_even_across_a_break() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str| folder.path().join(name);
    let first = train(&config(1, 6), &run("first"), false).unwrap();
    let best = first.epochs[first.best].validation;
    assert!(best.accuracy > 0.9, "{:?}", first.epochs);
    assert!(first.epochs.iter().all(|epoch| epoch.validation.loss >= best.loss));

    let again = train(&config(1, 6), &run("again"), false).unwrap();
    assert_eq!(again.epochs, first.epochs);
    assert_eq!(again.network.state_dict(), first.network.state_dict());
    let other = train(&config(2, 6), &run("other"), false).unwrap();
    assert_ne!(other.network.state_dict(), first.network.state_dict());

    // What is on disk after three epochs is taken for a training of six that was broken off.
    train(&config(1, 3), &run("broken"), false).unwrap();
    let state = run("broken").join("checkpoint/state.json");
    let json = std::fs::read_to_string(&state).unwrap().replacen("\"epochs\": 3", "\"epochs\": 6", 1);
    std::fs::write(&state, json).unwrap();
    let resumed = train(&config(1, 6), &run("broken"), true).unwrap();
    assert_eq!(resumed.epochs, first.epochs);
    assert_eq!(resumed.network.state_dict(), first.network.state_dict());

    let refused = train(&config(2, 6), &run("first"), true).err().unwrap().to_string();
    assert!(refused.contains("other settings"), "{refused}");

    let stopped = train(&config(1, 200), &run("stopped"), false).unwrap();
    assert_eq!(stopped.epochs.len(), stopped.best + 1 + 3);
}
