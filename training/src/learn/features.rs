//! What the frozen networks see: computed once by ONNX Runtime over the server's own preprocessing, then read from a cache.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
};

use anyhow::{Context, Result, anyhow, ensure};
use burn::tensor::{Device, TensorData};
use half::f16;
use indicatif::{ProgressBar, ProgressStyle};
use marketrank::{
    artefacts::{ImageInput, TextInput},
    inference::{Runtime, normalise},
    preprocess::{Letterbox, PhotoLimits, PhotoTensor, TextEncoder, Tokens, decode_photo},
};
use ort::{session::SessionOutputs, value::Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::{
    augment::augment,
    backbone::{PhotoNetwork, TextNetwork},
    maps::{self, Maps},
};
use crate::{
    networks::upper_blocks::FIRST_UPPER_BLOCK,
    onnx::{
        Precision,
        backbone::{write_frozen_part, write_image_backbone, write_text_backbone},
        file,
    },
    weights::{self, HostTensor, StateDict},
};

/// Examples in one run of a network.
const BATCH: usize = 16;

/// Rows of equal width, one per example.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    width: usize,
    values: Vec<f32>,
}

impl Features {
    pub fn new(width: usize, values: Vec<f32>) -> Self {
        Self { width, values }
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.width.max(1))
    }

    pub fn len(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// The rows at these places, in this order; one may be taken several times.
    pub fn select(&self, rows: &[usize]) -> Self {
        Self::new(self.width, rows.iter().flat_map(|&row| self.row(row).iter().copied()).collect())
    }

    /// Each row followed by the same row of `other`.
    pub fn beside(&self, other: &Self) -> Self {
        let rows = self.rows().zip(other.rows());
        Self::new(self.width + other.width, rows.flat_map(|(a, b)| a.iter().chain(b)).copied().collect())
    }

    /// Each row through a network at rest that keeps the number of rows.
    pub fn map(
        &self,
        device: &Device,
        network: impl Fn(burn::tensor::Tensor<2>) -> burn::tensor::Tensor<2>,
    ) -> Self {
        const TOGETHER: usize = 1_024;
        let mut values = Vec::new();
        for rows in self.values.chunks(TOGETHER * self.width.max(1)) {
            let shape = [rows.len() / self.width.max(1), self.width];
            let rows = burn::tensor::Tensor::from_data(TensorData::new(rows.to_vec(), shape), device);
            values.extend(network(rows).into_data().iter::<f32>());
        }
        Self::new(values.len() / self.len().max(1), values)
    }

    /// These rows and, times `weight`, those of `other`.
    pub fn plus(&self, other: &Self, weight: f32) -> Self {
        let values = self.values.iter().zip(&other.values).map(|(a, b)| a + b * weight);
        Self::new(self.width, values.collect())
    }

    /// Rows of L2 norm 1.
    pub fn normalised(mut self) -> Self {
        self.values.chunks_exact_mut(self.width.max(1)).for_each(normalise);
        self
    }

    /// `[rows, width]`
    pub fn into_tensor(self, device: &Device) -> burn::tensor::Tensor<2> {
        let shape = [self.len(), self.width];
        burn::tensor::Tensor::from_data(TensorData::new(self.values, shape), device)
    }

    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// How a photo is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// As the server does.
    Plain,
    /// As [`augment`] does, the view of this number.
    Augmented(u32),
}

impl View {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "photos",
            Self::Augmented(_) => "photos, augmented",
        }
    }
}

/// Computes features, or finds them in the cache.
pub struct FeatureStore<'a> {
    pub runtime: &'a Runtime,
    /// Folder of the cached features and of the networks' ONNX files.
    pub cache: PathBuf,
    pub threads: usize,
}

/// What of a model's outputs is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Of a backbone alone.
    Features,
    /// Of a listing model: categories and subcategories beside each other.
    Classes,
    /// Of a listing model.
    Embedding,
}

impl FeatureStore<'_> {
    /// Mean-pooled hidden states of each text, L2 norm 1. `texts` are titles and descriptions.
    pub fn texts(&self, network: &TextNetwork, input: TextInput, texts: &[(&str, &str)]) -> Result<Features> {
        let tokens = encoded(network, input, texts)?;
        let mut key = Sha256::new_with_prefix(&network.sha256);
        for tokens in &tokens {
            tokens.ids().iter().for_each(|id| key.update(id.to_le_bytes()));
            key.update(b";");
        }
        self.cached("texts", key, || {
            let model = write_text_backbone(network.backbone(), Precision::Float32)?;
            let [features] = self.run_on_texts(&model, &tokens, [Output::Features])?;
            Ok(features)
        })
    }

    /// Outputs of a model that reads text, a row per text.
    pub fn run_on_texts<const N: usize>(
        &self,
        model: &[u8],
        tokens: &[Tokens],
        outputs: [Output; N],
    ) -> Result<[Features; N]> {
        let mut session = self.open("text", model)?;
        let mut found = outputs.map(|_| Features::new(0, Vec::new()));
        let progress = progress_bar(tokens.len(), "texts");
        // Neighbours in length share a batch, so that little is spent on padding.
        let mut by_length: Vec<usize> = (0..tokens.len()).collect();
        by_length.sort_by_key(|&index| tokens[index].ids().len());
        for batch in by_length.chunks(BATCH) {
            let longest = batch.iter().map(|&index| tokens[index].ids().len()).max().unwrap_or(0);
            let (mut ids, mut mask) = (Vec::new(), Vec::new());
            for &index in batch {
                let row = tokens[index].ids();
                let padding = longest - row.len();
                ids.extend(row.iter().copied().chain(std::iter::repeat_n(0, padding)));
                mask.extend(std::iter::repeat_n(1, row.len()).chain(std::iter::repeat_n(0, padding)));
            }
            let shape = [batch.len(), longest];
            let answer = session.run(ort::inputs![
                "input_ids" => Tensor::from_array((shape, ids))?,
                "attention_mask" => Tensor::<i64>::from_array((shape, mask))?
            ])?;
            for (features, output) in found.iter_mut().zip(outputs) {
                let rows = output.of(&answer, batch.len())?;
                if features.is_empty() {
                    *features = Features::new(rows.width, vec![0.0; tokens.len() * rows.width]);
                }
                for (&index, row) in batch.iter().zip(rows.rows()) {
                    features.values[index * rows.width..(index + 1) * rows.width].copy_from_slice(row);
                }
            }
            progress.inc(batch.len() as u64);
        }
        Ok(found)
    }

    /// Pooled features of each photo. Every file must decode: `prepare` has dropped those that do not.
    pub fn photos(&self, network: &PhotoNetwork, input: ImageInput, files: &[PathBuf]) -> Result<Features> {
        let mut key = Sha256::new_with_prefix(&network.sha256);
        key.update(format!("{input:?}"));
        for file in files {
            key.update(file.file_name().unwrap_or_default().as_encoded_bytes());
            key.update(b";");
        }
        self.cached("photos", key, || {
            let model = write_image_backbone(network.backbone(), Precision::Float32)?;
            let [features] = self.run_on_photos(&model, input, files, [Output::Features])?;
            Ok(features)
        })
    }

    /// Outputs of a model that reads photos, a row per photo.
    pub fn run_on_photos<const N: usize>(
        &self,
        model: &[u8],
        input: ImageInput,
        files: &[PathBuf],
        outputs: [Output; N],
    ) -> Result<[Features; N]> {
        let mut session = self.open("image", model)?;
        let mut found = outputs.map(|_| Features::new(0, Vec::new()));
        let progress = progress_bar(files.len(), View::Plain.name());
        for batch in files.chunks(BATCH) {
            let answer = session.run(ort::inputs!["image" => pixels(batch, input, View::Plain)?])?;
            for (features, output) in found.iter_mut().zip(outputs) {
                let rows = output.of(&answer, batch.len())?;
                features.width = rows.width;
                features.values.extend(rows.values);
            }
            progress.inc(batch.len() as u64);
        }
        Ok(found)
    }

    /// What the part of the network that is not trained makes of each photo; see [`write_frozen_part`].
    pub fn maps(
        &self,
        network: &PhotoNetwork,
        input: ImageInput,
        files: &[PathBuf],
        view: View,
    ) -> Result<Maps> {
        let mut key = Sha256::new_with_prefix(&network.sha256);
        key.update(format!("{input:?} {view:?} {FIRST_UPPER_BLOCK}"));
        for file in files {
            key.update(file.file_name().unwrap_or_default().as_encoded_bytes());
            key.update(b";");
        }
        let path = self.path("maps", key)?;
        if path.is_file() {
            return maps::read(&path);
        }
        let model = write_frozen_part(network.backbone(), FIRST_UPPER_BLOCK, Precision::Float32)?;
        let mut session = self.open("frozen-part", &model)?;
        let (mut values, mut channels, mut positions) = (Vec::new(), 0, 0);
        let progress = progress_bar(files.len(), view.name());
        for batch in files.chunks(BATCH) {
            let outputs = session.run(ort::inputs!["image" => pixels(batch, input, view)?])?;
            let (shape, maps) = outputs["maps"].try_extract_tensor::<f32>()?;
            channels = shape.get(1).map_or(0, |&channels| channels as usize);
            positions = maps.len() / (batch.len() * channels).max(1);
            values.extend(maps.iter().map(|&value| f16::from_f32(value)));
            progress.inc(batch.len() as u64);
        }
        let maps = Maps::new(channels, positions, values);
        maps::write(&path, &maps)?;
        Ok(maps)
    }

    /// Where the features of this key are cached.
    fn path(&self, name: &str, key: Sha256) -> Result<PathBuf> {
        fs::create_dir_all(&self.cache)
            .with_context(|| format!("cannot make the folder {}", self.cache.display()))?;
        Ok(self.cache.join(format!("{name}-{:.16}.safetensors", format!("{:x}", key.finalize()))))
    }

    fn cached(
        &self,
        name: &str,
        key: Sha256,
        compute: impl FnOnce() -> Result<Features>,
    ) -> Result<Features> {
        const TENSOR: &str = "features";
        let path = self.path(name, key)?;
        if path.is_file() {
            let stored = weights::read(&path)?;
            let tensor = stored.get(TENSOR)?;
            ensure!(tensor.shape.len() == 2, "{} is no feature table; delete it", path.display());
            return Ok(Features::new(tensor.shape[1], tensor.data.clone()));
        }
        let features = compute()?;
        let shape = vec![features.len(), features.width()];
        let mut stored = StateDict::default();
        stored.insert(TENSOR, HostTensor { shape, data: features.values.clone() });
        weights::write_safetensors(&path, &stored, &BTreeMap::new())?;
        Ok(features)
    }

    fn open(&self, name: &str, model: &[u8]) -> Result<ort::session::Session> {
        let path = self.cache.join(format!("{name}-backbone.onnx"));
        file::write(&path, model)?;
        Ok(self.runtime.open(&path, self.threads)?)
    }
}

impl Output {
    fn of(self, answer: &SessionOutputs<'_>, examples: usize) -> Result<Features> {
        let rows = |name: &str| -> Result<Features> {
            let (_, values) = answer[name].try_extract_tensor::<f32>()?;
            Ok(Features::new(values.len() / examples.max(1), values.to_vec()))
        };
        match self {
            Self::Features if answer.contains_key("pooled") => rows("pooled"),
            Self::Features => rows("features"),
            Self::Classes => Ok(rows("logits")?.beside(&rows("subcategory_logits")?)),
            Self::Embedding => rows("embedding"),
        }
    }
}

/// Texts, each a title and a description, as the network reads them.
pub fn encoded(network: &TextNetwork, input: TextInput, texts: &[(&str, &str)]) -> Result<Vec<Tokens>> {
    let encoder = TextEncoder::from_file(&network.tokenizer, input)?;
    let tokens = texts.iter().map(|(title, description)| encoder.encode(title, description));
    Ok(tokens.collect::<Result<_, _>>()?)
}

/// A batch of photos, `[batch, height, width, 3]`.
fn pixels(files: &[PathBuf], input: ImageInput, view: View) -> Result<Tensor<u8>> {
    let photos = read_photos(files, input, view)?;
    let pixels: Vec<u8> = photos.iter().flat_map(|photo| photo.as_bytes().iter().copied()).collect();
    let shape = [files.len(), input.height as usize, input.width as usize, 3];
    Ok(Tensor::from_array((shape, pixels))?)
}

/// Reads photos on all cores.
fn read_photos(files: &[PathBuf], input: ImageInput, view: View) -> Result<Vec<PhotoTensor>> {
    let letterbox = Letterbox::new(input);
    let next = Mutex::new(files.iter().enumerate());
    let read = Mutex::new(vec![None; files.len()]);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let poisoned = |_| anyhow!("a thread that reads photos panicked");
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    loop {
                        let Some((index, file)) = next.lock().map_err(|_| anyhow!("poisoned"))?.next() else {
                            return Ok(());
                        };
                        let photo = read_photo(file, letterbox, view)?;
                        read.lock().map_err(|_| anyhow!("poisoned"))?[index] = Some(photo);
                    }
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(poisoned)?)
    })?;
    let read = read.into_inner().map_err(|_| anyhow!("a thread that reads photos panicked"))?;
    read.into_iter().map(|photo| photo.context("a photo was not read")).collect()
}

fn read_photo(file: &Path, letterbox: Letterbox, view: View) -> Result<PhotoTensor> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let photo = decode_photo(&bytes, &PhotoLimits::default()).with_context(|| file.display().to_string())?;
    Ok(letterbox.apply(&match view {
        View::Plain => photo,
        View::Augmented(number) => {
            // The same view of the same photo each time, in whatever order photos are read.
            let name = file.file_name().unwrap_or_default().as_encoded_bytes();
            let seed = Sha256::new_with_prefix(name).chain_update(number.to_le_bytes()).finalize();
            augment(&photo, &mut ChaCha8Rng::from_seed(seed.into()))
        }
    }))
}

fn progress_bar(length: usize, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:18} {bar:40} {pos}/{len}, {per_sec}, {eta} left");
    ProgressBar::new(length as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(what)
}
