//! Candidates that came with the request, searched as a catalogue of exactly these products would be.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use async_trait::async_trait;

use super::{MAX_CANDIDATES, RankError, bm25::Bm25};
use crate::catalogue::{
    CatalogueError, FacetCount, Filter, Hit, Index, Probe, Product, ProductId, StoredProduct, by_count,
};

pub struct Inline<'a> {
    candidates: &'a [StoredProduct],
    by_id: HashMap<&'a ProductId, &'a StoredProduct>,
    bm25: Bm25,
}

impl<'a> Inline<'a> {
    pub fn new(candidates: &'a [StoredProduct]) -> Result<Self, RankError> {
        if candidates.len() > MAX_CANDIDATES {
            return Err(RankError::TooManyCandidates(candidates.len()));
        }
        let mut by_id = HashMap::with_capacity(candidates.len());
        for candidate in candidates {
            if by_id.insert(&candidate.product.id, candidate).is_some() {
                return Err(RankError::RepeatedCandidate(candidate.product.id.clone()));
            }
        }
        let bm25 = Bm25::new(candidates.iter().map(|candidate| &candidate.product));
        Ok(Self { candidates, by_id, bm25 })
    }

    pub fn get(&self, id: &ProductId) -> Option<&'a StoredProduct> {
        self.by_id.get(id).copied()
    }

    fn passing<'b>(&'b self, filter: &'b Filter) -> impl Iterator<Item = (usize, &'a StoredProduct)> + 'b {
        let passes = |candidate: &StoredProduct| {
            let product = &candidate.product;
            filter.accepts(&product.id, product.category.as_deref(), &candidate.facts())
        };
        self.candidates.iter().enumerate().filter(move |(_, candidate)| passes(candidate))
    }

    /// In the order of the candidates.
    fn scores(&self, probe: &Probe) -> Result<Vec<f32>, CatalogueError> {
        match probe {
            Probe::Meaning(query) => {
                self.candidates.iter().map(|candidate| cosine(query, candidate)).collect()
            }
            Probe::Words(terms) => Ok(self.bm25.scores(terms)),
        }
    }
}

#[async_trait]
impl Index for Inline<'_> {
    async fn search(&self, probe: &Probe, filter: &Filter, limit: usize) -> Result<Vec<Hit>, CatalogueError> {
        let scores = self.scores(probe)?;
        let mut hits: Vec<Hit> = self
            .passing(filter)
            .map(|(place, candidate)| hit(candidate, scores.get(place).copied().unwrap_or_default()))
            .filter(|hit| matches!(probe, Probe::Meaning(_)) || hit.score > 0.0)
            .collect();
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
        hits.truncate(limit);
        Ok(hits)
    }

    async fn newest(&self, filter: &Filter, limit: usize) -> Result<Vec<Hit>, CatalogueError> {
        let mut hits: Vec<Hit> = self.passing(filter).map(|(_, candidate)| hit(candidate, 0.0)).collect();
        hits.sort_by(|a, b| (Reverse(a.facts.listed_at), &a.id).cmp(&(Reverse(b.facts.listed_at), &b.id)));
        hits.truncate(limit);
        Ok(hits)
    }

    async fn score(&self, probe: &Probe, ids: &[ProductId]) -> Result<Vec<Option<f32>>, CatalogueError> {
        let scores = self.scores(probe)?;
        let by_id: HashMap<&ProductId, f32> =
            self.candidates.iter().map(|candidate| &candidate.product.id).zip(scores).collect();
        Ok(ids.iter().map(|id| by_id.get(id).copied()).collect())
    }

    async fn holders(&self, terms: &[u32], at_most: usize) -> Result<Vec<usize>, CatalogueError> {
        Ok(terms.iter().map(|term| self.bm25.holders(*term).min(at_most)).collect())
    }

    async fn products(&self, ids: &[ProductId]) -> Result<Vec<Option<Product>>, CatalogueError> {
        Ok(ids.iter().map(|id| Some(self.get(id)?.product.clone())).collect())
    }

    async fn embeddings(&self, ids: &[ProductId]) -> Result<Vec<Option<Vec<f32>>>, CatalogueError> {
        Ok(ids.iter().map(|id| Some(self.get(id)?.embedding.clone())).collect())
    }

    async fn categories(&self, filter: &Filter) -> Result<Vec<FacetCount>, CatalogueError> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for category in
            self.passing(filter).filter_map(|(_, candidate)| candidate.product.category.as_deref())
        {
            *counts.entry(category).or_default() += 1;
        }
        let counts = counts.into_iter().map(|(value, count)| FacetCount { value: value.to_owned(), count });
        Ok(by_count(counts.collect()))
    }
}

fn hit(candidate: &StoredProduct, score: f32) -> Hit {
    Hit { id: candidate.product.id.clone(), score, facts: candidate.facts() }
}

/// Both have L2 norm 1.
fn cosine(query: &[f32], candidate: &StoredProduct) -> Result<f32, CatalogueError> {
    let StoredProduct { product, embedding, .. } = candidate;
    if query.len() != embedding.len() {
        return Err(CatalogueError::Embedding(format!(
            "the embedding of candidate {} has width {}, the query's has {}",
            product.id,
            embedding.len(),
            query.len()
        )));
    }
    Ok(query.iter().zip(embedding).map(|(a, b)| a * b).sum())
}
