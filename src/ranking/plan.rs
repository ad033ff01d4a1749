//! From a query to what products are compared with.

use super::{MAX_WEIGHT, Query, RankError};
use crate::catalogue::StoredProduct;

/// Norm below which the sum of the query's parts points nowhere.
const SMALLEST_NORM: f32 = 1e-3;

/// How far the query is moved away from what is not wanted, as a part of its own length (γ of Rocchio, "Relevance
/// feedback in information retrieval", 1971).
const AWAY: f32 = 0.5;

/// What of a query does not depend on where it is asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// L2 norm 1; `None` for browsing.
    pub meaning: Option<Vec<f32>>,
    pub words: Option<String>,
    /// Share of the words in the query, 0 to 1.
    pub words_share: f32,
    /// Words that are not wanted.
    pub not_words: Option<String>,
}

impl Plan {
    /// `liked` and `disliked` are the products that query and `not` name.
    pub fn new(
        query: &Query,
        liked: Option<&StoredProduct>,
        disliked: Option<&StoredProduct>,
    ) -> Result<Self, RankError> {
        let weights = query.weights;
        for (part, value) in [("text", weights.text), ("image", weights.image), ("product", weights.product)]
        {
            if !(0.0..=MAX_WEIGHT).contains(&value) {
                return Err(RankError::Weight { part, value });
            }
        }
        let text = query.text.as_ref().map(|text| Part {
            name: "the text",
            weight: weights.text,
            embedding: &text.embedding,
            words: Some(&text.words),
        });
        let photo = query.photo.as_ref().map(|photo| Part {
            name: "the photo",
            weight: weights.image,
            embedding: &photo.embedding,
            words: None,
        });
        let product = liked.map(|liked| Part {
            name: "the product",
            weight: weights.product,
            embedding: &liked.embedding,
            words: Some(&liked.product.title),
        });
        let parts: Vec<Part<'_>> = [text, photo, product].into_iter().flatten().collect();
        let away = [
            query.not.text.as_ref().map(|text| ("the text of `not`", &text.embedding)),
            query.not.photo.as_ref().map(|photo| ("the photo of `not`", &photo.embedding)),
            disliked.map(|disliked| ("the product of `not`", &disliked.embedding)),
        ];
        let away: Vec<(&'static str, &Vec<f32>)> = away.into_iter().flatten().collect();
        if parts.is_empty() {
            return if away.is_empty() { Ok(Self::default()) } else { Err(RankError::OnlyNot) };
        }

        let total: f32 = parts.iter().map(|part| part.weight).sum();
        if total == 0.0 {
            return Err(RankError::NoWeight);
        }
        let toward = parts.iter().map(|part| (part.name, part.weight / total, part.embedding));
        let away_from =
            away.iter().map(|(name, embedding)| (*name, -AWAY / away.len() as f32, embedding.as_slice()));
        // The first part that has words speaks: the buyer's own before those of a listing they named.
        let speaker = parts.iter().find(|part| part.words.is_some() && part.weight > 0.0);
        Ok(Self {
            meaning: Some(mix(toward.chain(away_from))?),
            words: speaker.and_then(|part| part.words).map(str::to_owned),
            words_share: speaker.map_or(0.0, |part| part.weight / total),
            not_words: query.not.text.as_ref().map(|text| text.words.clone()),
        })
    }
}

/// A part of the query.
struct Part<'a> {
    name: &'static str,
    weight: f32,
    embedding: &'a [f32],
    words: Option<&'a str>,
}

/// The weighted sum of embeddings, each with a name for errors, brought to L2 norm 1.
pub fn mix<'a>(
    parts: impl IntoIterator<Item = (&'static str, f32, &'a [f32])>,
) -> Result<Vec<f32>, RankError> {
    let mut sum: Vec<f32> = Vec::new();
    for (name, weight, embedding) in parts {
        if sum.is_empty() {
            sum.resize(embedding.len(), 0.0);
        }
        if embedding.len() != sum.len() {
            let whose = name.to_owned();
            return Err(RankError::Width { whose, width: embedding.len(), expected: sum.len() });
        }
        sum.iter_mut().zip(embedding).for_each(|(sum, value)| *sum += weight * value);
    }
    let norm = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
    if norm < SMALLEST_NORM {
        return Err(RankError::Cancelled);
    }
    sum.iter_mut().for_each(|value| *value /= norm);
    Ok(sum)
}
