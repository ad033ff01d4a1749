//! Regression of the price on the words of a listing.

use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use ndarray::Array1;

use super::{
    result::Outcome,
    tf_idf::{Vocabulary, VocabularyConfig},
};
use crate::{
    data::{CleanTable, Listing, Split},
    evaluate::metrics::median,
    learn::ridge::{Linear, SparseRows, ridge},
};

/// Words, words and pairs of neighbours, and threes of them too.
const LONGEST_NGRAM: [usize; 3] = [1, 2, 3];
/// A word or sequence in fewer training texts is left out.
const LEAST_TEXTS: [usize; 4] = [2, 3, 5, 10];
/// In units of the currency.
const LEAST_GUESS: f64 = 0.01;

/// How prices are regressed.
pub struct PriceModel {
    /// Penalties that are tried, of the squared weights against the summed squared error; 0 is plain linear regression.
    penalties: &'static [f64],
    /// What is regressed, of a price.
    target: fn(f64) -> f64,
    /// The price again.
    price: fn(f64) -> f64,
    /// What the validation split chooses by, of guesses and prices.
    error: fn(&[f64], &[f64]) -> f64,
    error_name: &'static str,
}

/// Ridge regression of the logarithm of the price.
pub const LOG_RIDGE: PriceModel = PriceModel {
    penalties: &[0.0, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0],
    target: f64::ln,
    price: f64::exp,
    error: median_log_error,
    error_name: "median error in log price",
};

/// What the older service did: linear regression of the price itself.
pub const LINEAR: PriceModel = PriceModel {
    penalties: &[0.0],
    target: |price| price,
    price: |guess| guess,
    error: rmse,
    error_name: "RMSE",
};

/// Listings with a price.
struct Texts {
    texts: Array1<String>,
    prices: Vec<f64>,
    /// Whether each names an amount of money.
    naming: Vec<bool>,
}

impl Texts {
    fn of(table: &CleanTable, split: Split) -> Result<Self> {
        let known = |listing: &Listing| {
            let price = listing.price.filter(|price| *price > 0.0)?;
            let text = format!("{}\n{}", listing.title, listing.description);
            Some((text, (price, listing.names_amount())))
        };
        let (texts, (prices, naming)): (Vec<String>, (Vec<f64>, Vec<bool>)) =
            table.of(split).filter_map(known).unzip();
        ensure!(!texts.is_empty(), "no listing of the {split:?} split has a price");
        Ok(Self { texts: texts.into(), prices, naming })
    }
}

/// One of the models that are tried.
struct Candidate {
    error: f64,
    settings: String,
    vocabulary: Rc<Vocabulary>,
    model: Linear,
}

impl PriceModel {
    /// Chooses n-grams, least frequency and penalty on the validation split.
    pub fn train(&self, table: &CleanTable) -> Result<(String, Outcome)> {
        let [train, validation, test] =
            [Split::Train, Split::Validation, Split::Test].map(|split| Texts::of(table, split));
        let (train, validation, test) = (train?, validation?, test?);
        let targets: Vec<f64> = train.prices.iter().copied().map(self.target).collect();
        let mut best: Option<Candidate> = None;
        for longest_ngram in LONGEST_NGRAM {
            for least_texts in LEAST_TEXTS {
                let config = VocabularyConfig { longest_ngram, least_texts };
                let vocabulary = Rc::new(Vocabulary::of(&train.texts, config)?);
                let [rows, unseen] = [&train, &validation].map(|texts| vocabulary.rows(&texts.texts));
                let (rows, unseen) = (rows?, unseen?);
                for &penalty in self.penalties {
                    let model = ridge(&rows, &targets, penalty)?;
                    let settings = format!(
                        "n-grams to {longest_ngram}, in {least_texts} texts or more, {} of them, ridge {penalty}",
                        vocabulary.len()
                    );
                    let error = (self.error)(&self.guesses(&model, &unseen), &validation.prices);
                    println!("{settings}: {} {error:.3} on the validation split", self.error_name);
                    if best.as_ref().is_none_or(|best| error < best.error) {
                        best = Some(Candidate { error, settings, vocabulary: vocabulary.clone(), model });
                    }
                }
            }
        }
        let Candidate { settings, vocabulary, model, .. } = best.context("nothing was tried")?;
        let guesses = self.guesses(&model, &vocabulary.rows(&test.texts)?);
        Ok((settings, outcome(&guesses, &test)))
    }

    fn guesses(&self, model: &Linear, rows: &SparseRows) -> Vec<f64> {
        model.predict(rows).into_iter().map(self.price).collect()
    }
}

fn outcome(guesses: &[f64], listings: &Texts) -> Outcome {
    let prices = listings.prices.as_slice();
    let count = prices.len().max(1) as f64;
    let mean = prices.iter().sum::<f64>() / count;
    let variance = prices.iter().map(|price| (price - mean).powi(2)).sum::<f64>() / count;
    let rmse = rmse(guesses, prices);
    let unnamed = log_errors(guesses, prices).zip(&listings.naming).filter(|(_, naming)| !**naming);
    Outcome::Price {
        listings: prices.len(),
        median_log_error: median_log_error(guesses, prices),
        unnamed_log_error: median(unnamed.map(|(error, _)| error)),
        rmse: finite(rmse),
        r2: finite(1.0 - rmse * rmse / variance),
    }
}

/// JSON has no other numbers.
fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

fn rmse(guesses: &[f64], prices: &[f64]) -> f64 {
    let squared = guesses.iter().zip(prices).map(|(guess, price)| (guess - price).powi(2)).sum::<f64>();
    (squared / prices.len().max(1) as f64).sqrt()
}

fn median_log_error(guesses: &[f64], prices: &[f64]) -> f64 {
    median(log_errors(guesses, prices)).unwrap_or(f64::NAN)
}

/// A straight line runs below zero, where there is no logarithm: such a guess counts as [`LEAST_GUESS`].
fn log_errors(guesses: &[f64], prices: &[f64]) -> impl Iterator<Item = f64> {
    guesses.iter().zip(prices).map(|(guess, price)| (guess.max(LEAST_GUESS).ln() - price.ln()).abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_that_is_always_the_mean_explains_nothing() {
        let texts = Texts { texts: Array1::default(2), prices: vec![1.0, 3.0], naming: vec![false; 2] };
        let Outcome::Price { rmse, r2, median_log_error, .. } = outcome(&[2.0, 2.0], &texts) else {
            panic!("a price was measured")
        };
        let (rmse, r2) = (rmse.unwrap(), r2.unwrap());
        assert!((rmse - 1.0).abs() < 1e-9 && r2.abs() < 1e-9, "{rmse} {r2}");
        assert!((median_log_error - 2.0_f64.ln()).abs() < 1e-9);
    }

    #[test]
    fn what_was_reached_on_one_listing_or_by_a_guess_beyond_all_numbers_reads_back() {
        let texts = Texts { texts: Array1::default(1), prices: vec![3.0], naming: vec![false] };
        for guess in [2.0, 1e300] {
            let reached = outcome(&[guess], &texts);
            let json = serde_json::to_string(&reached).unwrap();
            assert_eq!(serde_json::from_str::<Outcome>(&json).unwrap(), reached, "{json}");
        }
    }

    #[test]
    fn a_guess_below_zero_is_far_off_and_still_a_number() {
        assert!((median_log_error(&[-50.0], &[1.0]) - 100.0_f64.ln()).abs() < 1e-9);
    }
}
