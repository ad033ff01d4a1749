//! The three models' answers to the test split, and what they are worth.

use std::sync::Arc;

use anyhow::{Result, ensure};
use marketrank::{
    artefacts::{Metrics, Precision, Variant},
    inference::{Inference, Model, Outputs},
};

use super::{
    answers::{Answer, Shown, answers},
    calibration::score,
    metrics::{Scored, median, metrics, share},
};
use crate::data::{CleanTable, Listing, Split};

/// The three models in the order of the tables, and what each is measured on.
pub const MODELS: [(Model, Shown); 3] =
    [(Model::Image, Shown::EachPhoto), (Model::Text, Shown::Text), (Model::Combined, Shown::TextAndPhotos)];

/// What was measured of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    pub model: Model,
    pub precision: Precision,
    /// What it said of each photo (image) or listing.
    pub answers: Vec<Answer>,
    /// The same as probabilities of the categories, in the order of the answers.
    pub scored: Vec<Scored>,
    /// Confidence under which a person should look.
    pub review_threshold: f32,
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
    /// The same of the listings whose own text names no amount of money; none where all do.
    pub unnamed_error: Option<f64>,
}

/// Measures the three models on the test split.
///
/// # Errors
/// A photo cannot be read, or a model fails.
pub fn measure_models(inference: &Arc<Inference>, table: &CleanTable) -> Result<Vec<Measured>> {
    let requests = tokio::runtime::Runtime::new()?;
    let measure = |(model, shown): (Model, Shown)| {
        let answers = requests.block_on(answers(inference, table, &[Split::Test], shown))?;
        ensure!(
            !answers.is_empty(),
            "the test split of the clean table has nothing to ask the {} model about; it takes a listing with a photo",
            model.name()
        );
        Ok(Measured::of(model, inference.variant(model), answers, table))
    };
    MODELS.into_iter().map(measure).collect()
}

impl Measured {
    /// Metrics of a model's answers.
    fn of(model: Model, variant: &Variant, answers: Vec<Answer>, table: &CleanTable) -> Self {
        let known: Vec<&Answer> = answers.iter().filter(|answer| answer.subcategory.is_some()).collect();
        let scored = score(&answers, variant.temperature);
        Self {
            model,
            precision: variant.precision,
            review_threshold: variant.review_threshold,
            metrics: metrics(&scored),
            subcategory_top1: share(&known, |answer| best_subcategory(&answer.rows) == answer.subcategory),
            listing_top1: metrics(&score(&whole_listings(&answers), variant.temperature)).top1,
            price: price_fit(&answers, table),
            scored,
            answers,
        }
    }

    /// What it was asked about, for people.
    pub fn examples(&self) -> String {
        let of_what = if self.model == Model::Image { "photos" } else { "listings" };
        format!("{} {of_what}", self.answers.len())
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

fn price_fit(answers: &[Answer], table: &CleanTable) -> Option<PriceFit> {
    let bands: Vec<(&Listing, f64, [f64; 3])> = answers
        .iter()
        .filter_map(|answer| {
            let of_rows: Vec<[f32; 3]> =
                answer.rows.iter().map(|row| row.log_price).collect::<Option<_>>()?;
            let mean = |quantile: usize| {
                of_rows.iter().map(|row| f64::from(row[quantile])).sum::<f64>() / of_rows.len().max(1) as f64
            };
            Some((&table.listings[answer.listing], answer.price?.ln(), [mean(0), mean(1), mean(2)]))
        })
        .collect();
    let error = |(_, price, [_, middle, _]): &(&Listing, f64, [f64; 3])| (price - middle).abs();
    let unnamed = bands.iter().filter(|(listing, ..)| !listing.names_amount());
    Some(PriceFit {
        coverage: share(&bands, |(_, price, [low, _, high])| (low..=high).contains(&price)),
        median_error: median(bands.iter().map(error))?,
        unnamed_error: median(unnamed.map(error)),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const TABLE: &str = "id,title,description,category,subcategory,category_path,price,currency,location,\
        listed_at,split,photos\n\
        1,Bike,new,Bikes,,Bikes,1,GBP,,,test,\n\
        2,Bike,£1 ono,Bikes,,Bikes,1,GBP,,,test,\n\
        3,Bike,,Bikes,,Bikes,1,GBP,,,test,\n";

    fn answer(listing: usize, log_price: [f32; 3]) -> Answer {
        let row = Outputs {
            logits: vec![0.0],
            subcategory_logits: Vec::new(),
            embedding: Vec::new(),
            log_price: Some(log_price),
            activation: None,
        };
        Answer {
            listing,
            photos: Vec::new(),
            category: 0,
            subcategory: None,
            price: Some(1.0),
            rows: vec![row],
        }
    }

    #[test]
    fn errors_of_prices_are_told_apart_by_whether_the_text_names_an_amount() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("products.csv"), TABLE).unwrap();
        let table = CleanTable::read(folder.path()).unwrap();
        let answers = [answer(0, [1.0, 2.0, 3.0]), answer(1, [-1.0, 0.5, 1.0]), answer(2, [-1.0, -1.0, 3.0])];
        let fit = price_fit(&answers, &table).unwrap();
        assert_eq!((fit.median_error, fit.unnamed_error), (1.0, Some(2.0)));
        assert!((fit.coverage - 2.0 / 3.0).abs() < 1e-9);
    }
}
