//! `marketrank-train train --recipe classic`: the networks of the service this one replaces, trained as they were there and
//! measured on the test split. Nothing of them is served.
//!
//! - [`photo`]: ResNet-50, of which `layer4` and `fc` are trained;
//! - [`text`]: BERT as it is, and convolutions over its hidden states;
//! - [`both`]: a linear layer on the two.

mod both;
mod photo;
mod text;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use burn::{module::Module, tensor::Device};
use marketrank::{
    artefacts::ImageInput,
    inference::{Device as Provider, Runtime},
    preprocess::Tokens,
};

use self::{
    both::{Both, BothLesson},
    photo::LastStageLesson,
    text::{ConvHead, ConvLesson},
};
use super::result::{self, BaselineResult, Outcome, folder, metrics_of};
use crate::{
    data::{CleanTable, Split},
    learn::{
        IMAGE_INPUT, TEXT_INPUT,
        backbone::PhotoNetwork,
        corpus::Corpus,
        feature_store::{FeatureStore, encoded},
        features::Features,
        fit::{FitConfig, Fitted, Lesson, fit, schedule::Schedule},
        heads::host,
        maps::Maps,
        run::{Model, TrainArgs},
        targets::Target,
        text::HiddenText,
        views::View,
    },
    networks::{Bert, resnet50::LastStage},
    onnx::LabelCounts,
};

/// The size of photos that ResNet-50's published weights were made at.
const RESNET_INPUT: ImageInput = ImageInput { height: 224, width: 224, ..IMAGE_INPUT };

/// Adam at 3e-4, times 0.6 every two epochs, batches of 32.
const FIT: FitConfig = FitConfig {
    epochs: 20,
    batch_size: 32,
    shards: 2,
    learning_rate: 3e-4,
    schedule: Schedule::Step,
    weight_decay: 0.0,
    gradient_clip: 1.0,
    patience: 3,
    seed: 0,
};
/// The trained network, in the run folder.
const NETWORK: &str = "network.bpk";

/// What the trainings share.
struct Classic<'a> {
    args: &'a TrainArgs,
    table: &'a CleanTable,
    corpus: Corpus<'a>,
    store: FeatureStore<'a>,
    labels: LabelCounts,
    device: Device,
}

/// Trains one of the networks and keeps what it reached on the test split for `evaluate`.
///
/// # Errors
/// The clean table or the weights are missing, training fails, or the combined one comes before the other two.
pub fn train(args: &TrainArgs) -> Result<()> {
    ensure!(args.teacher.is_none(), "--teacher goes with --recipe served only");
    let table = CleanTable::read(&args.common.clean)?;
    let runtime = Runtime::load(&args.common.onnxruntime, Provider::Auto)?;
    let corpus = Corpus::new(&table);
    let classic = Classic {
        args,
        table: &table,
        store: FeatureStore::new(&runtime, args.common.features.clone()),
        labels: LabelCounts { subcategories: 0, ..corpus.labels() },
        corpus,
        device: args.fit.hardware.device(),
    };
    match args.model {
        Model::Text => classic.text(),
        Model::Image => classic.photo(),
        Model::Combined => classic.both(),
    }
}

impl Classic<'_> {
    fn photo(&self) -> Result<()> {
        let network = self.args.weights.resnet50(self.args.fit.seed)?;
        let [train, validation, test] = Split::ALL.map(|split| self.photos(split));
        let (train, validation, test) = (train?, validation?, test?);
        let mirrored = self.maps(&network, &train.files, View::Mirrored)?;
        let lesson = LastStageLesson {
            train: [self.maps(&network, &train.files, View::Plain)?, mirrored],
            train_targets: train.targets,
            validation: self.maps(&network, &validation.files, View::Plain)?,
            validation_targets: validation.targets,
            labels: self.labels,
            device: self.device.clone(),
            fingerprint: self.fingerprint(&network.sha256),
        };
        let fresh = LastStage::load(network.weights(), self.labels.categories, &self.training())?;
        let Fitted { network: trained, epochs, .. } = self.fit(&lesson, fresh)?;
        let maps = self.maps(&network, &test.files, View::Plain)?;
        let logits = trained.classify(photo::features(&trained, &maps, &self.device));
        let settings = format!(
            "ResNet-50, layer4 and fc trained, weights {}, {} training photos, {} epochs",
            self.args.weights.image_weights,
            lesson.train_targets.len(),
            epochs.len()
        );
        let metrics = metrics_of(logits, &test.targets);
        self.save(settings, Outcome::Category { photos: test.targets.len(), metrics })
    }

    fn text(&self) -> Result<()> {
        let [train, validation, test] = Split::ALL.map(|split| self.listings(split));
        let (train, validation, test) = (train?, validation?, test?);
        let (hidden, width, sha256) =
            self.hidden(&[&train, &validation, &test].map(Vec::as_slice).concat())?;
        let mut hidden = hidden.into_iter();
        let mut examples = |listings: &[usize]| -> Vec<(HiddenText, Target)> {
            let targets = listings.iter().map(|&listing| self.corpus.target(listing));
            hidden.by_ref().zip(targets).take(listings.len()).collect()
        };
        let lesson = ConvLesson {
            train: examples(&train),
            validation: examples(&validation),
            labels: self.labels,
            device: self.device.clone(),
            fingerprint: self.fingerprint(&sha256),
        };
        let (texts, targets): (Vec<HiddenText>, Vec<Target>) = examples(&test).into_iter().unzip();
        let fresh = ConvHead::new(width, self.labels.categories, &self.training());
        let Fitted { network, epochs, .. } = self.fit(&lesson, fresh)?;
        let features = text::features(&network, &texts.iter().collect::<Vec<_>>(), &self.device);
        let settings = format!(
            "BERT of width {width} as it is, convolutions {width}-256-128-64, {} training listings, {} epochs",
            lesson.train.len(),
            epochs.len()
        );
        let metrics = metrics_of(network.classify(features), &targets);
        self.save(settings, Outcome::ListingCategory { listings: targets.len(), metrics })
    }

    fn both(&self) -> Result<()> {
        let network = self.args.weights.resnet50(self.args.fit.seed)?;
        let stage = LastStage::load(network.weights(), self.labels.categories, &self.device)?;
        let stage = self.load(stage, Model::Image)?;
        let [train, validation, test] =
            Split::ALL.map(|split| self.features_of_both(split, &network, &stage));
        let (test, test_targets) = test?;
        let lesson = BothLesson {
            train: train?,
            validation: validation?,
            labels: self.labels,
            device: self.device.clone(),
            fingerprint: self.fingerprint(&network.sha256),
        };
        let fresh = Both::new(test.width(), self.labels.categories, &self.training());
        let Fitted { network, epochs, .. } = self.fit(&lesson, fresh)?;
        let settings = format!(
            "a linear layer on both, {} training photos with their texts, {} epochs",
            lesson.train.1.len(),
            epochs.len()
        );
        let metrics = metrics_of(network.classify(test.into_tensor(&self.device)), &test_targets);
        self.save(settings, Outcome::Category { photos: test_targets.len(), metrics })
    }

    /// Features of each photo of a split followed by those of its listing's text.
    fn features_of_both(
        &self,
        split: Split,
        network: &PhotoNetwork,
        stage: &LastStage,
    ) -> Result<(Features, Vec<Target>)> {
        let photos = self.photos(split)?;
        let mut listings: Vec<usize> = photos.targets.iter().map(|target| target.listing).collect();
        let of_photo: Vec<usize> = listings
            .chunk_by(|a, b| a == b)
            .enumerate()
            .flat_map(|(row, photos)| std::iter::repeat_n(row, photos.len()))
            .collect();
        listings.dedup();
        let (hidden, width, _) = self.hidden(&listings)?;
        let head = self.load(ConvHead::new(width, self.labels.categories, &self.device), Model::Text)?;
        let texts = text::features(&head, &hidden.iter().collect::<Vec<_>>(), &self.device);
        let maps = self.maps(network, &photos.files, View::Plain)?;
        let by_photo = table(photo::features(stage, &maps, &self.device));
        Ok((by_photo.beside(&table(texts).select(&of_photo)), photos.targets))
    }

    /// The listings of a split, fewer of the training split where a subset is asked for.
    fn listings(&self, split: Split) -> Result<Vec<usize>> {
        let subset = self.args.subset.filter(|_| split == Split::Train);
        let listings = self.corpus.some(split, subset.map_or(usize::MAX, |most| most as usize));
        ensure!(!listings.is_empty(), "the {split} split of the clean table has no listing");
        Ok(listings)
    }

    fn photos(&self, split: Split) -> Result<Photos> {
        let (listings, files) = self.corpus.photos_of(&self.listings(split)?);
        ensure!(!files.is_empty(), "no listing of the {split} split has a photo");
        let targets = listings.into_iter().map(|listing| self.corpus.target(listing)).collect();
        Ok(Photos { files, targets })
    }

    fn maps(&self, network: &PhotoNetwork, files: &[PathBuf], view: View) -> Result<Maps> {
        self.store.maps_below_layer4(network, RESNET_INPUT, files, view)
    }

    /// The last hidden states of listings' texts by BERT as it was pretrained, their width, and the hash of its weights.
    fn hidden(&self, listings: &[usize]) -> Result<(Vec<HiddenText>, usize, String)> {
        let network = self.args.weights.text_network()?;
        let bert = Bert::load(&network.config, network.weights(), &self.device)?;
        let texts = self.corpus.texts();
        let texts: Vec<(&str, &str)> = listings.iter().map(|&listing| texts[listing]).collect();
        let tokens = encoded(&network, TEXT_INPUT, &texts)?;
        let tokens: Vec<&Tokens> = tokens.iter().collect();
        let hidden = HiddenText::of(&bert, network.config.layers, &tokens, &self.device);
        Ok((hidden, network.config.width, network.sha256))
    }

    /// The device to train on, its random numbers those of the seed.
    fn training(&self) -> Device {
        let device = self.device.clone().autodiff();
        device.seed(self.args.fit.seed);
        device
    }

    fn fingerprint(&self, weights_sha256: &str) -> String {
        format!("{} {weights_sha256} {:?}", self.table.sha256, self.args.subset)
    }

    fn folder(&self, model: Model) -> PathBuf {
        folder(&self.args.common.runs, &name(model))
    }

    fn fit<L: Lesson>(&self, lesson: &L, network: L::Network) -> Result<Fitted<L::Network>> {
        let folder = self.folder(self.args.model);
        let recipe = self.args.fit.apply(FIT);
        let fitted = fit(&recipe, lesson, network, &self.device, &folder, self.args.fit.resume)?;
        let path = folder.join(NETWORK);
        let cannot_write = || format!("cannot write {}", path.display());
        fitted.network.clone().save_file(&path).with_context(cannot_write)?;
        Ok(fitted)
    }

    /// The network that the training of a model left.
    fn load<M: Module>(&self, network: M, model: Model) -> Result<M> {
        let folder = self.folder(model);
        let advice = format!("run `marketrank-train train {} --recipe classic` first", model.name());
        let reached = result::read(&folder).with_context(|| advice.clone())?;
        ensure!(
            reached.data_sha256 == self.table.sha256,
            "the network in {} was trained on another table; {advice}",
            folder.display()
        );
        let path = folder.join(NETWORK);
        let network = network
            .try_load_file(&path)
            .with_context(|| format!("cannot read {}; {advice}", path.display()))?;
        Ok(network.valid())
    }

    fn save(&self, settings: String, outcome: Outcome) -> Result<()> {
        let name = name(self.args.model);
        let result = BaselineResult { name, settings, data_sha256: self.table.sha256.clone(), outcome };
        result.save(&self.folder(self.args.model))?;
        println!("{result}");
        Ok(())
    }
}

/// The photos of some listings, and what is to be learnt of each.
struct Photos {
    files: Vec<PathBuf>,
    targets: Vec<Target>,
}

fn name(model: Model) -> String {
    format!("classic-{}", model.name())
}

fn table(rows: burn::tensor::Tensor<2>) -> Features {
    let [_, width] = rows.dims();
    Features::new(width, host(rows).data)
}
