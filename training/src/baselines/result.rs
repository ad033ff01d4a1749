//! What a baseline reached, kept in its run folder.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use burn::tensor::{Tensor, activation::softmax};
use marketrank::artefacts::Metrics;
use serde::{Deserialize, Serialize};

use crate::{
    evaluate::metrics::{Scored, metrics},
    learn::targets::Target,
};

/// The folder of a baseline in the folder of the runs begins like this.
const PREFIX: &str = "baseline-";
const RESULT: &str = "result.json";

/// One baseline, measured on the test split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BaselineResult {
    pub name: String,
    /// What was fixed and what was chosen, for people.
    pub settings: String,
    /// Hash of the clean table.
    pub data_sha256: String,
    pub outcome: Outcome,
}

/// How good it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Of photos, each alone.
    Category { photos: usize, metrics: Metrics },
    /// Of listings.
    ListingCategory { listings: usize, metrics: Metrics },
    Price {
        listings: usize,
        /// Median of `|ln predicted - ln price|`.
        median_log_error: f64,
        /// The same of listings whose own text names no amount of money; none where all do.
        #[serde(default)]
        unnamed_log_error: Option<f64>,
        /// Root of the mean squared error, in the currency of the table; none where a guess is beyond all numbers.
        rmse: Option<f64>,
        /// Share of the prices' variance that is explained; negative where the mean would be better, none where they do not vary.
        r2: Option<f64>,
    },
}

/// Where a baseline keeps what it makes.
pub(super) fn folder(runs: &Path, name: &str) -> PathBuf {
    runs.join(format!("{PREFIX}{name}"))
}

impl BaselineResult {
    pub(super) fn save(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let path = folder.join(RESULT);
        fs::write(&path, serde_json::to_vec_pretty(self)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// What the baseline in this folder reached.
///
/// # Errors
/// It is not there, or does not read.
pub(super) fn read(folder: &Path) -> Result<BaselineResult> {
    let path = folder.join(RESULT);
    let json = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&json)
        .with_context(|| format!("{} is no result of a baseline; run it again", path.display()))
}

/// The baselines that were measured on the table of this hash, by name; none where there are no runs.
///
/// # Errors
/// A result does not read.
pub fn results(runs: &Path, data_sha256: &str) -> Result<Vec<BaselineResult>> {
    let Ok(folders) = fs::read_dir(runs) else { return Ok(Vec::new()) };
    let mut results = Vec::new();
    for folder in folders {
        let folder = folder.with_context(|| format!("cannot read {}", runs.display()))?.path();
        if !folder.join(RESULT).is_file() {
            continue;
        }
        let result = read(&folder)?;
        if result.data_sha256 == data_sha256 {
            results.push(result);
        }
    }
    results.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(results)
}

impl fmt::Display for BaselineResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "baseline {} ({}): ", self.name, self.settings)?;
        match self.outcome {
            Outcome::Category { photos, metrics } => category(f, photos, "photos", &metrics),
            Outcome::ListingCategory { listings, metrics } => category(f, listings, "listings", &metrics),
            Outcome::Price { listings, median_log_error, unnamed_log_error, rmse, r2 } => {
                write!(f, "{listings} listings, median error {median_log_error:.3} in log price")?;
                if let Some(error) = unnamed_log_error {
                    write!(f, " ({error:.3} where the text names no amount)")?;
                }
                let [rmse, r2] = [(rmse, 0), (r2, 3)].map(|(number, digits)| {
                    number.map_or("-".to_owned(), |number| format!("{number:.digits$}"))
                });
                write!(f, ", RMSE {rmse}, R2 {r2}")
            }
        }
    }
}

fn category(f: &mut fmt::Formatter<'_>, examples: usize, of: &str, metrics: &Metrics) -> fmt::Result {
    let Metrics { top1, top3, macro_f1, .. } = metrics;
    let (top1, top3) = (top1 * 100.0, top3 * 100.0);
    write!(f, "{examples} {of}, top-1 {top1:.1} %, top-3 {top3:.1} %, macro F1 {macro_f1:.3}")
}

/// What logits `[examples, classes]` are worth.
pub(super) fn metrics_of(logits: Tensor<2>, targets: &[Target]) -> Metrics {
    let [_, classes] = logits.dims();
    let probabilities: Vec<f32> = softmax(logits, 1).into_data().iter().collect();
    let rows = probabilities.chunks(classes.max(1)).zip(targets);
    let scored: Vec<Scored> =
        rows.map(|(row, target)| Scored { probabilities: row.to_vec(), label: target.category }).collect();
    metrics(&scored)
}
