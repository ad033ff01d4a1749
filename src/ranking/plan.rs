//! From a query to one retrieval and the weights of its signals.

use super::{Candidate, MAX_WEIGHT, RankError, RankRequest, score::SignalWeights};
use crate::catalogue::Retrieval;

/// Norm below which the sum of the query's parts points nowhere.
const SMALLEST_NORM: f32 = 1e-3;

#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub retrieval: Retrieval,
    pub weights: SignalWeights,
}

impl Plan {
    /// `liked` is the product that the query names.
    pub fn new(request: &RankRequest, liked: Option<Candidate>, depth: usize) -> Result<Self, RankError> {
        let query = &request.query;
        let mut filter = request.filter.clone();
        filter.excluded.extend(liked.as_ref().map(|liked| liked.product.id.clone()));

        for (part, value) in [("text", query.weights.text), ("image", query.weights.image)] {
            if !(0.0..=MAX_WEIGHT).contains(&value) {
                return Err(RankError::Weight { part, value });
            }
        }
        let parts: Vec<Part<'_>> = [
            query.text.as_ref().map(|text| Part {
                name: "the text",
                weight: query.weights.text,
                embedding: &text.embedding,
                words: Some(&text.words),
            }),
            query.photo.as_ref().map(|photo| Part {
                name: "the photo",
                weight: query.weights.image,
                embedding: &photo.embedding,
                words: None,
            }),
            liked.as_ref().map(|liked| Part {
                name: "the product",
                weight: 1.0,
                embedding: &liked.embedding,
                words: Some(&liked.product.title),
            }),
        ]
        .into_iter()
        .flatten()
        .collect();
        if parts.is_empty() {
            let retrieval = Retrieval { filter, limit: depth, ..Retrieval::default() };
            return Ok(Self { retrieval, weights: SignalWeights::default() });
        }

        let total: f32 = parts.iter().map(|part| part.weight).sum();
        if total == 0.0 {
            return Err(RankError::NoWeight);
        }
        // The first part that has words speaks: the buyer's own before those of a listing they named.
        let speaker = parts.iter().find(|part| part.words.is_some() && part.weight > 0.0);
        let weights = SignalWeights::for_words_share(speaker.map_or(0.0, |part| part.weight / total));
        let retrieval = Retrieval {
            embedding: Some(mix(&parts)?),
            words: speaker.and_then(|part| part.words).map(str::to_owned),
            filter,
            limit: depth,
        };
        Ok(Self { retrieval, weights })
    }

    /// False for browsing.
    pub fn has_query(&self) -> bool {
        self.retrieval.embedding.is_some()
    }
}

/// A part of the query.
struct Part<'a> {
    name: &'static str,
    weight: f32,
    embedding: &'a [f32],
    words: Option<&'a str>,
}

/// The weighted sum of the parts' embeddings, brought to L2 norm 1.
fn mix(parts: &[Part<'_>]) -> Result<Vec<f32>, RankError> {
    let width = parts.first().map_or(0, |part| part.embedding.len());
    let total: f32 = parts.iter().map(|part| part.weight).sum();
    let mut sum = vec![0.0; width];
    for part in parts {
        if part.embedding.len() != width {
            let whose = part.name.to_owned();
            return Err(RankError::Width { whose, width: part.embedding.len(), expected: width });
        }
        for (sum, value) in sum.iter_mut().zip(part.embedding) {
            *sum += part.weight / total * value;
        }
    }
    let norm = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
    if norm < SMALLEST_NORM {
        return Err(RankError::Cancelled);
    }
    sum.iter_mut().for_each(|value| *value /= norm);
    Ok(sum)
}
