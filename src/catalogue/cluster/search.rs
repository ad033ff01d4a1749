//! Searches over the collection, with the order that [`crate::catalogue::Index`] promises.

use std::collections::HashMap;

use qdrant_client::qdrant::{
    Direction, OrderByBuilder, PayloadIncludeSelector, QuantizationSearchParamsBuilder, Query,
    QueryBatchPointsBuilder, QueryPointsBuilder, RetrievedPoint, ScoredPoint, ScrollPointsBuilder,
    SearchParamsBuilder, VectorInput,
};
use uuid::Uuid;

use super::{
    ClusterCatalogue, filter,
    point::{self, FACTS, LISTED_AT},
};
use crate::catalogue::{
    CatalogueError, Filter, Hit, Probe,
    engine_names::{LEXICAL, SEMANTIC},
    lexical::Terms,
    thoroughness::{BEAM, deeper, oversampling},
};

/// Products of one date that browsing puts in the order of their ids. Where more share a date, which of them are
/// seen is the cluster's choice.
const SAME_DATE: u32 = 10_000;

pub fn facts() -> PayloadIncludeSelector {
    PayloadIncludeSelector { fields: FACTS.map(str::to_owned).into() }
}

impl ClusterCatalogue {
    fn query(&self, probe: &Probe, limit: usize) -> QueryPointsBuilder {
        let (vector, using) = match probe {
            Probe::Meaning(embedding) => (VectorInput::new_dense(embedding.clone()), SEMANTIC),
            Probe::Words(Terms { hashes, weights }) => {
                (VectorInput::new_sparse(hashes.clone(), weights.clone()), LEXICAL)
            }
        };
        QueryPointsBuilder::new(&self.collection)
            .query(Query::new_nearest(vector))
            .using(using)
            .limit(limit as u64)
    }

    /// Asks for one more than wanted first; see [`deeper`].
    pub(super) async fn best(
        &self,
        probe: &Probe,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Hit>, CatalogueError> {
        if limit == 0 || matches!(probe, Probe::Words(terms) if terms.is_empty()) {
            return Ok(Vec::new());
        }
        let mut depth = limit + 1;
        let mut best = loop {
            let quantization =
                QuantizationSearchParamsBuilder::default().rescore(true).oversampling(oversampling(depth));
            let params = SearchParamsBuilder::default().hnsw_ef(BEAM as u64).quantization(quantization);
            let query = self
                .query(probe, depth)
                .filter(filter::to_cluster(filter))
                .params(params)
                .with_payload(facts());
            let found = self.nodes.ask(query, |node, query| Box::pin(node.query(query))).await?.result;
            let scores: Vec<f32> = found.iter().map(|point| point.score).collect();
            match deeper(&scores, limit, depth, usize::MAX) {
                Some(deeper) => depth = deeper,
                None => {
                    let hit = |found: &ScoredPoint| point::hit(&found.payload, found.score);
                    break found.iter().map(hit).collect::<Result<Vec<_>, _>>()?;
                }
            }
        };
        best.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
        best.truncate(limit);
        Ok(best)
    }

    /// The exact scores of those of these points that the probe finds.
    pub(super) async fn scores(
        &self,
        probe: &Probe,
        points: &[Uuid],
    ) -> Result<HashMap<Uuid, f32>, CatalogueError> {
        if points.is_empty() || matches!(probe, Probe::Words(terms) if terms.is_empty()) {
            return Ok(HashMap::new());
        }
        let query = self
            .query(probe, points.len())
            .filter(filter::only(points))
            .params(SearchParamsBuilder::default().exact(true))
            .with_payload(false);
        let found = self.nodes.ask(query, |node, query| Box::pin(node.query(query))).await?.result;
        found.iter().map(|found| Ok((point::uuid(found.id.as_ref())?, found.score))).collect()
    }

    /// How many points hold each term, in one round trip.
    pub(super) async fn count_holders(
        &self,
        terms: &[u32],
        at_most: usize,
    ) -> Result<Vec<usize>, CatalogueError> {
        if terms.is_empty() {
            return Ok(Vec::new());
        }
        let query = |term: &u32| {
            self.query(&Probe::Words(Terms::from_iter([*term])), at_most).with_payload(false).build()
        };
        let batch =
            QueryBatchPointsBuilder::new(&self.collection, terms.iter().map(query).collect::<Vec<_>>());
        let answers = self.nodes.ask(batch, |node, batch| Box::pin(node.query_batch(batch))).await?.result;
        Ok(answers.iter().map(|answer| answer.result.len()).collect())
    }

    /// The cluster orders by date but not those of one date, and leaves out what has none: both are read apart.
    pub(super) async fn newest_first(
        &self,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Hit>, CatalogueError> {
        let filter = filter::to_cluster(filter);
        let newest = OrderByBuilder::new(LISTED_AT).direction(Direction::Desc.into());
        let dated = ScrollPointsBuilder::new(&self.collection)
            .filter(filter.clone())
            .limit(u32::try_from(limit).unwrap_or(u32::MAX))
            .order_by(newest)
            .with_payload(facts());
        let mut hits = self.scroll(dated).await?;
        let rest = if hits.len() < limit {
            filter::listed_at(filter, None)
        } else {
            // The last date may go on beyond what was read.
            let last = hits.last().and_then(|hit| hit.facts.listed_at);
            hits.retain(|hit| hit.facts.listed_at != last);
            filter::listed_at(filter, last.map(point::microseconds))
        };
        let rest =
            ScrollPointsBuilder::new(&self.collection).filter(rest).limit(SAME_DATE).with_payload(facts());
        hits.extend(self.scroll(rest).await?);
        hits.sort_by(|a, b| b.facts.listed_at.cmp(&a.facts.listed_at).then_with(|| a.id.cmp(&b.id)));
        hits.truncate(limit);
        Ok(hits)
    }

    async fn scroll(&self, request: ScrollPointsBuilder) -> Result<Vec<Hit>, CatalogueError> {
        let found = self.nodes.ask(request, |node, request| Box::pin(node.scroll(request))).await?.result;
        found.iter().map(|found: &RetrievedPoint| point::hit(&found.payload, 0.0)).collect()
    }
}
