//! `marketrank-train train image|text|combined`: trains the heads of one model and keeps them in a run folder.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread::available_parallelism,
};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use marketrank::inference::{Device as Provider, Runtime};
use serde::Serialize;

use super::{
    assemble::{Corpus, TextEmbeddings, photo_embeddings},
    backbone::WeightsArgs,
    features::FeatureStore,
    fit::{Epoch, FitConfig, Fitted, fit},
    heads::HeadsConfig,
    words::Idf,
};
use crate::{
    data::{CleanTable, Split},
    networks::device::Hardware,
    onnx::LabelCounts,
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

    /// Most epochs; training ends sooner when the validation accuracy no longer rises
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,

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

/// Trains one model.
///
/// # Errors
/// The clean table, the weights or, for a later model, the run of an earlier one is missing; the message says which
/// command makes it.
pub fn train(args: &TrainArgs) -> Result<()> {
    let CommonArgs { clean, runs, features, onnxruntime } = &args.common;
    let table = CleanTable::read(clean)?;
    let corpus = Corpus::new(&table);
    let runtime = Runtime::load(onnxruntime, Provider::Auto)?;
    let threads = available_parallelism().map_or(1, usize::from);
    let store = FeatureStore { runtime: &runtime, cache: features.clone(), threads };
    let device = args.hardware.device();
    let labels = corpus.labels();

    let text_network = args.weights.text_network()?;
    let text = corpus.text_features(&store, &text_network)?;
    let text_config =
        text_heads(labels, text_network.backbone().features()?, text_network.backbone().vocabulary()?);
    let fit_model = |config: FitConfig, heads: &HeadsConfig, train, validation| {
        let epochs = args.epochs.map_or(config.epochs, |epochs| epochs as usize);
        let config = FitConfig { seed: args.seed, epochs, ..config };
        Ok::<_, anyhow::Error>((config, fit(&config, heads, labels, &train, &validation, &device)?))
    };

    let (config, fitted, extra) = match args.model {
        Model::Text => {
            let examples = |split| corpus.text_examples(split, &text);
            let (config, fitted) =
                fit_model(TEXT_FIT, &text_config, examples(Split::Train), examples(Split::Validation))?;
            (config, fitted, StateDict::default())
        }
        Model::Image | Model::Combined => {
            let photo_network = args.weights.photo_network()?;
            let photos = corpus.photo_features(&store, &photo_network)?;
            let norm = corpus.standardisation(&photos);
            let image_config =
                image_heads(labels, photo_network.backbone().features(), text_config.embedding);
            let text_heads = read_heads(runs, Model::Text)?;
            let text_embeddings = TextEmbeddings::of(&text, &text_config, &text_heads, &device)?;
            let (config, fitted) = if args.model == Model::Image {
                let examples = |split| corpus.image_examples(split, &photos, &norm, &text_embeddings);
                fit_model(IMAGE_FIT, &image_config, examples(Split::Train), examples(Split::Validation))?
            } else {
                let image_heads = read_heads(runs, Model::Image)?;
                let embedded = photo_embeddings(&photos, &norm, &image_config, &image_heads, &device)?;
                let heads = combined_heads(&text_config, &image_config, labels);
                let examples = |split| {
                    corpus.combined_examples(split, &text, &photos, &norm, &text_embeddings, &embedded)
                };
                fit_model(COMBINED_FIT, &heads, examples(Split::Train), examples(Split::Validation))?
            };
            let mut extra = StateDict::default();
            norm.write(&mut extra);
            (config, fitted, extra)
        }
    };
    save(args, &table, config, fitted, &text.idf, extra)
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

fn save(
    args: &TrainArgs,
    table: &CleanTable,
    config: FitConfig,
    fitted: Fitted,
    idf: &Idf,
    extra: StateDict,
) -> Result<()> {
    let Fitted { tensors, epochs, best } = fitted;
    ensure!(!epochs.is_empty(), "no epoch was trained");
    let folder = args.common.runs.join(args.model.name());
    fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let report = RunReport {
        model: args.model.name(),
        data_sha256: &table.sha256,
        fit: config,
        best_epoch: best,
        validation_accuracy: epochs[best].accuracy,
        epochs: &epochs,
    };
    let tensors: StateDict = idf.fold(tensors).into_iter().chain(extra).collect();
    weights::write_safetensors(&folder.join(HEADS), &tensors, &BTreeMap::new())?;
    fs::write(folder.join(RUN), serde_json::to_vec_pretty(&report)?)
        .with_context(|| format!("cannot write {}", folder.join(RUN).display()))?;
    println!(
        "{}: best in epoch {best} of {}, validation accuracy {:.4}; heads are in {}",
        report.model,
        epochs.len(),
        report.validation_accuracy,
        folder.display()
    );
    Ok(())
}

fn text_heads(labels: LabelCounts, features: usize, vocabulary: usize) -> HeadsConfig {
    HeadsConfig {
        features,
        columns: labels.classes_and_price(),
        hidden: None,
        projection_hidden: None,
        embedding: features,
        residual: true,
        vocabulary: Some(vocabulary),
        dropout: 0.2,
    }
}

fn image_heads(labels: LabelCounts, features: usize, embedding: usize) -> HeadsConfig {
    HeadsConfig {
        features,
        columns: labels.classes(),
        hidden: Some(512),
        projection_hidden: Some(1_024),
        embedding,
        residual: false,
        vocabulary: None,
        dropout: 0.4,
    }
}

fn combined_heads(text: &HeadsConfig, image: &HeadsConfig, labels: LabelCounts) -> HeadsConfig {
    HeadsConfig {
        features: text.features + image.features,
        columns: labels.classes_and_price(),
        hidden: Some(512),
        projection_hidden: Some(1_024),
        embedding: text.embedding,
        residual: false,
        vocabulary: text.vocabulary,
        dropout: 0.4,
    }
}

const TEXT_FIT: FitConfig = FitConfig {
    epochs: 20,
    batch_size: 128,
    learning_rate: 4e-3,
    weight_decay: 1e-2,
    label_smoothing: 0.05,
    subcategory_weight: 0.5,
    price_weight: 0.3,
    embedding_weight: 0.5,
    patience: 6,
    seed: 0,
};

const IMAGE_FIT: FitConfig = FitConfig { epochs: 20, learning_rate: 1e-3, weight_decay: 5e-2, ..TEXT_FIT };

const COMBINED_FIT: FitConfig = FitConfig { epochs: 12, learning_rate: 1.5e-3, ..TEXT_FIT };

impl Model {
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Combined => "combined",
        }
    }
}
