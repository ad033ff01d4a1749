//! The catalogue in a folder of this machine: Qdrant's engine in this process.
//!
//! - [`folder`]: whose the folder is and what it holds
//! - [`writer`]: the one thread that writes; [`journal`] makes [`change`]s durable before they are acknowledged
//! - [`reader`]: answers; [`engine`] searches, [`directory`] knows ids and dates, [`thumbnails`] are files
//!
//! Memory: the engine maps its files, the directory takes about 250 bytes a product.

mod change;
mod directory;
mod engine;
mod engine_config;
mod engine_log;
mod filter;
mod folder;
mod journal;
mod point;
mod reader;
mod thumbnails;
mod writer;

use std::{collections::HashSet, path::Path, sync::Arc, thread::JoinHandle};

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_blocking,
};

use self::{
    change::Change,
    directory::Directory,
    engine::Engine,
    folder::Folder,
    journal::Journal,
    reader::Reader,
    thumbnails::Thumbnails,
    writer::{QUEUE, Request, Writer},
};
use super::{
    Catalogue, CatalogueError, FacetCount, Filter, Hit, Index, Probe, Product, ProductId, StoredProduct,
};

/// How far an embedding's L2 norm may be from 1: float16 models are within 1e-3.
const NORM_TOLERANCE: f32 = 1e-2;

/// A folder, opened by this process alone.
pub struct EmbeddedCatalogue {
    embedding_width: usize,
    /// `None` once closed.
    open: Mutex<Option<Open>>,
}

struct Open {
    reader: Arc<Reader>,
    requests: mpsc::Sender<Request>,
    writer: JoinHandle<Result<(), CatalogueError>>,
}

impl EmbeddedCatalogue {
    /// Opens the folder, making it where there is none, for embeddings of this width made by the models of this version
    /// (`space`). Blocks for as long as it takes to read every product once, and longer after a crash.
    ///
    /// # Errors
    /// [`CatalogueError::Unusable`] if the folder is in use, is no catalogue, or holds embeddings of another width or
    /// space; [`CatalogueError::Engine`] if its files cannot be read.
    pub fn open(folder: &Path, embedding_width: usize, space: &str) -> Result<Self, CatalogueError> {
        let folder = Folder::open(folder, embedding_width, space)?;
        let unreadable =
            |what: &str, error| CatalogueError::Engine(format!("cannot open its {what}: {error}"));

        let engine = Engine::open(&folder.engine(), embedding_width)?;
        let mut directory = Directory::default();
        engine.scan(|stored| {
            directory.insert(stored.point, &stored.payload.product, stored.payload.thumbnail);
        })?;
        let (journal, unflushed) =
            Journal::open(&folder.journal()).map_err(|error| unreadable("journal", error))?;
        let thumbnails =
            Thumbnails::open(&folder.thumbnails()).map_err(|error| unreadable("thumbnails", error))?;

        let reader = Arc::new(Reader { engine, directory: RwLock::new(directory), folder });
        let writer = Writer::start(Arc::clone(&reader), journal, unflushed, thumbnails)?;
        let (requests, queue) = mpsc::channel(QUEUE);
        let writer = std::thread::Builder::new()
            .name("catalogue-writer".to_owned())
            .spawn(move || writer.run(queue))
            .map_err(|error| CatalogueError::Engine(format!("cannot start its writer thread: {error}")))?;
        Ok(Self { embedding_width, open: Mutex::new(Some(Open { reader, requests, writer })) })
    }

    async fn change(&self, change: Change) -> Result<bool, CatalogueError> {
        let requests =
            self.open.lock().as_ref().map(|open| open.requests.clone()).ok_or(CatalogueError::Closed)?;
        let (reply, outcome) = oneshot::channel();
        let gone = || CatalogueError::Halted("its writer thread stopped; the log says why".to_owned());
        requests.send(Request { change, reply }).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }

    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Reader) -> Result<T, CatalogueError> + Send + 'static,
    ) -> Result<T, CatalogueError> {
        let reader =
            self.open.lock().as_ref().map(|open| Arc::clone(&open.reader)).ok_or(CatalogueError::Closed)?;
        spawn_blocking(move || question(&reader))
            .await
            .map_err(|error| CatalogueError::Engine(error.to_string()))?
    }

    fn check_probe(&self, probe: &Probe) -> Result<(), CatalogueError> {
        match probe {
            Probe::Meaning(embedding) => self.check(embedding, "the query"),
            Probe::Words(_) => Ok(()),
        }
    }

    fn check(&self, embedding: &[f32], whose: &str) -> Result<(), CatalogueError> {
        if embedding.len() != self.embedding_width {
            return Err(CatalogueError::Embedding(format!(
                "the embedding of {whose} has width {}, this catalogue has width {}",
                embedding.len(),
                self.embedding_width
            )));
        }
        let norm = embedding.iter().map(|value| value * value).sum::<f32>().sqrt();
        // Also false for NaN, which would poison every later answer.
        if (norm - 1.0).abs() <= NORM_TOLERANCE {
            Ok(())
        } else {
            Err(CatalogueError::Embedding(format!("the embedding of {whose} has norm {norm}, not 1")))
        }
    }
}

impl Open {
    /// Lets the writer finish what was sent, and waits for it.
    fn close(self) -> Result<(), CatalogueError> {
        let Self { reader, requests, writer } = self;
        drop(requests);
        let written = writer
            .join()
            .map_err(|_| CatalogueError::Halted("its writer thread stopped; the log says why".to_owned()))?;
        drop(reader);
        written
    }
}

fn keep_last_of_each_id(products: &mut Vec<StoredProduct>) {
    let mut seen = HashSet::with_capacity(products.len());
    products.reverse();
    products.retain(|stored| seen.insert(stored.product.id.clone()));
    products.reverse();
}

#[async_trait]
impl Index for EmbeddedCatalogue {
    async fn search(&self, probe: &Probe, filter: &Filter, limit: usize) -> Result<Vec<Hit>, CatalogueError> {
        self.check_probe(probe)?;
        let (probe, filter) = (probe.clone(), filter.clone());
        self.read(move |reader| reader.search(&probe, &filter, limit)).await
    }

    async fn newest(&self, filter: &Filter, limit: usize) -> Result<Vec<Hit>, CatalogueError> {
        let filter = filter.clone();
        self.read(move |reader| Ok(reader.newest(&filter, limit))).await
    }

    async fn score(&self, probe: &Probe, ids: &[ProductId]) -> Result<Vec<Option<f32>>, CatalogueError> {
        self.check_probe(probe)?;
        let (probe, ids) = (probe.clone(), ids.to_vec());
        self.read(move |reader| reader.score(&probe, &ids)).await
    }

    async fn holders(&self, terms: &[u32], at_most: usize) -> Result<Vec<usize>, CatalogueError> {
        let terms = terms.to_vec();
        self.read(move |reader| reader.holders(&terms, at_most)).await
    }

    async fn products(&self, ids: &[ProductId]) -> Result<Vec<Option<Product>>, CatalogueError> {
        let ids = ids.to_vec();
        self.read(move |reader| reader.products(&ids)).await
    }

    async fn embeddings(&self, ids: &[ProductId]) -> Result<Vec<Option<Vec<f32>>>, CatalogueError> {
        let ids = ids.to_vec();
        self.read(move |reader| reader.embeddings(&ids)).await
    }

    async fn categories(&self, filter: &Filter) -> Result<Vec<FacetCount>, CatalogueError> {
        let filter = filter.clone();
        self.read(move |reader| reader.categories(&filter)).await
    }
}

#[async_trait]
impl Catalogue for EmbeddedCatalogue {
    async fn upsert(&self, mut products: Vec<StoredProduct>) -> Result<(), CatalogueError> {
        for stored in &products {
            self.check(&stored.embedding, stored.product.id.as_str())?;
        }
        keep_last_of_each_id(&mut products);
        if !products.is_empty() {
            self.change(Change::Upsert(products)).await?;
        }
        Ok(())
    }

    async fn get(&self, ids: &[ProductId]) -> Result<Vec<Option<StoredProduct>>, CatalogueError> {
        let ids = ids.to_vec();
        self.read(move |reader| reader.get(&ids)).await
    }

    async fn delete(&self, id: &ProductId) -> Result<bool, CatalogueError> {
        self.change(Change::Delete(id.clone())).await
    }

    async fn count(&self) -> Result<u64, CatalogueError> {
        self.read(|reader| Ok(reader.directory.read().len() as u64)).await
    }

    async fn close(&self) -> Result<(), CatalogueError> {
        let open = self.open.lock().take().ok_or(CatalogueError::Closed)?;
        spawn_blocking(|| open.close()).await.map_err(|error| CatalogueError::Engine(error.to_string()))?
    }
}

impl Drop for EmbeddedCatalogue {
    fn drop(&mut self) {
        if let Some(open) = self.open.get_mut().take()
            && let Err(error) = open.close()
        {
            tracing::error!(%error, "the catalogue was not closed cleanly");
        }
    }
}
