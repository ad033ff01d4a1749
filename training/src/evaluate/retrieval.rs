//! Is what should be found among the first ten? Recall and nDCG over embeddings.

use crate::learn::features::Features;

/// Places that count.
pub const PLACES: usize = 10;

/// The documents with the largest cosine to a query, best first, equal ones in their order; those that `skip` says are
/// left out. Queries and documents have L2 norm 1.
pub fn nearest(query: &[f32], documents: &Features, skip: impl Fn(usize) -> bool) -> Vec<usize> {
    let cosine = |document: &[f32]| query.iter().zip(document).map(|(a, b)| a * b).sum::<f32>();
    let scores = documents.rows().map(cosine).enumerate().filter(|(document, _)| !skip(*document));
    best(scores)
}

/// The [`PLACES`] best of scored documents.
pub fn best(scores: impl Iterator<Item = (usize, f32)>) -> Vec<usize> {
    let mut scored: Vec<(usize, f32)> = scores.collect();
    let order = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if scored.len() > PLACES {
        scored.select_nth_unstable_by(PLACES, order);
        scored.truncate(PLACES);
    }
    scored.sort_by(order);
    scored.into_iter().map(|(document, _)| document).collect()
}

/// Share of the queries that find something right among their first places.
pub fn recall(found: &[Vec<usize>], is_right: impl Fn(usize, usize) -> bool) -> f64 {
    let is_hit =
        |(query, found): &(usize, &Vec<usize>)| found.iter().take(PLACES).any(|&f| is_right(*query, f));
    let hits = found.iter().enumerate().filter(is_hit);
    hits.count() as f64 / found.len().max(1) as f64
}

/// Mean over the queries of one over the place of the first right one, 0 where none is among the first places (MRR).
pub fn reciprocal_rank(found: &[Vec<usize>], is_right: impl Fn(usize, usize) -> bool) -> f64 {
    let of_query = |(query, found): (usize, &Vec<usize>)| {
        let first = found.iter().take(PLACES).position(|&found| is_right(query, found));
        first.map_or(0.0, |place| 1.0 / (place + 1) as f64)
    };
    found.iter().enumerate().map(of_query).sum::<f64>() / found.len().max(1) as f64
}

/// Mean normalised discounted cumulative gain (Jarvelin and Kekalainen 2002) over the first places, with gains
/// `2^relevance - 1`. `relevances` gives the relevance of every document that could have been found by a query; queries
/// for which nothing is relevant do not count.
pub fn ndcg(found: &[Vec<usize>], relevance: impl Fn(usize, usize) -> u32, documents: usize) -> f64 {
    let discounted = |relevances: &mut dyn Iterator<Item = u32>| -> f64 {
        let gain = |(place, relevance): (usize, u32)| {
            f64::from((1_u32 << relevance) - 1) / ((place + 2) as f64).log2()
        };
        relevances.take(PLACES).enumerate().map(gain).sum()
    };
    let of_query = |(query, found): (usize, &Vec<usize>)| -> Option<f64> {
        let mut possible: Vec<u32> = (0..documents).map(|document| relevance(query, document)).collect();
        possible.sort_unstable_by(|a, b| b.cmp(a));
        let ideal = discounted(&mut possible.into_iter());
        (ideal > 0.0).then(|| discounted(&mut found.iter().map(|&f| relevance(query, f))) / ideal)
    };
    let values: Vec<f64> = found.iter().enumerate().filter_map(of_query).collect();
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_come_first_and_the_skipped_never() {
        let documents = Features::new(2, vec![1.0, 0.0, 0.0, 1.0, 0.6, 0.8, 0.8, 0.6]);
        assert_eq!(nearest(&[1.0, 0.0], &documents, |document| document == 0), [3, 2, 1]);
    }

    #[test]
    fn ndcg_is_one_in_the_best_order_and_falls_by_the_logarithm_of_the_place() {
        let relevance = |_: usize, document: usize| [2, 1, 0][document];
        assert!((ndcg(&[vec![0, 1, 2]], relevance, 3) - 1.0).abs() < 1e-12);
        // (1 + 3 / log2 3) / (3 + 1 / log2 3)
        let swapped = ndcg(&[vec![1, 0, 2]], relevance, 3);
        assert!((swapped - 0.796_707_6).abs() < 1e-6, "{swapped}");
    }

    #[test]
    fn ndcg_ends_with_the_tenth_place_and_counts_no_query_that_nothing_fits() {
        let relevance = |query: usize, document: usize| u32::from(query == 0 && document == 0);
        let eleventh: Vec<usize> = (1..=PLACES).chain([0]).collect();
        assert_eq!(ndcg(&[eleventh], relevance, 12), 0.0);
        assert_eq!(ndcg(&[vec![0], vec![1]], relevance, 12), 1.0);
    }

    #[test]
    fn the_reciprocal_rank_is_that_of_the_first_right_one() {
        let found = [vec![0, 1, 2], vec![2, 0], vec![0]];
        let is_right = |query: usize, document: usize| document > 0 && query < 2;
        assert!((reciprocal_rank(&found, is_right) - (0.5 + 1.0 + 0.0) / 3.0).abs() < 1e-12);
    }

    #[test]
    fn recall_counts_queries_and_not_documents() {
        let found = [vec![0, 1], vec![2]];
        assert!((recall(&found, |query, document| query == 0 && document < 2) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn recall_ends_with_the_tenth_place() {
        let places: Vec<usize> = (0..=PLACES).collect();
        assert_eq!(recall(&[places.clone(), places], |query, document| document + query == PLACES), 0.5);
    }
}
