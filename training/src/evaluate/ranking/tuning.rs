//! `marketrank-train evaluate --ranking --tune`: which weights rank best on the validation split.

use anyhow::Result;
use marketrank::ranking::Weights;

use super::{Exam, Marks, shop::Shop};
use crate::data::Split;

const WORDS: [f32; 5] = [0.2, 0.35, 0.5, 0.65, 0.8];
const BM25_HALF: [f32; 4] = [4.0, 9.0, 15.0, 24.0];
const KIND: [f32; 5] = [0.0, 0.35, 0.5, 0.7, 1.0];
const KIND_SHARPNESS: [f32; 2] = [12.0, 24.0];

/// Weightings that are printed.
const SHOWN: usize = 12;

/// Tries every combination on titles of validation listings over the training listings, and prints the best by nDCG@10 with
/// what they find for photos. The test split is not looked at. What is chosen goes into [`Weights::TUNED`].
///
/// # Errors
/// A photo cannot be read, or a model or the catalogue fails.
pub fn tune(shop: &Shop<'_>) -> Result<()> {
    let requests = tokio::runtime::Runtime::new()?;
    requests.block_on(async {
        let shelf = shop.shelf(&[Split::Train]).await?;
        let (titles, photos) = (shop.titles(Split::Validation).await?, shop.photos(Split::Validation).await?);
        let mut by_title = Exam::sit(shop, &shelf, &titles).await?;
        let mut by_photo = Exam::sit(shop, &shelf, &photos).await?;
        let mut tried = vec![(by_title.marks_of(Weights::TUNED).ndcg, Weights::TUNED)];
        for (words, bm25_half, kind, kind_sharpness) in grid() {
            let weights = Weights { words, bm25_half, kind, kind_sharpness, ..Weights::TUNED };
            tried.push((by_title.marks_of(weights).ndcg, weights));
        }
        let as_it_is = tried[0];
        tried.sort_by(|a, b| b.0.total_cmp(&a.0));
        println!(
            "{} titles and {} photos over {} listings",
            titles.count(),
            photos.count(),
            shelf.listings.len()
        );
        println!("| words | bm25_half | kind | kind_sharpness | title: nDCG@10 | MRR | recall@10 | photo: nDCG@10 |");
        println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
        for (_, weights) in [as_it_is].into_iter().chain(tried.into_iter().take(SHOWN)) {
            let Weights { words, bm25_half, kind, kind_sharpness, .. } = weights;
            let Marks { ndcg, reciprocal_rank, recall } = by_title.marks_of(weights);
            let of_photo = by_photo.marks_of(weights).ndcg;
            let now = if weights == Weights::TUNED { " (as it is)" } else { "" };
            println!(
                "| {words}{now} | {bm25_half} | {kind} | {kind_sharpness} | {ndcg:.4} | {reciprocal_rank:.3} | {recall:.3} | \
                 {of_photo:.4} |"
            );
        }
        Ok(())
    })
}

fn grid() -> impl Iterator<Item = (f32, f32, f32, f32)> {
    let of_kind = || KIND.into_iter().flat_map(|kind| KIND_SHARPNESS.map(|sharpness| (kind, sharpness)));
    let of_words = WORDS.into_iter().flat_map(|words| BM25_HALF.map(|half| (words, half)));
    of_words
        .flat_map(move |(words, half)| of_kind().map(move |(kind, sharpness)| (words, half, kind, sharpness)))
}
