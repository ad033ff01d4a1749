//! The three models' answers to the test split, and what they are worth.

use std::sync::Arc;

use anyhow::Result;
use marketrank::{
    artefacts::{Metrics, Precision, Variant},
    inference::{Inference, Model, Outputs},
};

use super::{
    answers::{Answer, Shown, answers},
    calibration::score,
    metrics::{Scored, metrics, share},
};
use crate::data::{CleanTable, Split};

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
}

/// Measures the three models on the test split.
///
/// # Errors
/// A photo cannot be read, or a model fails.
pub fn measure_models(inference: &Arc<Inference>, table: &CleanTable) -> Result<Vec<Measured>> {
    let requests = tokio::runtime::Runtime::new()?;
    let measure = |(model, shown)| {
        let answers = requests.block_on(answers(inference, table, &[Split::Test], shown))?;
        Ok(Measured::of(model, inference.variant(model), answers))
    };
    MODELS.into_iter().map(measure).collect()
}

impl Measured {
    /// Metrics of a model's answers.
    fn of(model: Model, variant: &Variant, answers: Vec<Answer>) -> Self {
        let known: Vec<&Answer> = answers.iter().filter(|answer| answer.subcategory.is_some()).collect();
        let scored = score(&answers, variant.temperature);
        Self {
            model,
            precision: variant.precision,
            review_threshold: variant.review_threshold,
            metrics: metrics(&scored),
            subcategory_top1: share(&known, |answer| best_subcategory(&answer.rows) == answer.subcategory),
            listing_top1: metrics(&score(&whole_listings(&answers), variant.temperature)).top1,
            price: price_fit(&answers),
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
