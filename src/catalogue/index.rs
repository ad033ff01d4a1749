//! What ranking asks for: the reading half of a catalogue, which the candidates of a request have too.

use async_trait::async_trait;
use uuid::Uuid;

use super::{CatalogueError, Facts, Filter, Product, ProductId, lexical::Terms};

/// What products are compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Probe {
    /// An embedding of the manifest's width and L2 norm 1, in float16; the score is the cosine, -1 to 1.
    Meaning(Vec<f32>),
    /// Words; the score is BM25, 0 (no word in common) or more ([`super::lexical`]).
    Words(Terms),
}

/// A product that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    pub id: ProductId,
    /// As the probe has it; 0 where there was none.
    pub score: f32,
    pub facts: Facts,
}

/// Where a page of [`super::Catalogue::page`] begins: the point of its first product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position(pub Uuid);

/// Products in the engine's own order.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    pub ids: Vec<ProductId>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Position>,
}

/// How many products there are of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FacetCount {
    pub value: String,
    pub count: u64,
}

/// Products that can be searched. All calls may be made at the same time from many tasks.
#[async_trait]
pub trait Index: Send + Sync {
    /// The `limit` products that fit the probe best among those that pass the filter, best first, equal scores in the
    /// order of their ids. By words only products with a word in common are found.
    ///
    /// # Errors
    /// [`CatalogueError::Embedding`] where the probe's embedding is of another width or norm.
    async fn search(&self, probe: &Probe, filter: &Filter, limit: usize) -> Result<Vec<Hit>, CatalogueError>;

    /// The newest `limit` products that pass the filter, those without a date last, equal dates in the order of their
    /// ids.
    async fn newest(&self, filter: &Filter, limit: usize) -> Result<Vec<Hit>, CatalogueError>;

    /// The exact score of each of these products; `None` where there is no such product.
    async fn score(&self, probe: &Probe, ids: &[ProductId]) -> Result<Vec<Option<f32>>, CatalogueError>;

    /// How many products hold each of these terms, counted up to `at_most`.
    async fn holders(&self, terms: &[u32], at_most: usize) -> Result<Vec<usize>, CatalogueError>;

    /// The products with these ids, in the order asked for, `None` where there is none.
    async fn products(&self, ids: &[ProductId]) -> Result<Vec<Option<Product>>, CatalogueError>;

    /// Their embeddings, in the order asked for.
    async fn embeddings(&self, ids: &[ProductId]) -> Result<Vec<Option<Vec<f32>>>, CatalogueError>;

    /// How many products that pass the filter each category has: most first, equal counts by name.
    async fn categories(&self, filter: &Filter) -> Result<Vec<FacetCount>, CatalogueError>;
}

/// The order of [`Index::categories`].
pub fn by_count(mut counts: Vec<FacetCount>) -> Vec<FacetCount> {
    counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
    counts
}
