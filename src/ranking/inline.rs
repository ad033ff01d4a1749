//! Candidates that came with the request, searched as the catalogue would search them.

use std::{cmp::Reverse, collections::HashMap};

use super::{Candidate, MAX_CANDIDATES, RankError, bm25::Bm25};
use crate::catalogue::{Hit, Product, ProductId, Retrieval, lexical::Terms};

pub struct Inline<'a> {
    candidates: &'a [Candidate],
    by_id: HashMap<&'a ProductId, &'a Candidate>,
}

impl<'a> Inline<'a> {
    pub fn new(candidates: &'a [Candidate]) -> Result<Self, RankError> {
        if candidates.len() > MAX_CANDIDATES {
            return Err(RankError::TooManyCandidates(candidates.len()));
        }
        let mut by_id = HashMap::with_capacity(candidates.len());
        for candidate in candidates {
            if by_id.insert(&candidate.product.id, candidate).is_some() {
                return Err(RankError::RepeatedCandidate(candidate.product.id.clone()));
            }
        }
        Ok(Self { candidates, by_id })
    }

    /// Every candidate that passes the filter: so few need no limit. The newest first, then by id.
    pub fn retrieve(&self, retrieval: &Retrieval) -> Result<Vec<Hit>, RankError> {
        let bm25s = retrieval.words.as_deref().map(|words| {
            let products = self.candidates.iter().map(|candidate| &candidate.product);
            Bm25::new(products).scores(&Terms::of_query(words))
        });
        let mut hits = Vec::with_capacity(self.candidates.len());
        for (place, Candidate { product, embedding }) in self.candidates.iter().enumerate() {
            if !retrieval.filter.accepts(product) {
                continue;
            }
            let semantic = retrieval
                .embedding
                .as_deref()
                .map(|query| cosine(query, embedding, &product.id))
                .transpose()?;
            let lexical = bm25s.as_ref().and_then(|scores| scores.get(place)).copied();
            hits.push((product, Hit { id: product.id.clone(), semantic, lexical }));
        }
        hits.sort_by(|(a, _), (b, _)| (Reverse(a.listed_at), &a.id).cmp(&(Reverse(b.listed_at), &b.id)));
        Ok(hits.into_iter().map(|(_, hit)| hit).collect())
    }

    /// As [`crate::catalogue::Catalogue::products`].
    pub fn products(&self, ids: &[ProductId]) -> Vec<Option<Product>> {
        ids.iter().map(|id| self.by_id.get(id).map(|candidate| candidate.product.clone())).collect()
    }
}

/// Both have L2 norm 1.
fn cosine(query: &[f32], embedding: &[f32], id: &ProductId) -> Result<f32, RankError> {
    if query.len() != embedding.len() {
        let whose = format!("candidate {id}");
        return Err(RankError::Width { whose, width: embedding.len(), expected: query.len() });
    }
    Ok(query.iter().zip(embedding).map(|(a, b)| a * b).sum())
}
