//! BM25 over products in memory, such as the candidates of one request: the formula of [`crate::catalogue::lexical`], with
//! these products as the collection that makes a word rare or common. A catalogue of exactly them gives the same scores.

use std::collections::HashMap;

use crate::catalogue::{Product, lexical::Terms};

/// Products as bags of terms, ready to be scored.
pub struct Bm25 {
    documents: Vec<HashMap<u32, f32>>,
}

impl Bm25 {
    /// The products are the whole collection.
    pub fn new<'a>(products: impl IntoIterator<Item = &'a Product>) -> Self {
        let document = |product| {
            let Terms { hashes, weights } = Terms::of_product(product);
            hashes.into_iter().zip(weights).collect()
        };
        Self { documents: products.into_iter().map(document).collect() }
    }

    /// The score of each product, in the order in which they were given; 0 where it has no word of the query.
    pub fn scores(&self, query: &Terms) -> Vec<f32> {
        let weights: Vec<(u32, f32)> = query.hashes.iter().map(|term| (*term, self.idf(*term))).collect();
        let score = |document: &HashMap<u32, f32>| {
            weights.iter().filter_map(|(term, idf)| document.get(term).map(|tf| idf * tf)).sum()
        };
        self.documents.iter().map(score).collect()
    }

    /// How many products hold the term.
    pub fn holders(&self, term: u32) -> usize {
        self.documents.iter().filter(|document| document.contains_key(&term)).count()
    }

    fn idf(&self, term: u32) -> f32 {
        // Whoever has no term at all has no vector in an engine, and is not counted there either.
        let count = self.documents.iter().filter(|document| !document.is_empty()).count() as f32;
        let holding = self.holders(term) as f32;
        ((count - holding + 0.5) / (holding + 0.5) + 1.0).ln()
    }
}
