//! The catalogue in a Qdrant server or cluster, over gRPC: the same answers as the embedded engine gives, from shards and
//! replicas that any number of servers share. Nothing is kept in this process.
//!
//! - [`nodes`]: which node is asked, retries; [`breaker`]: when no more
//! - [`collection`]: what is created, and checked; [`point`]: a product as a point
//! - [`search`]: searches in the promised order; [`filter`]: conditions
//!
//! Two things differ from the embedded engine. A word's rarity is counted within each shard, so with several shards
//! BM25 differs in the third digit from one shard's. And a bulk write that fails may have been taken by some shards: send it
//! again, which stores the same products once more.

mod breaker;
mod collection;
mod filter;
mod nodes;
mod point;
mod search;

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use qdrant_client::qdrant::{
    CountPointsBuilder, DeletePointsBuilder, FacetCountsBuilder, GetPointsBuilder, PayloadIncludeSelector,
    PointId, PointsIdsList, RetrievedPoint, ScrollPointsBuilder, UpsertPointsBuilder, facet_value::Variant,
};
use uuid::Uuid;

use self::{nodes::Nodes, point::PRODUCT_ALONE};
use super::{
    Catalogue, CatalogueError, FacetCount, Filter, Hit, Index, Page, Position, Probe, Product, ProductId,
    StoredProduct, by_count,
    embedding::{check_embedding, keep_last_of_each_id},
    engine_names::{SEMANTIC, point_of},
};

use crate::secret::Secret;

/// Points sent in one message: with thumbnails some 2 MB.
const WRITE: usize = 64;
/// Categories whose products are counted, at most.
const CATEGORIES: u64 = 1_000;

/// Where the cluster is and how a collection is made where there is none.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// gRPC addresses of nodes, tried in this order.
    pub addresses: Vec<String>,
    pub api_key: Option<Secret>,
    /// First part of the collection's name; the space of the embeddings is the second.
    pub collection: String,
    /// For connecting, and for each attempt of each request.
    pub timeout: Duration,
    pub shards: u32,
    /// Copies of each shard.
    pub replicas: u32,
    /// Copies that have taken a write before it is acknowledged.
    pub write_consistency: u32,
}

pub struct ClusterCatalogue {
    nodes: Nodes,
    collection: String,
    embedding_width: usize,
    closed: AtomicBool,
}

impl ClusterCatalogue {
    /// Connects, and makes the collection for this space where it is missing.
    ///
    /// # Errors
    /// [`CatalogueError::Unavailable`] where no node answers, [`CatalogueError::Unusable`] where the collection is of
    /// another width or an address is none.
    pub async fn open(
        options: &ClusterOptions,
        embedding_width: usize,
        space: &str,
    ) -> Result<Self, CatalogueError> {
        let nodes = Nodes::connect(
            &options.addresses,
            options.api_key.as_ref().map(Secret::reveal),
            options.timeout,
        )?;
        let collection = collection::name(&options.collection, space);
        collection::ensure(&nodes, &collection, embedding_width, options).await?;
        Ok(Self { nodes, collection, embedding_width, closed: AtomicBool::new(false) })
    }

    /// Removes the collection and everything in it.
    pub async fn destroy(self) -> Result<(), CatalogueError> {
        let name = self.collection;
        self.nodes.ask(name, |node, name| Box::pin(node.delete_collection(name))).await.map(|_| ())
    }

    fn check_open(&self) -> Result<(), CatalogueError> {
        if self.closed.load(Ordering::Relaxed) { Err(CatalogueError::Closed) } else { Ok(()) }
    }

    fn check(&self, probe: &Probe) -> Result<(), CatalogueError> {
        self.check_open()?;
        match probe {
            Probe::Meaning(embedding) => check_embedding(embedding, self.embedding_width, "the query"),
            Probe::Words(_) => Ok(()),
        }
    }

    /// The points that exist among these, by UUID.
    async fn fetch(
        &self,
        ids: &[ProductId],
        request: impl FnOnce(GetPointsBuilder) -> GetPointsBuilder,
    ) -> Result<HashMap<Uuid, RetrievedPoint>, CatalogueError> {
        self.check_open()?;
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let points: Vec<PointId> = ids.iter().map(|id| point::name(point_of(id))).collect();
        let request = request(GetPointsBuilder::new(&self.collection, points));
        let found = self.nodes.ask(request, |node, request| Box::pin(node.get_points(request))).await?.result;
        found.into_iter().map(|found| Ok((point::uuid(found.id.as_ref())?, found))).collect()
    }
}

fn only(fields: &[&str]) -> PayloadIncludeSelector {
    PayloadIncludeSelector { fields: fields.iter().map(|field| (*field).to_owned()).collect() }
}

#[async_trait]
impl Index for ClusterCatalogue {
    async fn search(&self, probe: &Probe, filter: &Filter, limit: usize) -> Result<Vec<Hit>, CatalogueError> {
        self.check(probe)?;
        self.best(probe, filter, limit).await
    }

    async fn newest(&self, filter: &Filter, limit: usize) -> Result<Vec<Hit>, CatalogueError> {
        self.check_open()?;
        if limit == 0 { Ok(Vec::new()) } else { self.newest_first(filter, limit).await }
    }

    async fn score(&self, probe: &Probe, ids: &[ProductId]) -> Result<Vec<Option<f32>>, CatalogueError> {
        self.check(probe)?;
        let points: Vec<Uuid> = ids.iter().map(point_of).collect();
        let scores = self.scores(probe, &points).await?;
        match probe {
            Probe::Meaning(_) => Ok(points.iter().map(|point| scores.get(point).copied()).collect()),
            // Only products with a word in common are found; of the others those that exist have 0.
            Probe::Words(_) => {
                let found = self.fetch(ids, |request| request.with_payload(false)).await?;
                let score = |point: &Uuid| {
                    found.contains_key(point).then(|| scores.get(point).copied().unwrap_or_default())
                };
                Ok(points.iter().map(score).collect())
            }
        }
    }

    async fn holders(&self, terms: &[u32], at_most: usize) -> Result<Vec<usize>, CatalogueError> {
        self.check_open()?;
        self.count_holders(terms, at_most).await
    }

    async fn products(&self, ids: &[ProductId]) -> Result<Vec<Option<Product>>, CatalogueError> {
        let found = self.fetch(ids, |request| request.with_payload(only(&PRODUCT_ALONE))).await?;
        let product = |id| found.get(&point_of(id)).map(|found| point::product(&found.payload)).transpose();
        ids.iter().map(product).collect()
    }

    async fn embeddings(&self, ids: &[ProductId]) -> Result<Vec<Option<Vec<f32>>>, CatalogueError> {
        let semantic = || qdrant_client::qdrant::VectorsSelector { names: vec![SEMANTIC.to_owned()] };
        let found = self.fetch(ids, |request| request.with_payload(false).with_vectors(semantic())).await?;
        Ok(ids.iter().map(|id| point::embedding(found.get(&point_of(id))?.vectors.as_ref())).collect())
    }

    async fn categories(&self, filter: &Filter) -> Result<Vec<FacetCount>, CatalogueError> {
        self.check_open()?;
        let request = FacetCountsBuilder::new(&self.collection, point::CATEGORY)
            .filter(filter::to_cluster(filter))
            .limit(CATEGORIES)
            .exact(true);
        let hits = self.nodes.ask(request, |node, request| Box::pin(node.facet(request))).await?.hits;
        let counts = hits.into_iter().filter_map(|hit| match hit.value?.variant? {
            Variant::StringValue(value) => Some(FacetCount { value, count: hit.count }),
            _ => None,
        });
        Ok(by_count(counts.collect()))
    }
}

#[async_trait]
impl Catalogue for ClusterCatalogue {
    async fn upsert(&self, mut products: Vec<StoredProduct>) -> Result<(), CatalogueError> {
        self.check_open()?;
        for stored in &products {
            check_embedding(&stored.embedding, self.embedding_width, stored.product.id.as_str())?;
        }
        keep_last_of_each_id(&mut products);
        for chunk in products.chunks(WRITE) {
            let points = chunk.iter().map(point::to_point).collect::<Result<Vec<_>, _>>()?;
            let request = UpsertPointsBuilder::new(&self.collection, points).wait(true);
            self.nodes.ask(request, |node, request| Box::pin(node.upsert_points(request))).await?;
        }
        Ok(())
    }

    async fn get(&self, ids: &[ProductId]) -> Result<Vec<Option<StoredProduct>>, CatalogueError> {
        let semantic = || qdrant_client::qdrant::VectorsSelector { names: vec![SEMANTIC.to_owned()] };
        let found = self.fetch(ids, |request| request.with_payload(true).with_vectors(semantic())).await?;
        let stored = |id| {
            found
                .get(&point_of(id))
                .map(|found| point::stored(&found.payload, found.vectors.as_ref()))
                .transpose()
        };
        ids.iter().map(stored).collect()
    }

    async fn page(
        &self,
        filter: &Filter,
        from: Option<Position>,
        limit: usize,
    ) -> Result<Page, CatalogueError> {
        self.check_open()?;
        let mut request = ScrollPointsBuilder::new(&self.collection)
            .filter(filter::to_cluster(filter))
            .limit(u32::try_from(limit).unwrap_or(u32::MAX))
            .with_payload(only(&[point::ID]));
        if let Some(Position(point)) = from {
            request = request.offset(point::name(point));
        }
        let found = self.nodes.ask(request, |node, request| Box::pin(node.scroll(request))).await?;
        let next = found.next_page_offset.as_ref().map(|next| point::uuid(Some(next))).transpose()?;
        let ids = found.result.iter().map(|found| point::id(&found.payload)).collect::<Result<_, _>>()?;
        Ok(Page { ids, next: next.map(Position) })
    }

    async fn delete(&self, id: &ProductId) -> Result<bool, CatalogueError> {
        let ids = std::slice::from_ref(id);
        let existed = !self.fetch(ids, |request| request.with_payload(false)).await?.is_empty();
        if existed {
            let points = PointsIdsList { ids: vec![point::name(point_of(id))] };
            let request = DeletePointsBuilder::new(&self.collection).points(points).wait(true);
            self.nodes.ask(request, |node, request| Box::pin(node.delete_points(request))).await?;
        }
        Ok(existed)
    }

    async fn count(&self) -> Result<u64, CatalogueError> {
        self.check_open()?;
        let request = CountPointsBuilder::new(&self.collection).exact(true);
        let counted = self.nodes.ask(request, |node, request| Box::pin(node.count(request))).await?.result;
        Ok(counted.map_or(0, |counted| counted.count))
    }

    async fn close(&self) -> Result<(), CatalogueError> {
        if self.closed.swap(true, Ordering::Relaxed) { Err(CatalogueError::Closed) } else { Ok(()) }
    }
}
