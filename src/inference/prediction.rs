//! What outputs mean: calibrated probabilities, a subcategory inside the category, a price band.

use super::{HeatMap, Inferred, Model, Outputs, activation::heat_maps};
use crate::artefacts::{Manifest, Variant};

/// The answer to "which category is this listing?".
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    pub category: String,
    /// The most probable subcategory inside `category`; none where the model knows none there.
    pub subcategory: Option<String>,
    /// Probability of `category`.
    pub confidence: f32,
    /// Confidence below which the validation split was less than 95 % right.
    pub needs_review: bool,
    /// The most probable categories, best first.
    pub predictions: Vec<CategoryProbability>,
    /// None from photos alone.
    pub price: Option<PriceBand>,
    pub model: Model,
    /// What speaks for `category` in each photo; none unless the listing asked for it and the model gives it.
    pub activation: Option<Vec<HeatMap>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CategoryProbability {
    pub category: String,
    pub probability: f32,
}

/// Where the price is expected: one in ten prices lies below `low`, one in ten above `high`.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceBand {
    /// ISO 4217.
    pub currency: String,
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Prediction {
    pub(super) fn new(manifest: &Manifest, variant: &Variant, inferred: &Inferred, top_k: usize) -> Self {
        let probabilities = category_probabilities(&inferred.rows, variant.temperature);
        let mut ranked: Vec<(usize, f32)> = probabilities.iter().copied().enumerate().collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let label = |index: usize| manifest.categories.get(index).cloned().unwrap_or_default();

        let best = ranked.first().copied();
        let (category, confidence) = best.map_or((String::new(), 0.0), |(index, p)| (label(index), p));
        Self {
            subcategory: subcategory_within(manifest, &category, inferred),
            needs_review: confidence < variant.review_threshold,
            predictions: ranked
                .into_iter()
                .take(top_k.max(1))
                .map(|(index, probability)| CategoryProbability { category: label(index), probability })
                .collect(),
            price: price_band(&manifest.currency, inferred),
            model: inferred.model,
            activation: best.and_then(|(index, _)| heat_maps(&inferred.rows, index)),
            category,
            confidence,
        }
    }
}

/// Probability of each category: the softmax of the mean logits over the rows (the photos of a listing) at a temperature.
///
/// The mean of logits, and not of probabilities, is the product of what each photo says (Hinton 2002): one photo that
/// rules a category out is heard, however undecided the others are.
pub fn category_probabilities(rows: &[Outputs], temperature: f32) -> Vec<f32> {
    softmax(&mean(rows.iter().map(|row| row.logits.clone())), temperature)
}

fn subcategory_within(manifest: &Manifest, category: &str, inferred: &Inferred) -> Option<String> {
    let logits = mean(inferred.rows.iter().map(|row| row.subcategory_logits.clone()));
    let inside = manifest.subcategories.iter().zip(logits).filter(|(s, _)| s.category == category);
    inside.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(subcategory, _)| subcategory.name.clone())
}

fn price_band(currency: &str, inferred: &Inferred) -> Option<PriceBand> {
    let quantiles: Vec<Vec<f32>> =
        inferred.rows.iter().filter_map(|row| row.log_price.map(Vec::from)).collect();
    if quantiles.is_empty() {
        return None;
    }
    let pounds =
        |log: Option<&f32>| (log.copied().map_or(0.0, |x| f64::from(x).exp()) * 100.0).round() / 100.0;
    let mean = mean(quantiles.into_iter());
    Some(PriceBand {
        currency: currency.to_owned(),
        low: pounds(mean.first()),
        median: pounds(mean.get(1)),
        high: pounds(mean.get(2)),
    })
}

/// Probabilities of logits at a temperature; the largest is subtracted first, so nothing overflows.
pub(super) fn softmax(logits: &[f32], temperature: f32) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f32> = logits.iter().map(|x| ((x - largest) / temperature).exp()).collect();
    let total: f32 = exponentials.iter().sum();
    exponentials.into_iter().map(|e| e / total).collect()
}

/// Mean of rows of one length.
fn mean(rows: impl ExactSizeIterator<Item = Vec<f32>>) -> Vec<f32> {
    let count = rows.len().max(1) as f32;
    let mut sum: Vec<f32> = Vec::new();
    for row in rows {
        sum.resize(row.len(), 0.0);
        sum.iter_mut().zip(row).for_each(|(total, x)| *total += x / count);
    }
    sum
}
