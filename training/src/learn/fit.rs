//! The training loop: epochs over shuffled batches, early stopping, the best weights kept.

use anyhow::{Result, ensure};
use burn::{
    grad_clipping::GradientClippingConfig,
    module::Module,
    optim::{AdamWConfig, GradientsParams},
    tensor::{Bool, Device, Tensor},
};
use indicatif::{ProgressBar, ProgressStyle};
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{
    examples::{Batch, Examples},
    heads::{Heads, HeadsConfig},
    losses::{contrastive, cross_entropy, pinball},
};
use crate::{
    onnx::{LabelCounts, quantiles::QUANTILES},
    weights::StateDict,
};

/// How to train.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct FitConfig {
    pub epochs: usize,
    pub batch_size: usize,
    /// Highest learning rate: it falls to zero along a half cosine over all epochs (Loshchilov and Hutter 2017).
    pub learning_rate: f64,
    pub weight_decay: f32,
    pub label_smoothing: f32,
    /// Weights of the losses beside the category's, which has 1.
    pub subcategory_weight: f32,
    pub price_weight: f32,
    pub embedding_weight: f32,
    /// Epochs without a better validation accuracy after which training ends.
    pub patience: usize,
    pub seed: u64,
}

/// The outcome of a training.
pub struct Fitted {
    /// Tensors of the best epoch.
    pub tensors: StateDict,
    /// Each epoch's training loss and validation accuracy.
    pub epochs: Vec<Epoch>,
    /// Index of the best epoch.
    pub best: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Epoch {
    /// Mean over the batches.
    pub loss: f64,
    /// Share of validation examples whose most probable category is right; of a projection alone, of those whose nearest
    /// anchors in the batch are their own.
    pub accuracy: f64,
}

/// Trains heads on `train` and keeps those of the epoch with the best accuracy on `validation`. They start at the tensors
/// of `start`, or else at random. The same seed gives the same heads.
///
/// # Errors
/// A split has no examples, the start does not fit the heads, or the loss is no number any more.
pub fn fit(
    config: &FitConfig,
    heads_config: &HeadsConfig,
    start: Option<&StateDict>,
    labels: LabelCounts,
    train: &Examples,
    validation: &Examples,
    device: &Device,
) -> Result<Fitted> {
    ensure!(!train.is_empty(), "there are no training examples");
    ensure!(!validation.is_empty(), "there are no validation examples");
    let device = device.clone().autodiff();
    device.seed(config.seed);
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let mut heads = match start {
        Some(tensors) => Heads::load(heads_config, tensors, &device)?,
        None => Heads::new(heads_config, &device),
    };
    let mut optimizer = AdamWConfig::new()
        .with_weight_decay(config.weight_decay)
        .with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)))
        .init();

    let batches = train.len().div_ceil(config.batch_size);
    let progress = progress_bar(config.epochs * batches);
    let mut order: Vec<usize> = (0..train.len()).collect();
    let mut fitted = Fitted { tensors: StateDict::default(), epochs: Vec::new(), best: 0 };
    for epoch in 0..config.epochs {
        order.shuffle(&mut rng);
        let mut total = 0.0;
        for (number, indices) in order.chunks(config.batch_size).enumerate() {
            let batch = train.batch(indices, |variants| rng.random_range(0..variants), &device);
            let loss = loss(config, labels, &heads, batch);
            let value = f64::from(loss.clone().into_scalar::<f32>());
            ensure!(value.is_finite(), "the loss is {value} in epoch {epoch}; lower the learning rate");
            total += value;
            let gradients = GradientsParams::from_grads(loss.backward(), &heads);
            let done = (epoch * batches + number) as f64 / (config.epochs * batches) as f64;
            let rate = config.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
            heads = optimizer.step(rate, heads, gradients);
            progress.inc(1);
        }
        let resting = heads.valid();
        let accuracy = accuracy(&resting, labels, validation, config.batch_size);
        let loss = total / batches as f64;
        progress.suspend(|| println!("epoch {epoch:2}  loss {loss:.3}  validation accuracy {accuracy:.4}"));
        fitted.epochs.push(Epoch { loss, accuracy });
        if epoch == 0 || accuracy > fitted.epochs[fitted.best].accuracy {
            fitted.best = epoch;
            fitted.tensors = resting.state_dict();
        } else if epoch - fitted.best >= config.patience {
            break;
        }
    }
    progress.finish_and_clear();
    Ok(fitted)
}

fn loss(config: &FitConfig, labels: LabelCounts, heads: &Heads, batch: Batch) -> Tensor<1> {
    let embeddings = heads.embed(batch.features.clone());
    let mut loss = Tensor::zeros([1], &embeddings.device());
    let share = config.embedding_weight / batch.anchors.len().max(1) as f32;
    for anchors in batch.anchors {
        let anchors = if batch.project_anchors { heads.embed(anchors) } else { anchors };
        loss = loss + contrastive(embeddings.clone(), anchors, batch.wanted.clone()) * share;
    }
    let Some(columns) = heads.columns(batch.features, batch.words.as_ref()) else { return loss };
    let everywhere = batch.has_price.ones_like();
    let category = columns.clone().narrow(1, 0, labels.categories);
    loss = loss + cross_entropy(category, batch.category, everywhere, config.label_smoothing);
    if labels.subcategories > 0 {
        let subcategory = columns.clone().narrow(1, labels.categories, labels.subcategories);
        let subcategory =
            cross_entropy(subcategory, batch.subcategory, batch.has_subcategory, config.label_smoothing);
        loss = loss + subcategory * config.subcategory_weight;
    }
    if columns.dims()[1] == labels.classes_and_price() {
        let price = columns.narrow(1, labels.classes(), QUANTILES);
        loss = loss + pinball(price, batch.log_price, batch.has_price) * config.price_weight;
    }
    loss
}

/// Share of examples whose largest category logit is the right one or, where no categories are trained, whose nearest
/// anchors are of their own listing: the mean over the sets of anchors.
fn accuracy(heads: &Heads, labels: LabelCounts, examples: &Examples, batch_size: usize) -> f64 {
    let Some(device) = heads.devices().into_iter().next() else { return 0.0 };
    let order: Vec<usize> = (0..examples.len()).collect();
    let right: f64 = order
        .chunks(batch_size)
        .map(|indices| {
            let batch = examples.batch(indices, |_| 0, &device);
            match heads.columns(batch.features.clone(), batch.words.as_ref()) {
                Some(columns) => {
                    let predicted = columns.narrow(1, 0, labels.categories).argmax(1).squeeze_dim::<1>(1);
                    count(predicted.equal(batch.category))
                }
                None => {
                    let embeddings = heads.embed(batch.features);
                    let sets = batch.anchors.len().max(1) as f64;
                    let found = batch.anchors.into_iter().map(|anchors| {
                        let nearest = embeddings.clone().matmul(anchors.transpose()).argmax(1);
                        count(batch.wanted.clone().gather(1, nearest).squeeze_dim::<1>(1).equal_elem(1.0))
                    });
                    found.sum::<f64>() / sets
                }
            }
        })
        .sum();
    right / examples.len() as f64
}

fn count(holds: Tensor<1, Bool>) -> f64 {
    holds.int().sum().into_scalar::<i64>() as f64
}

fn progress_bar(batches: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} batches, {eta} left");
    ProgressBar::new(batches as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
