//! `marketrank-train train image|text|combined`: trains the heads of one model and keeps them in a run folder.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread::available_parallelism,
};

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use clap::{Args, ValueEnum};
use marketrank::inference::{Device as Provider, Runtime};
use serde::Serialize;

use super::{
    assemble::{Corpus, TextEmbeddings, TextFeatures, photo_embeddings},
    backbone::{PhotoNetwork, WeightsArgs},
    examples::Examples,
    features::FeatureStore,
    fit::{Epoch, FitConfig, Fitted, fit},
    fusion::{fuse, text_alone},
    heads::HeadsConfig,
    price_band,
    recipes::{IMAGE_FIT, Overrides, PROJECTION_FIT, TEXT_FIT, image_heads, projection, text_heads},
};
use crate::{
    data::{CleanTable, Split},
    networks::device::Hardware,
    weights::{self, StateDict},
};

/// File of the trained tensors in a run folder.
const HEADS: &str = "heads.safetensors";
/// File that says how they came about.
const RUN: &str = "run.json";

/// Which of the three models to train. The text comes first, then the image, then both combined: each is drawn into the
/// embedding space of those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Model {
    Text,
    Image,
    Combined,
}

#[derive(Debug, Clone, Args)]
pub struct TrainArgs {
    #[arg(value_enum)]
    model: Model,

    #[command(flatten)]
    common: CommonArgs,

    #[command(flatten)]
    weights: WeightsArgs,

    /// The same seed gives the same model
    #[arg(long, default_value_t = 1)]
    seed: u64,

    #[command(flatten)]
    overrides: Overrides,

    /// What to train on; features are always computed by ONNX Runtime
    #[arg(long, value_enum, default_value = "cpu")]
    hardware: Hardware,
}

/// Where the other commands find what this one needs, and leave what they made.
#[derive(Debug, Clone, Args)]
pub struct CommonArgs {
    /// Folder of the clean table, made by `prepare`
    #[arg(long, default_value = "data/clean", value_name = "FOLDER")]
    pub clean: PathBuf,

    /// Folder of the runs: each model's trained heads have a folder in it
    #[arg(long, default_value = "runs", value_name = "FOLDER")]
    pub runs: PathBuf,

    /// Folder of the cached features
    #[arg(long, default_value = ".cache/features", value_name = "FOLDER")]
    pub features: PathBuf,

    /// The ONNX Runtime shared library; `make setup` puts it at the default place
    #[arg(
        long,
        env = "MARKETRANK_ONNXRUNTIME",
        default_value = ".cache/onnxruntime/libonnxruntime.so",
        value_name = "FILE"
    )]
    pub onnxruntime: PathBuf,
}

/// What `run.json` says.
#[derive(Serialize)]
struct RunReport<'a> {
    model: &'static str,
    data_sha256: &'a str,
    fit: FitConfig,
    best_epoch: usize,
    validation_accuracy: f64,
    epochs: &'a [Epoch],
}

/// A trained model: its tensors, and how they came about.
struct Trained {
    tensors: StateDict,
    fit: FitConfig,
    fitted: Fitted,
}

/// What all three trainings share.
struct Training<'a> {
    args: &'a TrainArgs,
    corpus: Corpus<'a>,
    store: FeatureStore<'a>,
    text: TextFeatures,
    text_config: HeadsConfig,
    device: Device,
}

/// Trains one model.
///
/// # Errors
/// The clean table, the weights or, for a later model, the run of an earlier one is missing; the message says which
/// command makes it.
pub fn train(args: &TrainArgs) -> Result<()> {
    let CommonArgs { clean, features, onnxruntime, .. } = &args.common;
    let table = CleanTable::read(clean)?;
    let runtime = Runtime::load(onnxruntime, Provider::Auto)?;
    let threads = available_parallelism().map_or(1, usize::from);
    let store = FeatureStore { runtime: &runtime, cache: features.clone(), threads };
    let corpus = Corpus::new(&table);
    let network = args.weights.text_network()?;
    let text = corpus.text_features(&store, &network)?;
    let backbone = network.backbone();
    let text_config = text_heads(corpus.labels(), backbone.features()?, backbone.vocabulary()?);
    let device = args.hardware.device();
    let training = Training { args, corpus, store, text, text_config, device };
    let trained = match args.model {
        Model::Text => training.text()?,
        Model::Image => training.image()?,
        Model::Combined => training.combined()?,
    };
    save(args, &table, trained)
}

impl Training<'_> {
    fn text(&self) -> Result<Trained> {
        let examples = |split| self.corpus.text_examples(split, &self.text);
        let (fit, fitted) = self.fit(TEXT_FIT, &self.text_config, None, examples)?;
        let tensors = self.text.idf.fold(fitted.tensors.clone());
        let mut validation = examples(Split::Validation);
        validation.words = validation.words.map(|(words, idf)| (words, idf.folded()));
        let tensors = price_band::calibrate(
            tensors,
            &self.text_config,
            self.corpus.labels(),
            &validation,
            &self.device,
        )?;
        Ok(Trained { tensors, fit, fitted })
    }

    fn image(&self) -> Result<Trained> {
        let network = self.args.weights.photo_network()?;
        let photos = self.corpus.photo_features(&self.store, &network)?;
        let norm = self.corpus.standardisation(&photos);
        let anchors = self.text_embeddings(&read_heads(&self.args.common.runs, Model::Text)?)?;
        let examples = |split| self.corpus.image_examples(split, &photos, &norm, &anchors);
        let (fit, fitted) = self.fit(IMAGE_FIT, &self.image_config(&network), None, examples)?;
        let mut tensors = fitted.tensors.clone();
        norm.write(&mut tensors);
        Ok(Trained { tensors, fit, fitted })
    }

    fn combined(&self) -> Result<Trained> {
        let network = self.args.weights.photo_network()?;
        let photos = self.corpus.photo_features(&self.store, &network)?;
        let norm = self.corpus.standardisation(&photos);
        let image_config = self.image_config(&network);
        let text_heads = read_heads(&self.args.common.runs, Model::Text)?;
        let image_heads = read_heads(&self.args.common.runs, Model::Image)?;
        let anchors = self.text_embeddings(&text_heads)?;
        let photo_anchors = photo_embeddings(&photos, &norm, &image_config, &image_heads, &self.device)?;
        let examples = |split| {
            self.corpus.combined_examples(split, &self.text, &photos, &norm, &anchors, &photo_anchors)
        };
        let fused = fuse(
            self.corpus.labels(),
            (&self.text_config, &text_heads),
            (&image_config, &image_heads),
            &examples(Split::Validation),
            &self.device,
        )?;
        println!(
            "photo and text multiplied, the photo with weight {:.1}: validation accuracy {:.4}",
            fused.photo_weight, fused.accuracy
        );
        let config = projection(&self.text_config, &image_config);
        let start = text_alone(&text_heads, self.text_config.features, image_config.features)?;
        let (fit, fitted) = self.fit(PROJECTION_FIT, &config, Some(&start), examples)?;
        let mut tensors: StateDict = fused.tensors.into_iter().chain(fitted.tensors.clone()).collect();
        norm.write(&mut tensors);
        Ok(Trained { tensors, fit, fitted })
    }

    fn fit(
        &self,
        recipe: FitConfig,
        heads: &HeadsConfig,
        start: Option<&StateDict>,
        examples: impl Fn(Split) -> Examples,
    ) -> Result<(FitConfig, Fitted)> {
        let recipe = FitConfig { seed: self.args.seed, ..recipe };
        let (recipe, heads) = self.args.overrides.apply(recipe, heads);
        let (train, validation) = (examples(Split::Train), examples(Split::Validation));
        let fitted = fit(&recipe, &heads, start, self.corpus.labels(), &train, &validation, &self.device)?;
        Ok((recipe, fitted))
    }

    fn text_embeddings(&self, heads: &StateDict) -> Result<TextEmbeddings> {
        TextEmbeddings::of(&self.text, &self.text_config, heads, &self.device)
    }

    fn image_config(&self, network: &PhotoNetwork) -> HeadsConfig {
        image_heads(self.corpus.labels(), network.backbone().features(), self.text_config.embedding)
    }
}

/// The trained tensors of a model.
///
/// # Errors
/// The model was not trained yet.
pub fn read_heads(runs: &Path, model: Model) -> Result<StateDict> {
    let path = runs.join(model.name()).join(HEADS);
    weights::read(&path)
        .with_context(|| format!("no {0} model is trained; run `marketrank-train train {0}`", model.name()))
}

fn save(args: &TrainArgs, table: &CleanTable, trained: Trained) -> Result<()> {
    let Trained { tensors, fit, fitted: Fitted { epochs, best, .. } } = trained;
    ensure!(!epochs.is_empty(), "no epoch was trained");
    let folder = args.common.runs.join(args.model.name());
    fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let report = RunReport {
        model: args.model.name(),
        data_sha256: &table.sha256,
        fit,
        best_epoch: best,
        validation_accuracy: epochs[best].accuracy,
        epochs: &epochs,
    };
    weights::write_safetensors(&folder.join(HEADS), &tensors, &BTreeMap::new())?;
    fs::write(folder.join(RUN), serde_json::to_vec_pretty(&report)?)
        .with_context(|| format!("cannot write {}", folder.join(RUN).display()))?;
    println!(
        "{}: best in epoch {best} of {}, validation accuracy {:.4}; its heads are in {}",
        report.model,
        epochs.len(),
        report.validation_accuracy,
        folder.display()
    );
    Ok(())
}

impl Model {
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Combined => "combined",
        }
    }
}
