//! `marketrank-train baseline`: the classical models of the service this one replaces, trained on the same listings and
//! measured on the same split, so that what replaces them has something to beat.

pub mod classic;
mod cnn;
mod logistic;
mod photos;
mod price;
mod result;
mod tf_idf;

use anyhow::Result;
use clap::{Args, ValueEnum};

pub use self::result::{BaselineResult, results};
use self::result::{Outcome, folder};
use crate::{
    data::CleanTable,
    learn::{recipes::FitArgs, run::CommonArgs},
};

#[derive(Debug, Clone, Args)]
pub struct BaselineArgs {
    #[arg(value_enum)]
    baseline: Baseline,

    #[command(flatten)]
    common: CommonArgs,

    #[command(flatten)]
    fit: FitArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Baseline {
    /// Photo to category: logistic regression on 30x30 pixels, letterboxed on black
    Logistic,
    /// Photo to category: a convolutional network of three layers from scratch, 128x128 pixels, letterboxed on black
    Cnn,
    /// Text to price: ridge regression of the log price on TF-IDF, stop words left out; n-grams, least frequency and penalty
    /// chosen on the validation split
    Price,
    /// The same as the older service had it: linear regression of the price itself, without a penalty
    LinearPrice,
}

/// Trains a baseline, measures it on the test split, and keeps the result in a run folder for `evaluate`.
///
/// # Errors
/// The clean table or a photo cannot be read, the split is empty, or the optimiser fails.
pub fn baseline(args: &BaselineArgs) -> Result<()> {
    let table = CleanTable::read(&args.common.clean)?;
    let folder = folder(&args.common.runs, args.baseline.name());
    let (settings, outcome): (String, Outcome) = match args.baseline {
        Baseline::Logistic => logistic::train(&table)?,
        Baseline::Cnn => cnn::train(&table, &args.fit, &folder)?,
        Baseline::Price => price::LOG_RIDGE.train(&table)?,
        Baseline::LinearPrice => price::LINEAR.train(&table)?,
    };
    let result = BaselineResult {
        name: args.baseline.name().to_owned(),
        settings,
        data_sha256: table.sha256.clone(),
        outcome,
    };
    result.save(&folder)?;
    println!("{result}");
    Ok(())
}

impl Baseline {
    fn name(self) -> &'static str {
        match self {
            Self::Logistic => "logistic",
            Self::Cnn => "cnn",
            Self::Price => "price",
            Self::LinearPrice => "linear-price",
        }
    }
}
