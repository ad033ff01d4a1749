//! Where listings live: the [`Catalogue`] trait and the engines behind it.
//!
//! Ranking and the API know the trait only. [`embedded`] keeps everything in a folder of this machine.

mod product;

use async_trait::async_trait;

pub use product::{InvalidProductId, Location, MAX_ID_LENGTH, Product, ProductId, StoredProduct};

/// What every engine can do. All calls may be made at the same time from many tasks.
#[async_trait]
pub trait Catalogue: Send + Sync {
    /// Stores the products, replacing those of the same id. When this returns, all of them are durable and searchable;
    /// when it fails, none is.
    async fn upsert(&self, products: Vec<StoredProduct>) -> Result<(), CatalogueError>;

    /// The products with these ids, in the order asked for, `None` where there is none.
    async fn get(&self, ids: &[ProductId]) -> Result<Vec<Option<StoredProduct>>, CatalogueError>;

    /// Removes a product. False where there was none.
    async fn delete(&self, id: &ProductId) -> Result<bool, CatalogueError>;

    /// The `limit` products that fit the retrieval best, best first. Equal scores are ordered by id.
    async fn retrieve(&self, retrieval: &Retrieval) -> Result<Vec<Hit>, CatalogueError>;

    /// How many products are stored.
    async fn count(&self) -> Result<u64, CatalogueError>;

    /// Makes every acknowledged write durable and releases the storage. Called once, at shutdown.
    async fn close(&self) -> Result<(), CatalogueError>;
}

/// What to fetch: by meaning, by words, or (neither given) whatever passes the filter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Retrieval {
    /// Query embedding of the manifest's width, L2 norm 1: products are compared by cosine.
    pub embedding: Option<Vec<f32>>,
    /// Query words: products are compared by BM25 over title and description.
    pub words: Option<String>,
    pub filter: Filter,
    /// At most this many hits.
    pub limit: usize,
}

/// Conditions that every hit meets. The default lets everything through.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Category labels, any of which will do; empty means any category.
    pub categories: Vec<String>,
    /// Inclusive bounds; a product without a price never meets a bound.
    pub min_price: Option<f64>,
    pub max_price: Option<f64>,
    /// Ids that must not be among the hits (the query's own product).
    pub excluded: Vec<ProductId>,
}

/// A product that retrieval found, with the raw value of each signal.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    pub stored: StoredProduct,
    /// Cosine of query and product embedding, -1 to 1; `None` where the retrieval had no embedding.
    pub semantic: Option<f32>,
    /// BM25 score, 0 or more; `None` where the retrieval had no words.
    pub lexical: Option<f32>,
}

/// Why the catalogue did not do what was asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The folder or its contents cannot be used as they are: another embedding width, in use, not a catalogue.
    #[error("{0}")]
    Unusable(String),
    /// The engine failed; the message is its own.
    #[error("the catalogue engine failed: {0}")]
    Engine(String),
}
