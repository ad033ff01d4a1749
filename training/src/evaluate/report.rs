//! `marketrank-train evaluate`: the models' metrics on the test split, beside what the manifest says.

use std::{fmt, path::PathBuf, sync::Arc};

use anyhow::{Result, ensure};
use clap::Args;
use marketrank::{
    artefacts::Metrics,
    inference::{Device, Inference, Model, Outputs, Runtime},
};

use super::{
    answers::{Answer, answers, open_models},
    calibration::score,
    metrics::{metrics, share},
};
use crate::{
    data::{CleanTable, Split},
    learn::run::CommonArgs,
};

/// The three models in the order of the tables.
pub const MODELS: [Model; 3] = [Model::Image, Model::Text, Model::Combined];

/// Metrics are printed, and kept in the manifest, to this many digits; more would not be reproduced on another machine.
const TOLERANCE: f64 = 5e-3;

#[derive(Debug, Clone, Args)]
pub struct EvaluateArgs {
    #[command(flatten)]
    common: CommonArgs,

    /// Folder of the models to measure
    #[arg(long, default_value = "models", value_name = "FOLDER")]
    models: PathBuf,
}

/// What was measured of one model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    pub model: Model,
    /// Photos (image) or listings.
    pub examples: usize,
    pub metrics: Metrics,
    /// Share of listings whose subcategory is the most probable of all, among those whose subcategory is a label.
    pub subcategory_top1: f64,
    /// Share of known prices inside the band from the 10 to the 90 % quantile; none from photos alone.
    pub price_coverage: Option<f64>,
}

/// Measures the models of a folder on the test split and compares them with their manifest.
///
/// # Errors
/// The table or the models cannot be read, or the manifest's metrics are not reproduced.
pub fn evaluate(args: &EvaluateArgs) -> Result<()> {
    let table = CleanTable::read(&args.common.clean)?;
    let runtime = Runtime::load(&args.common.onnxruntime, Device::Auto)?;
    let inference = open_models(&args.models, &runtime)?;
    let measured = tokio::runtime::Runtime::new()?.block_on(measure_all(&inference, &table, Split::Test))?;
    println!("test split of {}, models {}", args.common.clean.display(), inference.manifest().version);
    println!("{}", Table(&measured));
    ensure!(
        inference.manifest().data_sha256 == table.sha256,
        "the models were made from another table (data_sha256 differs), so listings they were trained on may be among \
         these: the figures say nothing"
    );
    for Measured { model, metrics, .. } in measured {
        let stated = inference.manifest().model(model).metrics;
        let gap = (metrics.top1 - stated.top1).abs();
        ensure!(
            gap < TOLERANCE,
            "top-1 of the {} model is not the {:.4} of the manifest",
            model.name(),
            stated.top1
        );
    }
    Ok(())
}

/// Measures the three models on a split, at the temperatures of their manifest.
pub async fn measure_all(
    inference: &Arc<Inference>,
    table: &CleanTable,
    split: Split,
) -> Result<Vec<Measured>> {
    let mut measured = Vec::with_capacity(MODELS.len());
    for model in MODELS {
        let temperature = inference.manifest().model(model).temperature;
        measured.push(measure(model, &answers(inference, table, split, model).await?, temperature));
    }
    Ok(measured)
}

/// Metrics of a model's answers.
pub fn measure(model: Model, answers: &[Answer], temperature: f32) -> Measured {
    let known: Vec<&Answer> = answers.iter().filter(|answer| answer.subcategory.is_some()).collect();
    Measured {
        model,
        examples: answers.len(),
        metrics: metrics(&score(answers, temperature)),
        subcategory_top1: share(&known, |answer| best_subcategory(&answer.rows) == answer.subcategory),
        price_coverage: price_coverage(answers),
    }
}

fn best_subcategory(rows: &[Outputs]) -> Option<usize> {
    let mut sums: Vec<f32> = Vec::new();
    for row in rows {
        sums.resize(row.subcategory_logits.len(), 0.0);
        sums.iter_mut().zip(&row.subcategory_logits).for_each(|(sum, x)| *sum += x);
    }
    sums.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(index, _)| index)
}

fn price_coverage(answers: &[Answer]) -> Option<f64> {
    let bands: Vec<(f64, f64, f64)> = answers
        .iter()
        .filter_map(|answer| {
            let log = answer.price?.ln();
            let quantile = |index: usize| -> Option<f64> {
                let of_rows: Option<Vec<f32>> =
                    answer.rows.iter().map(|row| row.log_price.map(|q| q[index])).collect();
                of_rows.map(|q| f64::from(q.iter().sum::<f32>()) / q.len().max(1) as f64)
            };
            Some((log, quantile(0)?, quantile(2)?))
        })
        .collect();
    (!bands.is_empty()).then(|| share(&bands, |(price, low, high)| (low..=high).contains(&price)))
}

/// The table that people read, also in the model card.
pub struct Table<'a>(pub &'a [Measured]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| model | examples | top-1 | top-3 | macro F1 | ECE | subcategory top-1 | 80 % price band holds |"
        )?;
        writeln!(f, "| --- | --- | --- | --- | --- | --- | --- | --- |")?;
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        for Measured { model, examples, metrics, subcategory_top1, price_coverage } in self.0 {
            let Metrics { top1, top3, macro_f1, ece } = *metrics;
            let of_what = if *model == Model::Image { "photos" } else { "listings" };
            writeln!(
                f,
                "| {} | {examples} {of_what} | {} | {} | {macro_f1:.3} | {ece:.3} | {} | {} |",
                model.name(),
                percent(top1),
                percent(top3),
                percent(*subcategory_top1),
                price_coverage.map_or("-".into(), percent)
            )?;
        }
        Ok(())
    }
}
