//! The training loop: epochs over shuffled batches, a checkpoint after each, early stopping, the best weights kept.
//!
//! - [`schedule`]: how the learning rate moves;
//! - [`checkpoint`]: a training on disk, to go on from;
//! - [`events`]: its curves for TensorBoard;
//! - [`interrupt`]: what Ctrl-C does.

pub mod checkpoint;
pub mod events;
pub mod interrupt;
pub mod schedule;

use std::{fs, path::Path, thread, time::Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use burn::{
    grad_clipping::GradientClippingConfig,
    module::Module,
    optim::{AdamWConfig, GradientsAccumulator, GradientsParams, ModuleOptimizer},
    tensor::{Device, Tensor},
};
use indicatif::{ProgressBar, ProgressStyle};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use self::{
    checkpoint::{Checkpoints, Progress},
    events::EventFile,
    schedule::{Moment, Schedule},
};

/// How to train.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FitConfig {
    pub epochs: usize,
    pub batch_size: usize,
    /// Parts of a batch whose gradients are computed at the same time, each by a thread; the step takes their mean.
    /// Part of the recipe and not of the machine: a contrastive loss knows only the examples of its part.
    pub shards: usize,
    /// Highest learning rate.
    pub learning_rate: f64,
    pub schedule: Schedule,
    /// Decoupled (AdamW, Loshchilov and Hutter 2019).
    pub weight_decay: f32,
    /// The gradient of each tensor is cut to this norm.
    pub gradient_clip: f32,
    /// Epochs without a lower validation loss after which training ends.
    pub patience: usize,
    pub seed: u64,
}

/// What one epoch came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Training loss, mean over the batches.
    pub loss: f64,
    pub validation: Score,
}

/// What a network is worth on the validation split.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// What training shall lower.
    pub loss: f64,
    /// Share of examples that are answered right; what of, the lesson says.
    pub accuracy: f64,
}

/// What a network is to learn.
pub trait Lesson: Sync {
    type Network: Module;

    /// Names the examples, so that a training is not resumed on others.
    fn fingerprint(&self) -> String;

    /// The batches of one epoch, as indices of examples.
    fn batches(&self, size: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>>;

    /// The loss of a network in training over one batch.
    fn loss(&self, network: &Self::Network, batch: &[usize], rng: &mut ChaCha8Rng) -> Tensor<1>;

    /// The worth of a network at rest.
    fn validate(&self, network: &Self::Network) -> Score;
}

/// As many examples in random order, `size` a batch and what is left in the last one.
pub fn shuffled_batches(examples: usize, size: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..examples).collect();
    order.shuffle(rng);
    order.chunks(size).map(<[usize]>::to_vec).collect()
}

/// A trained network and how it came about.
pub struct Fitted<M> {
    /// At rest, as of the best epoch.
    pub network: M,
    pub epochs: Vec<Epoch>,
    /// Index of the best epoch.
    pub best: usize,
}

/// Trains `network` and keeps it as of the epoch with the lowest validation loss. Checkpoints and curves go into the folder
/// `run`, from where `resume` goes on as if there had been no break (or begins, if there is none yet). The same seed gives
/// the same network.
///
/// # Errors
/// There are no examples, the loss is no number any more, Ctrl-C was pressed, or the folder cannot be written.
pub fn fit<L: Lesson>(
    config: &FitConfig,
    lesson: &L,
    network: L::Network,
    device: &Device,
    run: &Path,
    resume: bool,
) -> Result<Fitted<L::Network>> {
    interrupt::listen();
    fs::create_dir_all(run).with_context(|| format!("cannot make the folder {}", run.display()))?;
    let checkpoints = Checkpoints::new(run);
    let mut events =
        EventFile::create(run).with_context(|| format!("cannot write to the folder {}", run.display()))?;
    let examples = lesson.fingerprint();
    let mut best = network.valid();
    let (mut network, mut optimizer) = (network, optimizer(config));
    let mut progress = Progress { config: *config, examples: examples.clone(), epochs: Vec::new(), best: 0 };
    if resume && checkpoints.exist() {
        (progress, network, best, optimizer) = checkpoints.load(config, &examples, network, optimizer)?;
    }

    for epoch in progress.epochs.len()..config.epochs {
        if ended_early(config, &progress) {
            break;
        }
        // Each epoch draws from a seed of its own, so that a resumed training draws what an unbroken one would.
        let seed = config.seed.wrapping_mul(1_000_003).wrapping_add(epoch as u64);
        device.seed(seed);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let batches = lesson.batches(config.batch_size, &mut rng);
        ensure!(!batches.is_empty(), "there are no training examples");
        let bar = progress_bar(config, epoch, batches.len());
        let began = Instant::now();
        let mut total = 0.0;
        for (number, batch) in batches.iter().enumerate() {
            if interrupt::asked_to_stop() {
                bar.finish_and_clear();
                bail!("stopped in epoch {epoch}; --resume goes on after the last whole epoch");
            }
            let step = epoch * batches.len() + number;
            let moment = Moment { step, steps: config.epochs * batches.len(), epoch_steps: batches.len() };
            let rate = config.learning_rate * config.schedule.share(moment);
            let (value, gradients) = gradients(lesson, &network, batch, config.shards, &mut rng)?;
            ensure!(value.is_finite(), "the loss is {value} in epoch {epoch}; lower the learning rate");
            network = optimizer.step(rate, network, gradients);
            total += value;
            events.scalars(step, &[("train/loss", value), ("train/learning_rate", rate)])?;
            bar.set_message(format!("loss {:.3}", total / (number + 1) as f64));
            bar.inc(1);
        }
        let resting = network.valid();
        let validation = lesson.validate(&resting);
        bar.finish_and_clear();
        ensure!(
            validation.loss.is_finite(),
            "the validation loss of epoch {epoch} is no number; lower the learning rate"
        );
        let loss = total / batches.len() as f64;
        println!(
            "epoch {epoch:2}  loss {loss:.3}  validation loss {:.3}, accuracy {:.4}  {:.0} s",
            validation.loss,
            validation.accuracy,
            began.elapsed().as_secs_f64()
        );
        let step = (epoch + 1) * batches.len();
        events.scalars(
            step,
            &[("validation/loss", validation.loss), ("validation/accuracy", validation.accuracy)],
        )?;
        progress.epochs.push(Epoch { loss, validation });
        if epoch == 0 || validation.loss < progress.epochs[progress.best].validation.loss {
            progress.best = epoch;
            best = resting;
        }
        checkpoints.save(&progress, &network, &best, &optimizer)?;
    }
    ensure!(!progress.epochs.is_empty(), "no epoch was trained");
    Ok(Fitted { network: best, epochs: progress.epochs, best: progress.best })
}

/// The loss and its gradients: the means over the shards of a batch.
fn gradients<L: Lesson>(
    lesson: &L,
    network: &L::Network,
    batch: &[usize],
    shards: usize,
    rng: &mut ChaCha8Rng,
) -> Result<(f64, GradientsParams)> {
    let size = batch.len().div_ceil(shards.max(1)).max(1);
    let parts = batch.chunks(size).len() as f64;
    // Forward one after the other: what dropout leaves out comes from one source of random numbers for all threads, and the
    // same seed must give the same network.
    let losses: Vec<_> = batch
        .chunks(size)
        .map(|shard| {
            // A graph of its own for each thread: they would wait for each other in a shared one.
            let device = network.devices().into_iter().next().unwrap_or_default();
            let network = network.clone().fork(&device);
            (lesson.loss(&network, shard, rng) / parts, network)
        })
        .collect();
    let results = thread::scope(|scope| -> Result<Vec<_>> {
        let threads: Vec<_> = losses
            .into_iter()
            .map(|(loss, network)| {
                scope.spawn(move || {
                    let value = f64::from(loss.clone().into_scalar::<f32>());
                    (value, GradientsParams::from_grads(loss.backward(), &network))
                })
            })
            .collect();
        let panicked = |_| anyhow!("a training thread panicked");
        threads.into_iter().map(|thread| thread.join().map_err(panicked)).collect()
    })?;
    let mut sum = GradientsAccumulator::new();
    let mut loss = 0.0;
    for (value, gradients) in results {
        loss += value;
        sum.accumulate(network, gradients);
    }
    Ok((loss, sum.grads()))
}

fn ended_early(config: &FitConfig, progress: &Progress) -> bool {
    progress.epochs.len() > progress.best + config.patience
}

fn optimizer(config: &FitConfig) -> ModuleOptimizer {
    AdamWConfig::new()
        .with_weight_decay(config.weight_decay)
        .with_grad_clipping(Some(GradientClippingConfig::Norm(config.gradient_clip)))
        .init()
}

fn progress_bar(config: &FitConfig, epoch: usize, batches: usize) -> ProgressBar {
    let template = format!(
        "epoch {epoch:2} of {} {{bar:30}} {{pos}}/{{len}} batches, {{msg}}, {{eta}} left",
        config.epochs
    );
    let style = ProgressStyle::with_template(&template);
    ProgressBar::new(batches as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
