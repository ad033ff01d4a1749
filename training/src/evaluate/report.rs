//! `marketrank-train evaluate`: the models' metrics on the test split, beside what the manifest says; for people as a table,
//! a page, or the model card.

use std::{fmt, path::PathBuf, sync::Arc};

use anyhow::{Result, ensure};
use clap::Args;
use marketrank::{
    artefacts::{Artefacts, Manifest, Metrics, Precision, PrecisionChoice},
    inference::{Device, Inference, Model, Runtime},
};

use super::{
    answers::open_models,
    measured::{Measured, measure_models},
    metrics::calibration_error_by_chance,
    page::{Contents, ReportFolder},
    ranking::{self, shop::Shop},
    space::{self, Found, SpaceTable},
    speed,
};
use crate::{
    baselines,
    data::CleanTable,
    learn::{
        backbone::WeightsArgs, corpus::Corpus, feature_store::FeatureStore, run::CommonArgs,
        run_report::RunReport,
    },
    model_card,
};

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

    /// Write a page for a browser: the tables, confusion, calibration, coverage, learning curves and the worst mistakes.
    /// It shows people's words and photos, so keep it on this machine
    #[arg(
        long,
        value_name = "FOLDER",
        num_args = 0..=1,
        default_missing_value = "data/report",
        conflicts_with_all = ["speed", "ranking"]
    )]
    report: Option<PathBuf>,

    /// Write the model card and its pictures anew, beside the models; measures only what it holds, and not what embeddings
    /// find
    #[arg(long, conflicts_with_all = ["speed", "ranking"])]
    card: bool,
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
/// The table or the models cannot be read, the models were made from another table, or the manifest's metrics are not
/// reproduced.
pub fn evaluate(args: &EvaluateArgs) -> Result<()> {
    let table = CleanTable::read(&args.common.clean)?;
    let runtime = Runtime::load(&args.common.onnxruntime, Device::Auto)?;
    let artefacts = Artefacts::load(&args.models)?;
    let manifest = artefacts.manifest();
    if args.speed {
        return speed::compare(&artefacts, &table, &runtime);
    }
    ensure!(
        manifest.data_sha256 == table.sha256,
        "{} was made from another table than {} (data_sha256 differs), so listings the models were trained on may be \
         among those to measure them by: give --clean the table they were made from, or make them anew",
        args.models.display(),
        args.common.clean.display()
    );
    let report = args.report.as_deref().map(|folder| ReportFolder::create(folder, &args.models));
    let report = report.transpose()?;
    let inference = open_models(&args.models, &runtime, PrecisionChoice::Auto)?;
    if args.ranking {
        let store = FeatureStore::new(&runtime, args.common.features.clone());
        let shop = Shop::new(&inference, &table, &store);
        return if args.tune { ranking::tune(&shop) } else { ranking::measure(&shop, &args.weights) };
    }
    let baselines = baselines::results(&args.common.runs, &table.sha256)?;
    let mut evaluation = Evaluation { models: measure_models(&inference, &table)?, space: Vec::new() };
    if !args.card {
        evaluation.space = measure_space(&evaluation.models, &inference, &table, args, &runtime)?;
    }
    let served = Model::ALL.map(|model| inference.variant(model).precision);
    drop(inference);
    for precision in [Precision::Float32, Precision::Float16, Precision::Int8] {
        let complete = Model::ALL.iter().all(|&model| manifest.model(model).variant(precision).is_some());
        if complete && served != [precision; 3] {
            let inference = open_models(&args.models, &runtime, precision.into())?;
            evaluation.models.extend(measure_models(&inference, &table)?);
        }
    }
    // The order of the manifest, whichever of them this machine serves.
    let place = |measured: &Measured| {
        let variants = &manifest.model(measured.model).variants;
        variants.iter().position(|variant| variant.precision == measured.precision)
    };
    evaluation.models.sort_by_key(place);
    println!("test split of {}, models {}", args.common.clean.display(), manifest.version);
    println!("{evaluation}");
    for result in &baselines {
        println!("{result}");
    }
    if let Some(report) = report {
        let page = report.write(&Contents {
            version: &manifest.version,
            table: &table,
            evaluation: &evaluation,
            served: &evaluation.models_of(served),
            baselines: &baselines,
            runs: &RunReport::read_all(&args.common.runs)?,
            runs_folder: &args.common.runs,
        })?;
        println!("the report is {}", page.display());
    }
    ensure_reproduced(manifest, &evaluation)?;
    if args.card {
        model_card::write(&args.models, manifest, &evaluation, &table)?;
        println!("the model card of {} is written anew", args.models.display());
    }
    Ok(())
}

/// Refuses models that are not as good as their manifest says.
fn ensure_reproduced(manifest: &Manifest, evaluation: &Evaluation) -> Result<()> {
    for Measured { model, precision, metrics, .. } in &evaluation.models {
        let stated = manifest.model(*model).variant(*precision).map_or(0.0, |variant| variant.metrics.top1);
        ensure!(
            (metrics.top1 - stated).abs() < TOLERANCE,
            "top-1 of the {} {} model is not the {stated:.4} of the manifest",
            precision.name(),
            model.name()
        );
    }
    Ok(())
}

/// What the models' embeddings find, beside BM25 and the untrained networks.
fn measure_space(
    models: &[Measured],
    inference: &Arc<Inference>,
    table: &CleanTable,
    args: &EvaluateArgs,
    runtime: &Runtime,
) -> Result<Vec<Found>> {
    let photos = models.iter().find(|measured| measured.model == Model::Image);
    let photos = photos.map_or(&[][..], |measured| &measured.answers);
    let corpus = Corpus::new(table);
    let store = FeatureStore::new(runtime, args.common.features.clone());
    let requests = tokio::runtime::Runtime::new()?;
    let mut space = vec![requests.block_on(space::trained(inference, table, &corpus, photos))?];
    space.extend(space::untrained(table, &corpus, &store, &args.weights)?);
    Ok(space)
}

impl Evaluation {
    /// Each of the three models in the precision that stands at its place.
    pub fn models_of(&self, precisions: [Precision; 3]) -> Vec<&Measured> {
        let of = |(model, precision)| {
            self.models.iter().find(|measured| measured.model == model && measured.precision == precision)
        };
        Model::ALL.into_iter().zip(precisions).filter_map(of).collect()
    }
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| model | precision | examples | top-1 | top-3 | macro F1 | ECE | ECE by chance | subcategory top-1 | top-1 of whole listings | \
             80 % price band holds | median error of log price | the same where no amount is named |"
        )?;
        writeln!(f, "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")?;
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        for measured in &self.models {
            let Metrics { top1, top3, macro_f1, ece } = measured.metrics;
            let unnamed = measured.price.and_then(|price| price.unnamed_error);
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {macro_f1:.3} | {ece:.3} | {:.3} | {} | {} | {} | {} | {} |",
                measured.model.name(),
                measured.precision.name(),
                measured.examples(),
                percent(top1),
                percent(top3),
                calibration_error_by_chance(&measured.scored),
                percent(measured.subcategory_top1),
                percent(measured.listing_top1),
                measured.price.map_or("-".into(), |price| percent(price.coverage)),
                measured.price.map_or("-".into(), |price| format!("{:.3}", price.median_error)),
                unnamed.map_or("-".into(), |error| format!("{error:.3}"))
            )?;
        }
        if self.space.is_empty() {
            return Ok(());
        }
        write!(f, "\n{}", SpaceTable(&self.space))
    }
}
