//! The one thread that writes. Changes that wait together share one wait for the disk (group commit).

use std::{io::ErrorKind, sync::Arc};

use tokio::sync::{mpsc, oneshot};

use super::{
    change::Change,
    engine::Upkeep,
    journal::{AppendError, Journal},
    reader::Reader,
    thumbnails::Thumbnails,
};
use crate::catalogue::{CatalogueError, PhotoTag, ProductId, StoredProduct, engine_names::point_of};

/// Changes that may wait for the writer; whoever comes after them waits to queue.
pub const QUEUE: usize = 256;
/// Changes that share one wait for the disk, at most.
const GROUP: usize = 64;
/// Journal size at which the engine is flushed, which empties the journal. Reading 64 MiB back takes under a second.
const CHECKPOINT_BYTES: u64 = 64 << 20;
/// Journal size at which writes wait for the optimiser in any case, beside which the engine cannot be flushed.
const LARGEST_JOURNAL_BYTES: u64 = 1 << 30;
/// Size of the engine's own log at which the engine is restarted, which is the only way to shorten it.
const ENGINE_LOG_BYTES: u64 = 1 << 30;

/// What a change did: for a deletion, whether there was anything to delete.
pub type Outcome = Result<bool, CatalogueError>;

/// A change and who waits for it.
pub struct Request {
    pub change: Change,
    pub reply: oneshot::Sender<Outcome>,
}

pub struct Writer {
    reader: Arc<Reader>,
    journal: Journal,
    thumbnails: Thumbnails,
    /// While the journal is applied: what a crash left of the thumbnails is not to be trusted.
    replaying: bool,
    /// Why nothing more is written.
    halted: Option<String>,
}

impl Writer {
    /// Applies what the journal holds from before, so that every acknowledged change is in the engine.
    pub fn start(
        reader: Arc<Reader>,
        journal: Journal,
        unflushed: Vec<Change>,
        thumbnails: Thumbnails,
    ) -> Result<Self, CatalogueError> {
        let mut writer = Self { reader, journal, thumbnails, replaying: true, halted: None };
        if !unflushed.is_empty() {
            tracing::info!(changes = unflushed.len(), "applying the journal: the catalogue was not closed");
        }
        for change in unflushed {
            writer.apply(change)?;
        }
        let reader = Arc::clone(&writer.reader);
        writer.checkpoint(&reader.engine.upkeep())?;
        writer.replaying = false;
        Ok(writer)
    }

    /// Works until nobody can send any more, then leaves everything on disk.
    pub fn run(mut self, mut requests: mpsc::Receiver<Request>) -> Result<(), CatalogueError> {
        while let Some(first) = requests.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP
                && let Ok(next) = requests.try_recv()
            {
                group.push(next);
            }
            self.commit(group);
            if self.halted.is_none()
                && let Err(error) = self.keep_in_bounds()
            {
                self.halt(error.to_string());
            }
        }
        if let Some(why) = self.halted {
            return Err(CatalogueError::Halted(why));
        }
        let reader = Arc::clone(&self.reader);
        match reader.engine.try_upkeep() {
            Some(upkeep) => self.checkpoint(&upkeep),
            // An optimisation of a large catalogue takes minutes. All that was acknowledged is in the journal.
            None => Ok(()),
        }
    }

    /// Waits for the optimiser where it has fallen behind, and empties the journal where it has grown. While the optimiser
    /// works the engine cannot be flushed, and the journal grows on instead.
    fn keep_in_bounds(&mut self) -> Result<(), CatalogueError> {
        let reader = Arc::clone(&self.reader);
        let engine = &reader.engine;
        if engine.backlog.is_full() {
            // Between two optimisations, that the journal is not read back from long before. The second begins then.
            while engine.backlog.is_full() {
                if let Some(upkeep) = engine.upkeep_in_a_moment() {
                    self.shorten_logs(&upkeep)?;
                    break;
                }
            }
            engine.backlog.wait_for_room();
        } else if self.journal.length() > LARGEST_JOURNAL_BYTES {
            self.shorten_logs(&engine.upkeep())?;
        } else if self.journal.length() > CHECKPOINT_BYTES
            && let Some(upkeep) = engine.try_upkeep()
        {
            self.shorten_logs(&upkeep)?;
        }
        Ok(())
    }

    /// Empties the journal and bounds the engine's own log.
    fn shorten_logs(&mut self, upkeep: &Upkeep<'_>) -> Result<(), CatalogueError> {
        let reader = Arc::clone(&self.reader);
        self.checkpoint(upkeep)?;
        if reader.engine.log_size()? > ENGINE_LOG_BYTES {
            tracing::info!("restarting the catalogue engine to shorten its log");
            reader.engine.restart(upkeep)?;
        }
        Ok(())
    }

    fn commit(&mut self, group: Vec<Request>) {
        if let Some(why) = &self.halted {
            return refuse(group, || CatalogueError::Halted(why.clone()));
        }
        match self.journal.append(group.iter().map(|request| &request.change)) {
            Ok(()) => {}
            Err(AppendError::Refused(error)) => {
                return refuse(group, || refusal(&error));
            }
            Err(AppendError::Broken(error)) => {
                let why = self.halt(format!("its journal could not be written: {error}"));
                return refuse(group, || CatalogueError::Halted(why.clone()));
            }
        }
        for Request { change, reply } in group {
            let outcome = match &self.halted {
                Some(why) => Err(CatalogueError::Halted(why.clone())),
                None => {
                    self.apply(change).map_err(|error| CatalogueError::Halted(self.halt(error.to_string())))
                }
            };
            // Whoever asked may have gone; the change stands all the same.
            let _ = reply.send(outcome);
        }
    }

    fn apply(&mut self, change: Change) -> Outcome {
        match change {
            Change::Upsert(products) => self.upsert(products).map(|()| true),
            Change::Delete(id) => self.delete(&id),
        }
    }

    fn upsert(&mut self, products: Vec<StoredProduct>) -> Result<(), CatalogueError> {
        let tagged = products
            .into_iter()
            .map(|stored| self.keep_thumbnail(&stored).map(|tag| (stored, tag)))
            .collect::<Result<Vec<_>, CatalogueError>>()?;
        self.reader.engine.upsert(&tagged)?;
        for (stored, tag) in tagged {
            self.enter(&stored, tag);
        }
        Ok(())
    }

    fn keep_thumbnail(&mut self, stored: &StoredProduct) -> Result<Option<PhotoTag>, CatalogueError> {
        let Some(jpeg) = &stored.thumbnail else { return Ok(None) };
        let point = point_of(&stored.product.id);
        let tag = PhotoTag::of(jpeg);
        // A listing that changes mostly keeps its photo, and writing a file anew takes 20 times as long as all the rest.
        let is_there =
            self.reader.directory.read().get(point).is_some_and(|entry| entry.facts.photo == Some(tag));
        if self.replaying || !is_there {
            self.thumbnails
                .write(point, tag, jpeg)
                .map_err(|error| CatalogueError::Engine(format!("cannot write a thumbnail: {error}")))?;
        }
        Ok(Some(tag))
    }

    fn enter(&mut self, stored: &StoredProduct, tag: Option<PhotoTag>) {
        let point = point_of(&stored.product.id);
        let mut directory = self.reader.directory.write();
        let unused = directory.get(point).and_then(|entry| entry.facts.photo).filter(|old| Some(*old) != tag);
        directory.insert(point, &stored.product, tag);
        drop(directory);
        if let Some(unused) = unused {
            self.thumbnails.remove(point, unused);
        }
    }

    fn delete(&mut self, id: &ProductId) -> Outcome {
        let point = point_of(id);
        if self.reader.directory.read().get(point).is_none() {
            return Ok(false);
        }
        self.reader.engine.delete(point)?;
        let removed = self.reader.directory.write().remove(point);
        if let Some(tag) = removed.and_then(|entry| entry.facts.photo) {
            self.thumbnails.remove(point, tag);
        }
        Ok(true)
    }

    /// Puts everything that was applied on disk and empties the journal, in this order.
    fn checkpoint(&mut self, upkeep: &Upkeep<'_>) -> Result<(), CatalogueError> {
        self.thumbnails
            .sync()
            .map_err(|error| CatalogueError::Engine(format!("cannot sync thumbnails: {error}")))?;
        self.reader.engine.flush(upkeep)?;
        self.journal
            .clear()
            .map_err(|error| CatalogueError::Engine(format!("cannot empty its journal: {error}")))
    }

    fn halt(&mut self, why: String) -> String {
        tracing::error!(why, "the catalogue takes no more writes until the service is restarted");
        self.halted = Some(why.clone());
        why
    }
}

fn refusal(error: &std::io::Error) -> CatalogueError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => CatalogueError::Unavailable(
            "the disk of the catalogue is full but for a reserve of 128 MiB, nothing was stored; free some space and send \
             it again"
                .to_owned(),
        ),
        _ => CatalogueError::Engine(format!("cannot write to its journal: {error}")),
    }
}

fn refuse(group: Vec<Request>, error: impl Fn() -> CatalogueError) {
    for request in group {
        let _ = request.reply.send(Err(error()));
    }
}

#[cfg(test)]
mod tests {
    use std::{ops::Range, path::Path, time::Duration};

    use serde_json::json;

    use super::*;
    use crate::catalogue::{
        Catalogue, ContentHash,
        embedded::{EmbeddedCatalogue, backlog},
    };

    const BATCH: usize = 1_000;
    /// Long enough for a write that nothing holds up, and for whatever is held up to end once nothing does.
    const A_WHILE: Duration = Duration::from_millis(500);
    const FOR_EVER: Duration = Duration::from_secs(60);

    fn listings(numbers: Range<usize>) -> Vec<StoredProduct> {
        let listing = |n| StoredProduct {
            product: serde_json::from_value(json!({"id": format!("p{n}"), "title": format!("w{n}")}))
                .unwrap(),
            embedding: vec![1.0],
            thumbnail: None,
            content: ContentHash::default(),
        };
        numbers.map(listing).collect()
    }

    fn open(folder: &Path) -> EmbeddedCatalogue {
        EmbeddedCatalogue::open(folder, 1, "models").unwrap()
    }

    /// Writes one batch more than may be written while an optimisation goes on; says how many products that were.
    async fn outrun(catalogue: &EmbeddedCatalogue) -> usize {
        let written = backlog::LEAST + BATCH;
        for first in (0..written).step_by(BATCH) {
            catalogue.upsert(listings(first..first + BATCH)).await.unwrap();
        }
        written
    }

    #[tokio::test]
    async fn whoever_outruns_an_optimisation_waits_for_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let catalogue = open(folder.path());
        let reader = Arc::clone(&catalogue.open.lock().as_ref().unwrap().reader);
        let optimising = reader.engine.upkeep();
        let written = outrun(&catalogue).await;
        let mut next = Box::pin(catalogue.upsert(listings(written..written + BATCH)));
        assert!(tokio::time::timeout(A_WHILE, &mut next).await.is_err(), "it did not wait");
        drop(optimising);
        tokio::time::timeout(FOR_EVER, next).await.unwrap().unwrap();
        assert_eq!(catalogue.count().await.unwrap(), (written + BATCH) as u64);
    }

    #[tokio::test]
    async fn closing_does_not_wait_for_what_the_writer_waits_for_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let catalogue = open(folder.path());
        let reader = Arc::clone(&catalogue.open.lock().as_ref().unwrap().reader);
        let optimising = reader.engine.upkeep();
        let written = outrun(&catalogue).await;
        tokio::time::timeout(FOR_EVER, catalogue.close()).await.unwrap().unwrap();
        drop(optimising);
        drop(reader);
        assert_eq!(open(folder.path()).count().await.unwrap(), written as u64);
    }
}
