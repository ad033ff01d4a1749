//! The catalogue in a folder of this machine: Qdrant's engine in this process.
//!
//! - [`folder`]: whose the folder is and what it holds
//! - [`writer`]: the one thread that writes; [`journal`] makes [`change`]s durable before they are acknowledged
//! - [`optimiser`]: merges and indexes what was written, beside everything else; [`backlog`] keeps the writer from outrunning it
//! - [`reader`]: answers; [`engine`] searches, [`directory`] knows ids and dates, [`thumbnails`] are files
//!
//! Memory: the engine maps its files, the directory takes about 250 bytes a product.

mod backlog;
mod change;
mod directory;
mod engine;
mod filter;
mod folder;
mod journal;
mod optimiser;
mod point;
mod reader;
mod thumbnails;
mod writer;

use std::{path::Path, sync::Arc, thread::JoinHandle};

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
    folder::{Folder, Opening},
    journal::Journal,
    optimiser::Optimiser,
    reader::Reader,
    thumbnails::Thumbnails,
    writer::{QUEUE, Request, Writer},
};
use super::{
    Catalogue, CatalogueError, FacetCount, Filter, Hit, Index, Page, Position, Probe, Product, ProductId,
    StoredProduct,
    embedding::{check_embedding, keep_last_of_each_id},
};

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
    optimiser: Optimiser,
}

impl EmbeddedCatalogue {
    /// Opens the folder, making it where there is none, for embeddings of this width made by the models of this version
    /// (`space`). Blocks for as long as it takes to read every product once, and longer after a crash.
    ///
    /// # Errors
    /// [`CatalogueError::Unusable`] if the folder is in use, is no catalogue, or holds embeddings of another width or
    /// space; [`CatalogueError::Engine`] if its files cannot be read.
    pub fn open(folder: &Path, embedding_width: usize, space: &str) -> Result<Self, CatalogueError> {
        Self::start(Folder::open(folder, Opening::Serve { embedding_width, space })?)
    }

    /// Opens a folder, or makes one, that cannot be served before [`EmbeddedCatalogue::declare_whole`].
    ///
    /// # Errors
    /// As [`EmbeddedCatalogue::open`].
    pub fn fill(folder: &Path, embedding_width: usize, space: &str) -> Result<Self, CatalogueError> {
        Self::start(Folder::open(folder, Opening::Fill { embedding_width, space })?)
    }

    /// Opens a folder that is there and whole, whatever models its embeddings are of.
    ///
    /// # Errors
    /// As [`EmbeddedCatalogue::open`].
    pub fn open_as_it_is(folder: &Path) -> Result<Self, CatalogueError> {
        Self::start(Folder::open(folder, Opening::AsItIs)?)
    }

    /// Width and space of the embeddings.
    pub fn embeddings_of(&self) -> Result<(usize, String), CatalogueError> {
        let open = self.open.lock();
        let folder = &open.as_ref().ok_or(CatalogueError::Closed)?.reader.folder;
        Ok((folder.embedding_width(), folder.space().to_owned()))
    }

    /// Optimises what there is to optimise, and waits for it: what follows is as fast as it will be.
    ///
    /// # Errors
    /// [`CatalogueError::Engine`] if the engine fails at it.
    pub async fn settle(&self) -> Result<(), CatalogueError> {
        self.read(|reader| reader.engine.optimise(&reader.engine.upkeep())).await
    }

    /// Says that all is there that was to be filled in, durably.
    pub fn declare_whole(&self) -> Result<(), CatalogueError> {
        self.open.lock().as_ref().ok_or(CatalogueError::Closed)?.reader.folder.declare_whole()
    }

    fn start(folder: Folder) -> Result<Self, CatalogueError> {
        let embedding_width = folder.embedding_width();
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
        let optimiser = Optimiser::start(Arc::clone(&reader))
            .map_err(|error| CatalogueError::Engine(format!("cannot start its optimiser thread: {error}")))?;
        Ok(Self { embedding_width, open: Mutex::new(Some(Open { reader, requests, writer, optimiser })) })
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
            Probe::Meaning(embedding) => check_embedding(embedding, self.embedding_width, "the query"),
            Probe::Words(_) => Ok(()),
        }
    }
}

impl Open {
    /// Lets the writer finish what was sent, and waits for it.
    fn close(self) -> Result<(), CatalogueError> {
        let Self { reader, requests, writer, optimiser } = self;
        reader.engine.backlog.end();
        drop(requests);
        let written = writer
            .join()
            .map_err(|_| CatalogueError::Halted("its writer thread stopped; the log says why".to_owned()))?;
        drop(reader);
        optimiser.wait();
        written
    }
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
            check_embedding(&stored.embedding, self.embedding_width, stored.product.id.as_str())?;
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

    async fn page(
        &self,
        filter: &Filter,
        from: Option<Position>,
        limit: usize,
    ) -> Result<Page, CatalogueError> {
        let filter = filter.clone();
        self.read(move |reader| reader.page(&filter, from, limit)).await
    }

    async fn delete(&self, id: &ProductId) -> Result<bool, CatalogueError> {
        self.change(Change::Delete(id.clone())).await
    }

    async fn count(&self) -> Result<u64, CatalogueError> {
        self.read(|reader| Ok(reader.directory.read().len() as u64)).await
    }

    fn read_ahead(&self) {
        if let Some(open) = self.open.lock().as_ref() {
            open.reader.engine.read_ahead();
        }
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
