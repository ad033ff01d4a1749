//! Where listings live: the [`Catalogue`] trait and the engines behind it.
//!
//! Ranking knows [`Index`], the reading half, and the API knows both; neither knows an engine. [`embedded`] keeps
//! everything in a folder of this machine, [`cluster`] in a Qdrant server or cluster.

pub mod cluster;
pub mod embedded;
mod embedding;
mod engine_names;
mod facts;
mod filter;
mod index;
mod kinds;
pub mod lexical;
mod product;
mod record;
mod thoroughness;
mod timed;

use async_trait::async_trait;

pub use facts::{Facts, PhotoTag, Place};
pub use filter::{Filter, Near};
pub use index::{FacetCount, Hit, Index, Page, Position, Probe, by_count};
pub use kinds::{KindTag, Kinds};
pub use product::{
    ContentHash, InvalidProductId, Location, MAX_ID_LENGTH, Product, ProductId, StoredProduct,
};
pub use record::ProductRecord;
pub use timed::Timed;

/// What every engine can do. All calls may be made at the same time from many tasks.
#[async_trait]
pub trait Catalogue: Index {
    /// Stores the products, replacing those of the same id; of two with one id in the list, the later stays. When this
    /// returns, all of them are durable and searchable; when it fails, none is (but see [`CatalogueError::Halted`]).
    async fn upsert(&self, products: Vec<StoredProduct>) -> Result<(), CatalogueError>;

    /// As [`Index::products`], with embeddings and thumbnails.
    async fn get(&self, ids: &[ProductId]) -> Result<Vec<Option<StoredProduct>>, CatalogueError>;

    /// Up to `limit` products that pass the filter, from a position on (`None`: from the start), in an order of the
    /// engine's own that stays the same. A listing stored or removed between two pages is there or not; every other one
    /// is on exactly one page.
    async fn page(
        &self,
        filter: &Filter,
        from: Option<Position>,
        limit: usize,
    ) -> Result<Page, CatalogueError>;

    /// Removes a product. False where there was none.
    async fn delete(&self, id: &ProductId) -> Result<bool, CatalogueError>;

    /// How many products are stored.
    async fn count(&self) -> Result<u64, CatalogueError>;

    /// Says that queries will follow: what they read is brought into memory in the background, where the engine reads from this
    /// machine's disk.
    fn read_ahead(&self) {}

    /// Makes every acknowledged write durable and releases the storage. Called once, at shutdown; every later call
    /// fails with [`CatalogueError::Closed`].
    async fn close(&self) -> Result<(), CatalogueError>;
}

/// Why the catalogue did not do what was asked. Nothing was changed, except where a variant says so.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The folder or its contents cannot be used as they are: another embedding width, in use, not a catalogue.
    #[error("{0}")]
    Unusable(String),
    /// An embedding that does not belong in this catalogue's space: another width, not finite, not of L2 norm 1.
    #[error("{0}")]
    Embedding(String),
    /// The storage or the cluster cannot take this now, though it may later: a full disk, a node that is away.
    #[error("{0}")]
    Unavailable(String),
    /// The engine failed; the message is its own.
    #[error("the catalogue engine failed: {0}")]
    Engine(String),
    /// Storage failed half-way through a write. That write takes effect as a whole or not at all when the catalogue is
    /// next opened; until then every write is refused, while reads go on.
    #[error("the catalogue takes no more writes until the service is restarted: {0}")]
    Halted(String),
    #[error("the catalogue is closed")]
    Closed,
}
