//! What the frozen networks see: computed once by ONNX Runtime over the server's own preprocessing, then read from a cache.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
};

use anyhow::{Context, Result, anyhow, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use marketrank::{
    artefacts::{ImageInput, TextInput},
    inference::Runtime,
    preprocess::{Letterbox, PhotoLimits, PhotoTensor, TextEncoder, Tokens, decode_photo},
};
use ort::value::Tensor;
use sha2::{Digest, Sha256};

use super::backbone::{PhotoNetwork, TextNetwork};
use crate::{
    onnx::{
        Precision,
        backbone::{write_image_backbone, write_text_backbone},
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

    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// Computes features, or finds them in the cache.
pub struct FeatureStore<'a> {
    pub runtime: &'a Runtime,
    /// Folder of the cached features and of the networks' ONNX files.
    pub cache: PathBuf,
    pub threads: usize,
}

impl FeatureStore<'_> {
    /// Mean-pooled hidden states of each text, L2 norm 1. `texts` are titles and descriptions.
    pub fn texts(&self, network: &TextNetwork, input: TextInput, texts: &[(&str, &str)]) -> Result<Features> {
        let encoder = TextEncoder::from_file(&network.tokenizer, input)?;
        let tokens: Vec<Tokens> = texts
            .iter()
            .map(|(title, description)| encoder.encode(title, description))
            .collect::<Result<_, _>>()?;
        let mut key = Sha256::new_with_prefix(&network.sha256);
        for tokens in &tokens {
            tokens.ids().iter().for_each(|id| key.update(id.to_le_bytes()));
            key.update(b";");
        }
        self.cached("texts", key, || {
            let model = write_text_backbone(network.backbone(), Precision::Float32)?;
            let mut session = self.open("text", &model)?;
            let mut values = Vec::new();
            let progress = progress_bar(tokens.len(), "texts");
            // Neighbours in length share a batch, so that little is spent on padding.
            let mut by_length: Vec<usize> = (0..tokens.len()).collect();
            by_length.sort_by_key(|&index| tokens[index].ids().len());
            let mut width = 0;
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
                let outputs = session.run(ort::inputs![
                    "input_ids" => Tensor::from_array((shape, ids))?,
                    "attention_mask" => Tensor::<i64>::from_array((shape, mask))?
                ])?;
                let (_, pooled) = outputs["pooled"].try_extract_tensor::<f32>()?;
                width = pooled.len() / batch.len();
                values.resize(tokens.len() * width, 0.0);
                for (&index, row) in batch.iter().zip(pooled.chunks_exact(width)) {
                    values[index * width..(index + 1) * width].copy_from_slice(row);
                }
                progress.inc(batch.len() as u64);
            }
            Ok(Features::new(width, values))
        })
    }

    /// Pooled features of each photo. Every file must decode: `prepare` has dropped those that do not.
    pub fn photos(
        &self,
        network: &PhotoNetwork,
        input: ImageInput,
        files: &[PathBuf],
        flipped: bool,
    ) -> Result<Features> {
        let mut key = Sha256::new_with_prefix(&network.sha256);
        key.update(format!("{input:?} {flipped}"));
        for file in files {
            key.update(file.file_name().unwrap_or_default().as_encoded_bytes());
            key.update(b";");
        }
        self.cached("photos", key, || {
            let model = write_image_backbone(network.backbone(), Precision::Float32)?;
            let mut session = self.open("image", &model)?;
            let mut values = Vec::new();
            let progress = progress_bar(files.len(), if flipped { "photos, mirrored" } else { "photos" });
            for batch in files.chunks(BATCH) {
                let photos = read_photos(batch, input, flipped)?;
                let pixels: Vec<u8> =
                    photos.iter().flat_map(|photo| photo.as_bytes().iter().copied()).collect();
                let shape = [batch.len(), input.height as usize, input.width as usize, 3];
                let image = Tensor::<u8>::from_array((shape, pixels))?;
                let outputs = session.run(ort::inputs!["image" => image])?;
                values.extend_from_slice(outputs["features"].try_extract_tensor::<f32>()?.1);
                progress.inc(batch.len() as u64);
            }
            Ok(Features::new(network.backbone().features(), values))
        })
    }

    fn cached(
        &self,
        name: &str,
        key: Sha256,
        compute: impl FnOnce() -> Result<Features>,
    ) -> Result<Features> {
        const TENSOR: &str = "features";
        fs::create_dir_all(&self.cache)
            .with_context(|| format!("cannot make the folder {}", self.cache.display()))?;
        let path = self.cache.join(format!("{name}-{:.16}.safetensors", format!("{:x}", key.finalize())));
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

/// Reads photos on all cores.
fn read_photos(files: &[PathBuf], input: ImageInput, flipped: bool) -> Result<Vec<PhotoTensor>> {
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
                        let photo = read_photo(file, letterbox, flipped)?;
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

fn read_photo(file: &Path, letterbox: Letterbox, flipped: bool) -> Result<PhotoTensor> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let photo = decode_photo(&bytes, &PhotoLimits::default()).with_context(|| file.display().to_string())?;
    Ok(letterbox.apply(&if flipped { image::imageops::flip_horizontal(&photo) } else { photo }))
}

fn progress_bar(length: usize, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:18} {bar:40} {pos}/{len}, {per_sec}, {eta} left");
    ProgressBar::new(length as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(what)
}
