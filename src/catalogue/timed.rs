//! A catalogue whose operations are timed, whatever the engine.

use std::{future::Future, time::Instant};

use async_trait::async_trait;

use super::{
    Catalogue, CatalogueError, FacetCount, Filter, Hit, Index, Page, Position, Probe, Product, ProductId,
    StoredProduct,
};
use crate::telemetry::metrics;

/// Passes everything on and tells the metrics how long it took.
pub struct Timed<C>(pub C);

async fn timed<T>(operation: &'static str, work: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let outcome = work.await;
    metrics::engine(operation, started.elapsed());
    outcome
}

#[async_trait]
impl<C: Catalogue> Index for Timed<C> {
    async fn search(&self, probe: &Probe, filter: &Filter, limit: usize) -> Result<Vec<Hit>, CatalogueError> {
        let operation = match probe {
            Probe::Meaning(_) => "search_meaning",
            Probe::Words(_) => "search_words",
        };
        timed(operation, self.0.search(probe, filter, limit)).await
    }

    async fn newest(&self, filter: &Filter, limit: usize) -> Result<Vec<Hit>, CatalogueError> {
        timed("newest", self.0.newest(filter, limit)).await
    }

    async fn score(&self, probe: &Probe, ids: &[ProductId]) -> Result<Vec<Option<f32>>, CatalogueError> {
        timed("score", self.0.score(probe, ids)).await
    }

    async fn holders(&self, terms: &[u32], at_most: usize) -> Result<Vec<usize>, CatalogueError> {
        timed("holders", self.0.holders(terms, at_most)).await
    }

    async fn products(&self, ids: &[ProductId]) -> Result<Vec<Option<Product>>, CatalogueError> {
        timed("products", self.0.products(ids)).await
    }

    async fn embeddings(&self, ids: &[ProductId]) -> Result<Vec<Option<Vec<f32>>>, CatalogueError> {
        timed("embeddings", self.0.embeddings(ids)).await
    }

    async fn categories(&self, filter: &Filter) -> Result<Vec<FacetCount>, CatalogueError> {
        timed("categories", self.0.categories(filter)).await
    }
}

#[async_trait]
impl<C: Catalogue> Catalogue for Timed<C> {
    async fn upsert(&self, products: Vec<StoredProduct>) -> Result<(), CatalogueError> {
        timed("upsert", self.0.upsert(products)).await
    }

    async fn get(&self, ids: &[ProductId]) -> Result<Vec<Option<StoredProduct>>, CatalogueError> {
        timed("get", self.0.get(ids)).await
    }

    async fn page(
        &self,
        filter: &Filter,
        from: Option<Position>,
        limit: usize,
    ) -> Result<Page, CatalogueError> {
        timed("page", self.0.page(filter, from, limit)).await
    }

    async fn delete(&self, id: &ProductId) -> Result<bool, CatalogueError> {
        timed("delete", self.0.delete(id)).await
    }

    async fn count(&self) -> Result<u64, CatalogueError> {
        self.0.count().await
    }

    fn read_ahead(&self) {
        self.0.read_ahead();
    }

    async fn close(&self) -> Result<(), CatalogueError> {
        self.0.close().await
    }
}
