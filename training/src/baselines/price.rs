//! Linear regression of the price on the words of a listing.

use anyhow::{Context, Result, ensure};
use linfa::{
    DatasetBase,
    traits::{Fit, Predict},
};
use linfa_linear::{Link, TweedieRegressor};
use linfa_preprocessing::tf_idf_vectorization::{FittedTfIdfVectorizer, TfIdfVectorizer};
use ndarray::{Array1, Array2, Axis};

use super::result::Outcome;
use crate::data::{CleanTable, Listing, Split};

/// Words that say nothing of what is sold.
const STOP_WORDS: [&str; 64] = [
    "a", "about", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can",
    "do", "for", "from", "had", "has", "have", "he", "her", "his", "if", "in", "into", "is", "it", "its",
    "just", "me", "my", "no", "not", "of", "off", "on", "only", "or", "our", "out", "over", "she", "so",
    "some", "than", "that", "the", "their", "them", "there", "they", "this", "to", "too", "up", "was", "we",
    "will", "with", "would", "you", "your",
];
/// Words, or words and pairs of neighbours.
const LONGEST_NGRAM: [usize; 2] = [1, 2];
/// A word or pair in fewer training texts is left out.
const LEAST_TEXTS: [usize; 2] = [3, 10];
/// Against half the mean squared error; 0 is plain linear regression.
const RIDGE_PENALTIES: [f64; 4] = [0.0, 1e-5, 1e-4, 1e-3];
const MOST_ITERATIONS: usize = 200;
/// Most words and pairs: beyond it the dense matrix no longer pays.
const MOST_FEATURES: usize = 6_000;

/// Listings with a price.
struct Texts {
    texts: Array1<String>,
    log_prices: Array1<f64>,
}

impl Texts {
    fn of(table: &CleanTable, split: Split) -> Result<Self> {
        let known = |listing: &Listing| {
            let price = listing.price.filter(|price| *price > 0.0)?;
            Some((format!("{}\n{}", listing.title, listing.description), price.ln()))
        };
        let (texts, log_prices): (Vec<String>, Vec<f64>) = table.of(split).filter_map(known).unzip();
        ensure!(!texts.is_empty(), "no listing of the {split:?} split has a price");
        Ok(Self { texts: texts.into(), log_prices: log_prices.into() })
    }
}

/// One of the models that are tried.
struct Candidate {
    settings: String,
    vectoriser: FittedTfIdfVectorizer,
    model: TweedieRegressor<f64>,
    validation_error: f64,
}

pub fn train(table: &CleanTable) -> Result<(String, Outcome)> {
    let [train, validation, test] =
        [Split::Train, Split::Validation, Split::Test].map(|split| Texts::of(table, split));
    let (train, validation, test) = (train?, validation?, test?);
    let mut best: Option<Candidate> = None;
    for longest in LONGEST_NGRAM {
        for least in LEAST_TEXTS {
            let vectoriser = vectoriser(&train, longest, least)?;
            let dataset = DatasetBase::new(vectors(&vectoriser, &train.texts)?, train.log_prices.clone());
            let unseen = vectors(&vectoriser, &validation.texts)?;
            for penalty in RIDGE_PENALTIES {
                let model = TweedieRegressor::params()
                    .power(0.0)
                    .link(Link::Identity)
                    .alpha(penalty)
                    .max_iter(MOST_ITERATIONS)
                    .fit(&dataset)
                    .context("linear regression does not converge")?;
                let validation_error = median_error(&model.predict(&unseen), &validation.log_prices);
                let settings = format!(
                    "n-grams to {longest}, in {least} texts or more, {} of them, ridge {penalty}",
                    vectoriser.nentries()
                );
                println!(
                    "{settings}: median error {validation_error:.3} in log price on the validation split"
                );
                if best.as_ref().is_none_or(|best| validation_error < best.validation_error) {
                    let vectoriser = vectoriser.clone();
                    best = Some(Candidate { settings, vectoriser, model, validation_error });
                }
            }
        }
    }
    let Candidate { settings, vectoriser, model, .. } = best.context("nothing was tried")?;
    let predicted = model.predict(&vectors(&vectoriser, &test.texts)?);
    Ok((settings, outcome(&predicted, &test.log_prices)))
}

fn vectoriser(train: &Texts, longest: usize, least: usize) -> Result<FittedTfIdfVectorizer> {
    TfIdfVectorizer::default()
        .n_gram_range(1, longest)
        .document_frequency(least as f32 / train.texts.len() as f32, 1.0)
        .max_features(Some(MOST_FEATURES))
        .stopwords(&STOP_WORDS)
        .fit(&train.texts)
        .context("no vocabulary can be made of the training texts")
}

/// TF-IDF, each row of L2 norm 1.
fn vectors(vectoriser: &FittedTfIdfVectorizer, texts: &Array1<String>) -> Result<Array2<f64>> {
    let mut rows = vectoriser.transform(texts).context("the texts do not vectorise")?.to_dense();
    for mut row in rows.axis_iter_mut(Axis(0)) {
        let norm = row.dot(&row).sqrt();
        if norm > 0.0 {
            row /= norm;
        }
    }
    Ok(rows)
}

fn median_error(predicted: &Array1<f64>, known: &Array1<f64>) -> f64 {
    let mut errors: Vec<f64> = predicted.iter().zip(known).map(|(a, b)| (a - b).abs()).collect();
    errors.sort_by(f64::total_cmp);
    errors.get(errors.len() / 2).copied().unwrap_or(f64::NAN)
}

fn outcome(predicted: &Array1<f64>, known: &Array1<f64>) -> Outcome {
    let (prices, guesses) = (known.mapv(f64::exp), predicted.mapv(f64::exp));
    let squared = |a: &Array1<f64>| a.dot(a) / a.len().max(1) as f64;
    let error = squared(&(&guesses - &prices));
    let variance = squared(&(&prices - prices.mean().unwrap_or_default()));
    Outcome::Price {
        listings: known.len(),
        median_log_error: median_error(predicted, known),
        rmse: error.sqrt(),
        r2: 1.0 - error / variance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_that_is_always_the_mean_explains_nothing() {
        let known = Array1::from(vec![1.0_f64.ln(), 3.0_f64.ln()]);
        let predicted = Array1::from(vec![2.0_f64.ln(); 2]);
        let Outcome::Price { rmse, r2, median_log_error, .. } = outcome(&predicted, &known) else {
            panic!("a price was measured")
        };
        assert!((rmse - 1.0).abs() < 1e-9 && r2.abs() < 1e-9, "{rmse} {r2}");
        assert!((median_log_error - 2.0_f64.ln()).abs() < 1e-9);
    }
}
