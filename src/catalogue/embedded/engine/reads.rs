//! What the engine is asked: searches, counts, points by name and page by page.

use std::collections::HashMap;

use qdrant_edge::{
    AcornSearchParams, FacetRequest, FacetValue, Filter, NamedQuery, PointId, QuantizationSearchParams,
    QueryEnum, ScrollRequest, SearchParams, SearchRequest, VectorInternal, WithVector,
};
use uuid::Uuid;

use super::{Engine, failed};
use crate::catalogue::{
    CatalogueError, FacetCount, Probe,
    embedded::{
        filter,
        point::{Stored, embedding_of, read_record, sparse},
    },
    engine_names::{LEXICAL, SEMANTIC},
    thoroughness::{BEAM, oversampling},
};

/// Points a scan reads at a time.
const SCAN_PAGE: usize = 1_000;

/// Categories whose products are counted, at most.
const CATEGORIES: usize = 1_000;

/// How hard a search looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Through the index: where there is a graph, it may miss some.
    Index,
    /// Every product that passes the filter.
    Exact,
}

impl Engine {
    /// The points that exist among these, in no particular order.
    pub fn fetch(&self, points: &[Uuid], with_embedding: bool) -> Result<Vec<Stored>, CatalogueError> {
        let ids: Vec<_> = points.iter().copied().map(PointId::Uuid).collect();
        let vectors = if with_embedding {
            WithVector::Selector(vec![SEMANTIC.to_owned()])
        } else {
            WithVector::Bool(false)
        };
        let records = self.shard()?.retrieve(&ids, Some(true.into()), Some(vectors)).map_err(failed)?;
        records.into_iter().map(read_record).collect()
    }

    /// Up to `limit` points that meet the filter, from this one on in the engine's order, and where the next page begins.
    pub fn page(
        &self,
        filter: Option<Filter>,
        from: Option<Uuid>,
        limit: usize,
    ) -> Result<(Vec<Uuid>, Option<Uuid>), CatalogueError> {
        let request = ScrollRequest {
            offset: from.map(PointId::Uuid),
            limit: Some(limit),
            filter,
            with_payload: Some(false.into()),
            ..ScrollRequest::default()
        };
        let (records, next) = self.shard()?.scroll(request).map_err(failed)?;
        Ok((records.into_iter().filter_map(|record| uuid(record.id)).collect(), next.and_then(uuid)))
    }

    /// Hands every stored product to `visit`.
    pub fn scan(&self, mut visit: impl FnMut(Stored)) -> Result<(), CatalogueError> {
        let mut offset = None;
        loop {
            let request = ScrollRequest { offset, limit: Some(SCAN_PAGE), ..ScrollRequest::default() };
            let (records, next) = self.shard()?.scroll(request).map_err(failed)?;
            for record in records {
                visit(read_record(record)?);
            }
            match next {
                Some(next) => offset = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// The embeddings of those of these points that exist.
    pub fn embeddings(&self, points: &[Uuid]) -> Result<HashMap<Uuid, Vec<f32>>, CatalogueError> {
        let ids: Vec<_> = points.iter().copied().map(PointId::Uuid).collect();
        let vectors = WithVector::Selector(vec![SEMANTIC.to_owned()]);
        let records = self.shard()?.retrieve(&ids, Some(false.into()), Some(vectors)).map_err(failed)?;
        let embedding = |(id, vectors)| Some((uuid(id)?, embedding_of(vectors)?));
        Ok(records.into_iter().map(|record| (record.id, record.vector)).filter_map(embedding).collect())
    }

    /// The `limit` best points that meet the filter, best first; the scores are exact.
    pub fn search(
        &self,
        probe: &Probe,
        filter: Option<Filter>,
        limit: usize,
        depth: Depth,
    ) -> Result<Vec<(Uuid, f32)>, CatalogueError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let query = match probe {
            Probe::Meaning(embedding) => NamedQuery::new(VectorInternal::Dense(embedding.clone()), SEMANTIC),
            Probe::Words(terms) => NamedQuery::new(VectorInternal::Sparse(sparse(terms)), LEXICAL),
        };
        let quantization = QuantizationSearchParams {
            ignore: depth == Depth::Exact,
            rescore: Some(true),
            oversampling: Some(oversampling(limit)),
        };
        let params = SearchParams {
            exact: depth == Depth::Exact,
            quantization: Some(quantization),
            hnsw_ef: Some(BEAM),
            // Where a filter leaves few of a point's neighbours, theirs are looked at too.
            acorn: Some(AcornSearchParams { enable: true, max_selectivity: None }),
            ..SearchParams::default()
        };
        let request = SearchRequest {
            query: QueryEnum::Nearest(query),
            filter,
            params: Some(params),
            limit,
            offset: 0,
            with_payload: None,
            with_vector: None,
            score_threshold: None,
        };
        let points = self.shard()?.search(request).map_err(failed)?;
        Ok(points.into_iter().filter_map(|point| Some((uuid(point.id)?, point.score))).collect())
    }

    /// How many points that meet the filter each category has, in no particular order.
    pub fn categories(&self, filter: Option<Filter>) -> Result<Vec<FacetCount>, CatalogueError> {
        let request =
            FacetRequest { key: filter::path(filter::CATEGORY), limit: CATEGORIES, filter, exact: true };
        let count = |(value, count)| match value {
            FacetValue::Keyword(value) => Some(FacetCount { value, count: count as u64 }),
            _ => None,
        };
        let hits = self.shard()?.facet(request).map_err(failed)?.hits;
        Ok(hits.into_iter().map(|hit| (hit.value, hit.count)).filter_map(count).collect())
    }
}

/// This catalogue names all of its points by UUID.
fn uuid(point: PointId) -> Option<Uuid> {
    match point {
        PointId::Uuid(id) => Some(id),
        PointId::NumId(_) => None,
    }
}
