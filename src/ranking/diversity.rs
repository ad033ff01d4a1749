//! An order in which a listing is not like the ones before it.

use super::Scored;
use crate::catalogue::{CatalogueError, Index, PhotoTag, ProductId};

/// Places that are put in a new order; what lies behind them keeps its own. One number for every page, or pages would
/// not fit together.
const REORDERED: usize = 200;

/// Maximal marginal relevance (Carbonell & Goldstein, "The use of MMR", 1998) over the embeddings: each place goes to
/// the product with the largest `(1 - diversity) * relevance - diversity * s`, where relevance is the score over the
/// best score and `s` the largest cosine to what stands before. Then listings with the same photo are set apart.
pub async fn diversify(
    index: &dyn Index,
    mut ranked: Vec<Scored>,
    diversity: f32,
) -> Result<Vec<Scored>, CatalogueError> {
    let rest = ranked.split_off(ranked.len().min(REORDERED));
    let ids: Vec<ProductId> = ranked.iter().map(|scored| scored.found.id.clone()).collect();
    let embeddings = index.embeddings(&ids).await?;
    let best = ranked.iter().map(|scored| scored.score.abs()).fold(f32::MIN_POSITIVE, f32::max);
    let mut waiting: Vec<Waiting> = ranked
        .into_iter()
        .zip(embeddings)
        .map(|(scored, embedding)| Waiting {
            scored,
            embedding: embedding.unwrap_or_default(),
            likeness: None,
        })
        .collect();
    let mut order = Vec::with_capacity(waiting.len() + rest.len());
    while let Some(place) = best_of(&waiting, best, diversity) {
        let chosen = waiting.remove(place);
        for other in &mut waiting {
            let likeness = cosine(&chosen.embedding, &other.embedding);
            other.likeness = Some(other.likeness.map_or(likeness, |known| known.max(likeness)));
        }
        order.push(chosen.scored);
    }
    order.extend(rest);
    set_apart(&mut order, |scored| scored.found.evidence.facts.photo);
    Ok(order)
}

/// A product that has no place yet.
struct Waiting {
    scored: Scored,
    embedding: Vec<f32>,
    /// Largest cosine to those that have one.
    likeness: Option<f32>,
}

/// The first of the best.
fn best_of(waiting: &[Waiting], best_score: f32, diversity: f32) -> Option<usize> {
    let merit = |waiting: &Waiting| {
        (1.0 - diversity) * waiting.scored.score / best_score
            - diversity * waiting.likeness.unwrap_or_default()
    };
    let places = waiting.iter().map(merit).enumerate();
    // Of equal ones `max_by` gives the last, and the order so far decides.
    places.rev().max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(place, _)| place)
}

/// Where two neighbours have the same photo, brings the next one with another photo between them.
fn set_apart<T>(order: &mut [T], photo: impl Fn(&T) -> Option<PhotoTag>) {
    for place in 1..order.len() {
        let Some(before) = photo(&order[place - 1]) else { continue };
        let other = order[place..].iter().position(|item| photo(item) != Some(before));
        if let Some(distance) = other {
            order[place..=place + distance].rotate_right(1);
        }
    }
}

/// Both have L2 norm 1. Eight sums at once, which the compiler turns into vector instructions.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_with_one_photo_are_set_apart_as_far_as_there_are_others() {
        let photo = |item: &u32| (*item > 0).then_some(PhotoTag(*item / 10));
        let mut order = [11, 12, 13, 21, 0, 31];
        set_apart(&mut order, photo);
        assert_eq!(order, [11, 21, 12, 0, 13, 31]);
        let mut order = [11, 12, 21];
        set_apart(&mut order, photo);
        assert_eq!(order, [11, 21, 12]);
        let mut order = [0, 0, 11, 12];
        set_apart(&mut order, photo);
        assert_eq!(order, [0, 0, 11, 12]);
    }
}
