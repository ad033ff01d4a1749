//! What networks see: computed by ONNX Runtime over the server's own preprocessing, and kept in a cache where the network
//! stays as it is.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    thread::available_parallelism,
};

use anyhow::{Context, Result, ensure};
use half::f16;
use indicatif::{ProgressBar, ProgressStyle};
use marketrank::{
    artefacts::{ImageInput, TextInput},
    inference::Runtime,
    preprocess::{TextEncoder, Tokens},
};
use ort::{session::SessionOutputs, value::Tensor};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::{
    backbone::{PhotoNetwork, TextNetwork},
    features::Features,
    maps::{self, Maps},
    views::{View, pixels},
};
use crate::{
    networks::upper_blocks::FIRST_UPPER_BLOCK,
    onnx::{
        OnnxError, Precision,
        backbone::{write_below_layer4, write_frozen_part, write_image_backbone, write_text_backbone},
    },
    weights::{self, StateDict},
};

/// Examples in one run of a network.
const BATCH: usize = 16;
/// The one tensor of a cached table.
const TENSOR: &str = "features";

/// Computes features, or finds them in the cache.
pub struct FeatureStore<'a> {
    runtime: &'a Runtime,
    /// Folder of the cached features, and of a network's ONNX file while it is opened.
    cache: PathBuf,
}

/// What of a model's outputs is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Of a backbone alone.
    Features,
    /// Of a photo network alone, half-way up.
    MiddleFeatures,
    /// Of a listing model: categories and subcategories beside each other.
    Classes,
}

impl<'a> FeatureStore<'a> {
    pub fn new(runtime: &'a Runtime, cache: PathBuf) -> Self {
        Self { runtime, cache }
    }

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
                features.extend(output.of(&answer, batch.len())?);
            }
            progress.inc(batch.len() as u64);
        }
        let mut place = vec![0; tokens.len()];
        by_length.into_iter().enumerate().for_each(|(row, index)| place[index] = row);
        Ok(found.map(|features| features.select(&place)))
    }

    /// Pooled features of each photo, those of the last layer and then those half-way up. Every file must decode:
    /// `prepare` has dropped those that do not.
    pub fn photos(
        &self,
        network: &PhotoNetwork,
        input: ImageInput,
        files: &[PathBuf],
        view: View,
    ) -> Result<Features> {
        let key = photo_key(network, &format!("{input:?} {view:?}, last and half-way"), files)?;
        self.cached("photos", key, || {
            let model = write_image_backbone(network.backbone(), Precision::Float32)?;
            let outputs = [Output::Features, Output::MiddleFeatures];
            let [last, middle] = self.run_on_photos(&model, input, files, view, outputs)?;
            Ok(last.beside(&middle))
        })
    }

    /// Outputs of a model that reads photos, a row per photo.
    pub fn run_on_photos<const N: usize>(
        &self,
        model: &[u8],
        input: ImageInput,
        files: &[PathBuf],
        view: View,
        outputs: [Output; N],
    ) -> Result<[Features; N]> {
        let mut session = self.open("image", model)?;
        let mut found = outputs.map(|_| Features::new(0, Vec::new()));
        let progress = progress_bar(files.len(), view.name());
        for batch in files.chunks(BATCH) {
            let answer = session.run(ort::inputs!["image" => pixels(batch, input, view)?])?;
            for (features, output) in found.iter_mut().zip(outputs) {
                features.extend(output.of(&answer, batch.len())?);
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
        let key = photo_key(network, &format!("{input:?} {view:?} {FIRST_UPPER_BLOCK}"), files)?;
        let frozen = || write_frozen_part(network.backbone(), FIRST_UPPER_BLOCK, Precision::Float32);
        self.cached_maps(key, frozen, input, files, view)
    }

    /// What ResNet-50 below `layer4` makes of each photo.
    pub fn maps_below_layer4(
        &self,
        network: &PhotoNetwork,
        input: ImageInput,
        files: &[PathBuf],
        view: View,
    ) -> Result<Maps> {
        let key = photo_key(network, &format!("{input:?} {view:?} below layer4"), files)?;
        let frozen = || write_below_layer4(network.weights(), Precision::Float32);
        self.cached_maps(key, frozen, input, files, view)
    }

    /// The output `maps` of a model, from the cache or by running it.
    fn cached_maps(
        &self,
        key: Sha256,
        model: impl FnOnce() -> Result<Vec<u8>, OnnxError>,
        input: ImageInput,
        files: &[PathBuf],
        view: View,
    ) -> Result<Maps> {
        let path = self.path("maps", key)?;
        if path.is_file() {
            return maps::read(&path);
        }
        let model = model()?;
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

    /// The folder of the cache, made where it is missing.
    fn folder(&self) -> Result<&Path> {
        fs::create_dir_all(&self.cache)
            .with_context(|| format!("cannot make the folder {}", self.cache.display()))?;
        Ok(&self.cache)
    }

    /// Where the features of this key are cached.
    fn path(&self, name: &str, key: Sha256) -> Result<PathBuf> {
        Ok(self.folder()?.join(format!("{name}-{:.16}.safetensors", format!("{:x}", key.finalize()))))
    }

    fn cached(
        &self,
        name: &str,
        key: Sha256,
        compute: impl FnOnce() -> Result<Features>,
    ) -> Result<Features> {
        if let Some(known) = self.find(name, key.clone())? {
            return Ok(known);
        }
        let features = compute()?;
        self.keep(name, key, &features)?;
        Ok(features)
    }

    /// What the cache keeps under this name and key.
    ///
    /// # Errors
    /// The file is there and is no table.
    pub fn find(&self, name: &str, key: Sha256) -> Result<Option<Features>> {
        let path = self.path(name, key)?;
        if !path.is_file() {
            return Ok(None);
        }
        let stored = weights::read(&path)?;
        let tensor = stored.get(TENSOR)?;
        ensure!(tensor.shape.len() == 2, "{} is no feature table; delete it", path.display());
        Ok(Some(Features::new(tensor.shape[1], tensor.data.clone())))
    }

    /// Puts a table into the cache.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self, name: &str, key: Sha256, features: &Features) -> Result<()> {
        let mut stored = StateDict::default();
        stored.insert(TENSOR, features.to_host());
        Ok(weights::write_safetensors(&self.path(name, key)?, &stored, &BTreeMap::new())?)
    }

    fn open(&self, name: &str, model: &[u8]) -> Result<ort::session::Session> {
        // Of another command that computes features at the same time there may be one of the same name.
        let cannot_write = || format!("cannot write the {name} network to {}", self.cache.display());
        let mut file = NamedTempFile::new_in(self.folder()?).with_context(cannot_write)?;
        file.write_all(model).with_context(cannot_write)?;
        Ok(self.runtime.open(file.path(), available_parallelism().map_or(1, usize::from))?)
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
            Self::MiddleFeatures => rows("middle_features"),
            Self::Classes => Ok(rows("logits")?.beside(&rows("subcategory_logits")?)),
        }
    }
}

/// Names what a network makes of photos, seen in a way that `how` says.
fn photo_key(network: &PhotoNetwork, how: &str, files: &[PathBuf]) -> Result<Sha256> {
    let mut key = Sha256::new_with_prefix(&network.sha256);
    key.update(how);
    add_photos(&mut key, files)?;
    Ok(key)
}

/// Adds the photos to a key: their bytes, as another photo may come to have a name, and their names, which decide on the
/// [`View`]s.
///
/// # Errors
/// A file cannot be read.
pub fn add_photos(key: &mut Sha256, files: &[PathBuf]) -> Result<()> {
    for file in files {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        key.update(file.file_name().unwrap_or_default().as_encoded_bytes());
        key.update(Sha256::digest(bytes));
    }
    Ok(())
}

/// Texts, each a title and a description, as the network reads them.
pub fn encoded(network: &TextNetwork, input: TextInput, texts: &[(&str, &str)]) -> Result<Vec<Tokens>> {
    let encoder = TextEncoder::from_file(&network.tokenizer, input)?;
    let tokens = texts.iter().map(|(title, description)| encoder.encode(title, description));
    Ok(tokens.collect::<Result<_, _>>()?)
}

fn progress_bar(length: usize, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:18} {bar:40} {pos}/{len}, {per_sec}, {eta} left");
    ProgressBar::new(length as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(what)
}
