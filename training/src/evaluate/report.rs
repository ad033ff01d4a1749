//! `marketrank-train evaluate`: the models' metrics on the test split, beside what the manifest says.

use std::{fmt, path::PathBuf, sync::Arc};

use anyhow::{Result, ensure};
use clap::Args;
use marketrank::{
    artefacts::{Artefacts, Metrics, Precision, PrecisionChoice, Variant},
    inference::{Device, Inference, Model, Outputs, Runtime},
};

use super::{
    answers::{Answer, Shown, answers, open_models},
    calibration::score,
    metrics::{metrics, share},
    ranking::{self, shop::Shop},
    space::{self, Found, SpaceTable},
    speed,
};
use crate::{
    baselines,
    data::{CleanTable, Split},
    learn::{backbone::WeightsArgs, corpus::Corpus, feature_store::FeatureStore, run::CommonArgs},
};

/// The three models in the order of the tables, and what each is measured on.
pub const MODELS: [(Model, Shown); 3] =
    [(Model::Image, Shown::EachPhoto), (Model::Text, Shown::Text), (Model::Combined, Shown::TextAndPhotos)];

/// Metrics are printed, and kept in the manifest, to this many digits; more would not be reproduced on another machine.
const TOLERANCE: f64 = 5e-3;

#[derive(Debug, Clone, Args)]
pub struct EvaluateArgs {
    #[command(flatten)]
    common: CommonArgs,

    #[command(flatten)]
    weights: WeightsArgs,

    /// Folder of the models to measure
    #[arg(long, default_value = "models", value_name = "FOLDER")]
    models: PathBuf,

    /// Measure instead how much faster int8 is than the float model beside it, at one thread and at two
    #[arg(long)]
    speed: bool,

    /// Measure instead what the server's ranking finds for titles and photos of unseen listings, and what each signal brings
    #[arg(long, conflicts_with = "speed")]
    ranking: bool,

    /// With --ranking: look for better weights of the signals, on the validation split
    #[arg(long, requires = "ranking")]
    tune: bool,
}

/// What was measured of one model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    pub model: Model,
    pub precision: Precision,
    /// Photos (image) or listings.
    pub examples: usize,
    pub metrics: Metrics,
    /// Share of listings whose subcategory is the most probable of all, among those whose subcategory is a label.
    pub subcategory_top1: f64,
    /// Top-1 of whole listings, all photos of each together.
    pub listing_top1: f64,
    /// How well prices are met; none from photos alone.
    pub price: Option<PriceFit>,
}

/// What was measured of price bands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PriceFit {
    /// Share of known prices inside the band from the 10 to the 90 % quantile.
    pub coverage: f64,
    /// Median over the listings of how far the median is off, in natural logarithms.
    pub median_error: f64,
}

/// Everything that `evaluate` prints and the model card repeats.
pub struct Evaluation {
    pub models: Vec<Measured>,
    /// Empty where it was not measured: it takes every listing of the table through the combined model.
    pub space: Vec<Found>,
}

/// Measures the models of a folder on the test split and compares them with their manifest.
///
/// # Errors
/// The table or the models cannot be read, or the manifest's metrics are not reproduced.
pub fn evaluate(args: &EvaluateArgs) -> Result<()> {
    let table = CleanTable::read(&args.common.clean)?;
    let runtime = Runtime::load(&args.common.onnxruntime, Device::Auto)?;
    let artefacts = Artefacts::load(&args.models)?;
    let manifest = artefacts.manifest();
    if args.speed {
        return speed::compare(&artefacts, &table, &runtime);
    }
    let inference = open_models(&args.models, &runtime, PrecisionChoice::Auto)?;
    if args.ranking {
        let store = FeatureStore::new(&runtime, args.common.features.clone());
        let shop = Shop::new(&inference, &table, &store);
        return if args.tune { ranking::tune(&shop) } else { ranking::measure(&shop, &args.weights) };
    }
    let mut evaluation = measure(&inference, &table, &args.common, &args.weights, &runtime)?;
    let served = Model::ALL.map(|model| inference.variant(model).precision);
    drop(inference);
    for precision in [Precision::Float32, Precision::Float16, Precision::Int8] {
        let complete = Model::ALL.iter().all(|&model| manifest.model(model).variant(precision).is_some());
        if complete && served != [precision; 3] {
            let inference = open_models(&args.models, &runtime, precision.into())?;
            evaluation.models.extend(measure_models(&inference, &table)?.0);
        }
    }
    println!("test split of {}, models {}", args.common.clean.display(), manifest.version);
    println!("{evaluation}");
    for result in baselines::results(&args.common.runs, &table.sha256)? {
        println!("{result}");
    }
    ensure!(
        manifest.data_sha256 == table.sha256,
        "the models were made from another table (data_sha256 differs), so listings they were trained on may be among \
         these: the figures say nothing"
    );
    for Measured { model, precision, metrics, .. } in evaluation.models {
        let stated = manifest.model(model).variant(precision).map_or(0.0, |variant| variant.metrics.top1);
        ensure!(
            (metrics.top1 - stated).abs() < TOLERANCE,
            "top-1 of the {} {} model is not the {stated:.4} of the manifest",
            precision.name(),
            model.name()
        );
    }
    Ok(())
}

/// Measures the three models on the test split, and what their embeddings find.
///
/// # Errors
/// A photo cannot be read, or a model fails.
pub fn measure(
    inference: &Arc<Inference>,
    table: &CleanTable,
    common: &CommonArgs,
    weights: &WeightsArgs,
    runtime: &Runtime,
) -> Result<Evaluation> {
    let (models, photos) = measure_models(inference, table)?;
    let corpus = Corpus::new(table);
    let store = FeatureStore::new(runtime, common.features.clone());
    let requests = tokio::runtime::Runtime::new()?;
    let mut space = vec![requests.block_on(space::trained(inference, table, &corpus, &photos))?];
    space.extend(space::untrained(table, &corpus, &store, weights)?);
    Ok(Evaluation { models, space })
}

/// Measures the three models on the test split; with them what they said of each photo.
///
/// # Errors
/// A photo cannot be read, or a model fails.
pub fn measure_models(
    inference: &Arc<Inference>,
    table: &CleanTable,
) -> Result<(Vec<Measured>, Vec<Answer>)> {
    let requests = tokio::runtime::Runtime::new()?;
    let mut models = Vec::with_capacity(MODELS.len());
    let mut photos = Vec::new();
    for (model, shown) in MODELS {
        let answers = requests.block_on(answers(inference, table, &[Split::Test], shown))?;
        models.push(measure_model(model, inference.variant(model), &answers));
        if shown == Shown::EachPhoto {
            photos = answers;
        }
    }
    Ok((models, photos))
}

/// Metrics of a model's answers.
fn measure_model(model: Model, variant: &Variant, answers: &[Answer]) -> Measured {
    let known: Vec<&Answer> = answers.iter().filter(|answer| answer.subcategory.is_some()).collect();
    Measured {
        model,
        precision: variant.precision,
        examples: answers.len(),
        metrics: metrics(&score(answers, variant.temperature)),
        subcategory_top1: share(&known, |answer| best_subcategory(&answer.rows) == answer.subcategory),
        listing_top1: metrics(&score(&whole_listings(answers), variant.temperature)).top1,
        price: price_fit(answers),
    }
}

/// Answers to each photo as answers to each listing.
fn whole_listings(answers: &[Answer]) -> Vec<Answer> {
    let listings = answers.chunk_by(|a, b| a.listing == b.listing);
    let together = |photos: &[Answer]| {
        let rows = photos.iter().flat_map(|photo| photo.rows.iter().cloned()).collect();
        Some(Answer { rows, ..photos.first()?.clone() })
    };
    listings.filter_map(together).collect()
}

fn best_subcategory(rows: &[Outputs]) -> Option<usize> {
    let mut sums: Vec<f32> = Vec::new();
    for row in rows {
        sums.resize(row.subcategory_logits.len(), 0.0);
        sums.iter_mut().zip(&row.subcategory_logits).for_each(|(sum, x)| *sum += x);
    }
    sums.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(index, _)| index)
}

fn price_fit(answers: &[Answer]) -> Option<PriceFit> {
    let bands: Vec<(f64, [f64; 3])> = answers
        .iter()
        .filter_map(|answer| {
            let of_rows: Vec<[f32; 3]> =
                answer.rows.iter().map(|row| row.log_price).collect::<Option<_>>()?;
            let mean = |quantile: usize| {
                of_rows.iter().map(|row| f64::from(row[quantile])).sum::<f64>() / of_rows.len().max(1) as f64
            };
            Some((answer.price?.ln(), [mean(0), mean(1), mean(2)]))
        })
        .collect();
    let mut errors: Vec<f64> = bands.iter().map(|(price, [_, median, _])| (price - median).abs()).collect();
    errors.sort_by(f64::total_cmp);
    Some(PriceFit {
        coverage: share(&bands, |(price, [low, _, high])| (low..=high).contains(&price)),
        median_error: *errors.get(errors.len() / 2)?,
    })
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| model | precision | examples | top-1 | top-3 | macro F1 | ECE | subcategory top-1 | top-1 of whole listings | \
             80 % price band holds | median error of log price |"
        )?;
        writeln!(f, "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")?;
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        for Measured { model, precision, examples, metrics, subcategory_top1, listing_top1, price } in
            &self.models
        {
            let Metrics { top1, top3, macro_f1, ece } = *metrics;
            let of_what = if *model == Model::Image { "photos" } else { "listings" };
            writeln!(
                f,
                "| {} | {} | {examples} {of_what} | {} | {} | {macro_f1:.3} | {ece:.3} | {} | {} | {} | {} |",
                model.name(),
                precision.name(),
                percent(top1),
                percent(top3),
                percent(*subcategory_top1),
                percent(*listing_top1),
                price.map_or("-".into(), |price| percent(price.coverage)),
                price.map_or("-".into(), |price| format!("{:.3}", price.median_error))
            )?;
        }
        if self.space.is_empty() {
            return Ok(());
        }
        write!(f, "\n{}", SpaceTable(&self.space))
    }
}
