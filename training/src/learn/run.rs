//! `marketrank-train train image|text|combined`: trains one model and keeps it in a run folder.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use clap::{Args, ValueEnum};
use marketrank::{
    artefacts::sha256_of_file,
    inference::{Device as Provider, Runtime},
};

use super::{
    IMAGE_INPUT, TEXT_INPUT, appearance,
    backbone::{TextNetwork, WeightsArgs},
    corpus::{Corpus, TextEmbeddings},
    feature_store::{FeatureStore, Output, encoded},
    features::Features,
    fit::{FitConfig, Fitted, Lesson, Score, fit},
    fusion::{fuse_text, mean_of_listings, weight_of},
    heads::Heads,
    named_price::{NamedPrice, NamedPriceLesson},
    photo::PhotoModel,
    price_band,
    recipes::{
        self, AMOUNT_FIT, APPEARANCE_WIDTH, EMBEDDING_WEIGHT, FitArgs, IMAGE_FIT, IMAGE_MEMBERS, SPACE_FIT,
        SPACE_VIEWS, TAUGHT_TEXT_FIT, TEXT_FIT, VIEWS, WORD_FIT, image_heads, text_heads,
    },
    run_report::{Expert, RunReport},
    space::{PhotoScale, SpaceModel},
    targets::Target,
    text::{FROZEN_LAYERS, TextModel},
    trained::{Space, Trained},
    views::View,
    word_model::WordModel,
    word_price,
};
use crate::{
    data::{CleanTable, Split},
    networks::Bert,
    onnx::{Precision, listing::PhotoWeights},
    weights::{self, StateDict},
};

/// Files of a run folder: the heads, the backbone under them, and how they came about.
const HEADS: &str = "heads.safetensors";
const BACKBONE: &str = "backbone.safetensors";
const PHOTO_WEIGHTS: &str = "photo_weights.json";

/// Which of the three models to train. The text comes first, then the image, which is drawn into the text's embedding
/// space, then both combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Model {
    Text,
    Image,
    Combined,
}

/// What to train of the model, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Recipe {
    /// What is served: fine-tuned experts and one space for photos and text
    Served,
    /// What the older service had, measured beside it: ResNet-50 with `layer4` and `fc` trained, BERT as it is under
    /// convolutions, and a linear layer on both
    Classic,
}

#[derive(Debug, Clone, Args)]
pub struct TrainArgs {
    #[arg(value_enum)]
    pub model: Model,

    /// How to train it
    #[arg(long, value_enum, default_value = "served")]
    pub recipe: Recipe,

    /// With `--recipe classic`: at most so many training listings
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), value_name = "LISTINGS")]
    pub subset: Option<u32>,

    /// With `text` and `image`: what a larger network answers to the training listings; `make teacher` makes it
    #[arg(long, value_name = "FILE")]
    pub teacher: Option<PathBuf>,

    #[command(flatten)]
    pub common: CommonArgs,

    #[command(flatten)]
    pub weights: WeightsArgs,

    #[command(flatten)]
    pub fit: FitArgs,
}

/// Where the other commands find what this one needs, and leave what they made.
#[derive(Debug, Clone, Args)]
pub struct CommonArgs {
    /// Folder of the clean table, made by `prepare`
    #[arg(long, default_value = "data/clean", value_name = "FOLDER")]
    pub clean: PathBuf,

    /// Folder of the runs: each trained model has a folder in it
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

/// What all three trainings share.
struct Training<'a> {
    args: &'a TrainArgs,
    corpus: Corpus<'a>,
    store: FeatureStore<'a>,
    device: Device,
}

/// Trains one model.
///
/// # Errors
/// The clean table, the weights or, for a later model, the run of an earlier one on the same table is missing; the message
/// says which command makes it.
pub fn train(args: &TrainArgs) -> Result<()> {
    let CommonArgs { clean, runs, features, onnxruntime } = &args.common;
    ensure!(args.subset.is_none(), "--subset goes with --recipe classic only");
    ensure!(
        args.teacher.is_none() || args.model != Model::Combined,
        "--teacher goes with `train text` and `train image`"
    );
    let table = CleanTable::read(clean)?;
    for &earlier in args.model.builds_on() {
        RunReport::ensure_trained_on(&table.sha256, runs, earlier)?;
    }
    let runtime = Runtime::load(onnxruntime, Provider::Auto)?;
    let store = FeatureStore::new(&runtime, features.clone());
    let corpus = Corpus::new(&table);
    let device = args.fit.hardware.device();
    let training = Training { args, corpus, store, device };
    match args.model {
        Model::Text => training.text(&table),
        Model::Image => training.image(&table),
        Model::Combined => training.combined(&table),
    }
}

impl Training<'_> {
    fn folder(&self) -> PathBuf {
        self.args.common.runs.join(self.args.model.name())
    }

    /// The device to train on, its random numbers back at the seed: so a network is drawn alike whether what comes before it was
    /// trained just now or, with `--resume`, was there already.
    fn seeded(&self) -> Device {
        let device = self.device.clone().autodiff();
        device.seed(self.args.fit.seed);
        device
    }

    fn fit<L: Lesson>(
        &self,
        name: &str,
        recipe: FitConfig,
        lesson: &L,
        network: L::Network,
    ) -> Result<(Expert, L::Network)> {
        let recipe = self.args.fit.apply(recipe);
        let run = self.folder().join(name);
        println!("{name}: {} epochs at most, in {}", recipe.epochs, run.display());
        let Fitted { network, epochs, best } =
            fit(&recipe, lesson, network, &self.device, &run, self.args.fit.resume)?;
        Ok((Expert { name: name.to_owned(), fit: recipe, best_epoch: best, epochs }, network))
    }

    fn text(&self, table: &CleanTable) -> Result<()> {
        let network = self.args.weights.text_network()?;
        let pretrained = Bert::load(&network.config, network.weights(), &self.device)?;
        let teacher = self.args.teacher.as_deref();
        let lesson = self.corpus.text_lesson(&network, &pretrained, teacher, &self.device)?;
        let words = self.corpus.word_lesson(&network, &lesson)?;
        let training = self.seeded();
        let vocabulary = network.backbone().vocabulary()?;
        let model = WordModel::new(vocabulary, lesson.labels.classes_and_price(), &training);
        let (word_expert, word_model) = self.fit("words", WORD_FIT, &words, model)?;
        let word_price = word_price::fit(&words)?;
        let unseen_prices = word_price.unseen(&words)?;
        let word_model = word_price.put_into(word_model, lesson.labels);
        let training = self.seeded();
        let config = text_heads(lesson.labels, network.config.width);
        let bert = Bert::load(&network.config, network.weights(), &training)?.with_frozen(FROZEN_LAYERS);
        let model = TextModel { bert, heads: Heads::new(&config, &training) };
        let recipe = if lesson.teacher.is_some() { TAUGHT_TEXT_FIT } else { TEXT_FIT };
        let (bert_expert, model) = self.fit("bert", recipe, &lesson, model)?;

        let targets: Vec<Target> = lesson.validation.iter().map(|example| example.target).collect();
        let by_bert = lesson.columns(&model, &lesson.validation);
        let by_words = words.columns(&word_model, &words.validation);
        let fused = fuse_text(&by_bert, &by_words, &targets, lesson.labels);
        println!(
            "words have weight {:.2} beside BERT, {:.2} in the price, {:.2} in its band's width",
            fused.weights.class, fused.weights.median, fused.weights.width
        );
        let heads = fused.weights.heads(&model.heads.state_dict(), &word_model.state_dict(&words.idf))?;
        let heads = price_band::calibrate(heads, &fused.columns, &targets, lesson.labels);

        let guesses = fused.columns.narrow(1, lesson.labels.median(), 1).into_data();
        let guesses: Vec<Option<f32>> = guesses.iter().map(Some).collect();
        let named = self.corpus.named_price_lesson(&network, &lesson, [&unseen_prices, &guesses])?;
        let (amount_expert, amounts) = self.amounts(&named)?.unzip();
        let heads = heads.into_iter().chain(amounts.unwrap_or_default()).collect();
        let teacher = lesson.teacher.map(|teacher| teacher.sha256);
        let experts = [word_expert, bert_expert].into_iter().chain(amount_expert).collect();
        self.save(table, &heads, &model.bert.state_dict(), teacher, experts, fused.score)
    }

    /// Learns which of the amounts that texts name are prices; nothing where too few are named.
    fn amounts(&self, lesson: &NamedPriceLesson) -> Result<Option<(Expert, StateDict)>> {
        if !lesson.has_examples() {
            println!("amounts: too few listings name any");
            return Ok(None);
        }
        let model = NamedPrice::new(lesson.pieces.len(), &self.seeded());
        let (expert, model) = self.fit("amounts", AMOUNT_FIT, lesson, model)?;
        let Some(band) = lesson.band(&model) else {
            println!(
                "amounts: too few validation listings name their price to say how far it may be off; none is read"
            );
            return Ok(None);
        };
        Ok(Some((expert, model.state_dict(&lesson.pieces, band))))
    }

    fn image(&self, table: &CleanTable) -> Result<()> {
        let network = self.args.weights.photo_network()?;
        let text = self.args.weights.text_network()?.trained(&self.args.common.runs)?;
        let width = text.config.width;
        let embeddings = self.text_embeddings(&text)?;
        let teacher = self.args.teacher.as_deref().map(|path| self.corpus.teacher(path)).transpose()?;
        let lesson = self.corpus.photo_lesson(
            &self.store,
            &network,
            &embeddings,
            VIEWS,
            teacher.as_ref(),
            &self.device,
        )?;
        let training = self.seeded();
        let config = image_heads(lesson.labels, network.backbone().features(), width);
        let upper = network.upper_blocks(network.weights(), &training)?;
        let start = PhotoModel { upper, heads: Heads::new(&config, &training) };
        let (mut experts, mut heads, mut backbones) = (Vec::new(), Vec::new(), Vec::new());
        for member in 0..IMAGE_MEMBERS {
            let recipe = FitConfig { seed: member, ..IMAGE_FIT };
            let (expert, model) = self.fit(&format!("photo-{member}"), recipe, &lesson, start.clone())?;
            let mut backbone = network.weights().clone();
            if let Some(upper) = &model.upper {
                upper.write_into(&mut backbone);
            }
            experts.push(expert);
            heads.push(model.heads.state_dict());
            backbones.push(backbone);
        }
        let (heads, backbone) = (StateDict::mean(&heads)?, StateDict::mean(&backbones)?);
        let model = PhotoModel {
            upper: network.upper_blocks(&backbone, &self.device)?,
            heads: Heads::load(&config, &heads, &self.device)?,
        };
        let teacher = teacher.map(|teacher| teacher.sha256);
        self.save(table, &heads, &backbone, teacher, experts, lesson.validate(&model))
    }

    /// Trains the space that texts and photos share, on what the two trained networks see.
    fn space(&self) -> Result<Expert> {
        let CommonArgs { runs, .. } = &self.args.common;
        let photo = self.args.weights.photo_network()?.trained(runs)?;
        let text = self.args.weights.text_network()?.trained(runs)?;
        let mut lesson = self.corpus.space_lesson(&self.store, &photo, &text, SPACE_VIEWS, &self.device)?;
        let [last, middle] = [photo.backbone().features(), photo.backbone().middle_features()];
        let look = appearance::fit(
            &lesson.train.photos.columns(last..last + middle),
            APPEARANCE_WIDTH,
            "appearance",
        )?;
        let scale = PhotoScale::fit(&lesson.train.photos, &[last, middle]);
        for examples in [&mut lesson.train, &mut lesson.validation] {
            examples.photos = scale.apply(&examples.photos);
            examples.views.iter_mut().for_each(|view| *view = scale.apply(view));
        }
        let training = self.seeded();
        let model = SpaceModel::new(&recipes::space(text.config.width, last + middle), &training);
        let (expert, model) = self.fit("space", SPACE_FIT, &lesson, model)?;
        let photo = model.photo_tensors(&scale).into_iter().chain(look).collect();
        Space { text: model.text_tensors(), photo }.write(runs)?;
        Ok(expert)
    }

    /// Trains the common space, and weighs what the photo says against what the text says on the validation listings, as the
    /// two models see them in ONNX Runtime.
    fn combined(&self, table: &CleanTable) -> Result<()> {
        let expert = self.space()?;
        let labels = self.corpus.labels();
        let trained = Trained::read(&self.args.weights, &self.args.common.runs, labels)?;
        let (photo_listings, files) = self.corpus.photos(Split::Validation);
        let image_model = trained.image_model(Precision::Float32)?;
        let [photos] =
            self.store.run_on_photos(&image_model, IMAGE_INPUT, &files, View::Plain, [Output::Classes])?;
        let (by_photos, listings) = mean_of_listings(&photos, &photo_listings);
        let texts = self.corpus.texts();
        let texts: Vec<_> = listings.iter().map(|&listing| texts[listing]).collect();
        let tokens = encoded(&trained.text, TEXT_INPUT, &texts)?;
        let text_model = trained.text_model(Precision::Float32)?;
        let [by_text] = self.store.run_on_texts(&text_model, &tokens, [Output::Classes])?;
        let targets: Vec<Target> = listings.iter().map(|&listing| self.corpus.target(listing)).collect();

        let columns = |rows: Features| rows.into_tensor(&self.device);
        let (class, score) = weight_of(&columns(by_photos), &columns(by_text), &targets, labels);
        let weights = PhotoWeights { class, embedding: EMBEDDING_WEIGHT };
        println!("a photo has weight {class:.2} beside the text, {EMBEDDING_WEIGHT:.2} in the embedding");
        let path = photo_weights_file(&self.args.common.runs);
        fs::write(&path, serde_json::to_vec_pretty(&weights)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        self.report(table, None, vec![expert], score)
    }

    /// Embeddings of all listings' texts by the trained text model.
    fn text_embeddings(&self, network: &TextNetwork) -> Result<TextEmbeddings> {
        let runs = &self.args.common.runs;
        let heads = read_heads(runs, Model::Text)?;
        let file = heads_file(runs, Model::Text);
        let heads_sha256 =
            sha256_of_file(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let config = text_heads(self.corpus.labels(), network.config.width);
        let heads = Heads::load(&config, &heads, &self.device)?;
        let embed = |texts: &[(&str, &str)]| -> Result<Features> {
            let features = self.store.texts(network, TEXT_INPUT, texts)?;
            Ok(features.map(&self.device, |features| heads.embed(features)))
        };
        Ok(TextEmbeddings {
            whole: embed(&self.corpus.texts())?,
            title: embed(&self.corpus.titles())?,
            made_by: format!("{} {heads_sha256}", network.sha256),
        })
    }

    fn save(
        &self,
        table: &CleanTable,
        heads: &StateDict,
        backbone: &StateDict,
        teacher: Option<String>,
        experts: Vec<Expert>,
        validation: Score,
    ) -> Result<()> {
        let folder = self.folder();
        weights::write_safetensors(&folder.join(HEADS), heads, &BTreeMap::new())?;
        weights::write_safetensors(&folder.join(BACKBONE), backbone, &BTreeMap::new())?;
        self.report(table, teacher, experts, validation)
    }

    fn report(
        &self,
        table: &CleanTable,
        teacher: Option<String>,
        experts: Vec<Expert>,
        validation: Score,
    ) -> Result<()> {
        let report = RunReport {
            model: self.args.model.name().to_owned(),
            data_sha256: table.sha256.clone(),
            seed: self.args.fit.seed,
            teacher,
            experts,
            validation,
        };
        report.write(&self.folder())?;
        println!(
            "{}: validation loss {:.4}, accuracy {:.4}; it is in {}",
            report.model,
            validation.loss,
            validation.accuracy,
            self.folder().display()
        );
        Ok(())
    }
}

impl Model {
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Combined => "combined",
        }
    }

    /// The models whose runs its training reads.
    fn builds_on(self) -> &'static [Self] {
        match self {
            Self::Text => &[],
            Self::Image => &[Self::Text],
            Self::Combined => &[Self::Text, Self::Image],
        }
    }
}

/// The trained tensors of a model.
///
/// # Errors
/// The model was not trained yet.
pub fn read_heads(runs: &Path, model: Model) -> Result<StateDict> {
    weights::read(&heads_file(runs, model))
        .with_context(|| format!("no {0} model is trained; run `marketrank-train train {0}`", model.name()))
}

fn heads_file(runs: &Path, model: Model) -> PathBuf {
    runs.join(model.name()).join(HEADS)
}

/// Where `train combined` leaves the photo's weights.
pub fn photo_weights_file(runs: &Path) -> PathBuf {
    runs.join(Model::Combined.name()).join(PHOTO_WEIGHTS)
}

/// The trained backbone of a model.
///
/// # Errors
/// The model was not trained yet.
pub fn backbone_file(runs: &Path, model: Model) -> Result<PathBuf> {
    let path = runs.join(model.name()).join(BACKBONE);
    ensure!(path.is_file(), "no {0} model is trained; run `marketrank-train train {0}`", model.name());
    Ok(path)
}
