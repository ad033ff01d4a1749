//! qdrant-edge, as far as the catalogue uses it. Only this folder and its neighbours `point.rs` and `filter.rs` name its
//! types.
//!
//! Here the engine is opened, written to and kept up; [`reads`] asks it; [`config`] says how it keeps things; [`readahead`] warms up
//! what it reads.

mod config;
mod log;
mod readahead;
mod reads;

use std::{
    collections::HashSet,
    ffi::OsString,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use parking_lot::{MappedRwLockReadGuard, Mutex, MutexGuard, RwLock, RwLockReadGuard};
use qdrant_edge::{
    CreateIndex, EdgeConfig, EdgeShard, FieldIndexOperations, PayloadFieldSchema, PointId,
    PointInsertOperations, PointOperations, UpdateOperation,
};
use uuid::Uuid;

pub use self::reads::Depth;
use super::{backlog::Backlog, filter, point::to_point};
use crate::{
    catalogue::{CatalogueError, PhotoTag, StoredProduct},
    memory,
};

pub struct Engine {
    folder: PathBuf,
    config: EdgeConfig,
    /// `None` only after the engine failed to come back from a restart.
    shard: RwLock<Option<EdgeShard>>,
    upkeep: Mutex<()>,
    /// Whether what queries read is read ahead from now on.
    reads_ahead: AtomicBool,
    /// What was written since an optimisation began.
    pub backlog: Backlog,
}

/// Held by the one who flushes, optimises or restarts the engine.
pub struct Upkeep<'a>(#[expect(dead_code, reason = "held, not read")] MutexGuard<'a, ()>);

impl Engine {
    /// Opens the engine's folder, making it where there is none.
    pub fn open(folder: &Path, embedding_width: usize) -> Result<Self, CatalogueError> {
        std::fs::create_dir_all(folder).map_err(failed)?;
        let engine = Self {
            folder: folder.to_owned(),
            config: config::with_width(embedding_width),
            shard: RwLock::new(None),
            upkeep: Mutex::new(()),
            reads_ahead: AtomicBool::new(false),
            backlog: Backlog::default(),
        };
        *engine.shard.write() = Some(engine.load()?);
        for (field, schema) in filter::indexed() {
            let index = CreateIndex {
                field_name: filter::path(field),
                field_schema: Some(PayloadFieldSchema::FieldParams(schema)),
            };
            engine.update(UpdateOperation::FieldIndexOperation(FieldIndexOperations::CreateIndex(index)))?;
        }
        Ok(engine)
    }

    fn load(&self) -> Result<EdgeShard, CatalogueError> {
        log::drop_closed(&self.folder).map_err(failed)?;
        let shard = EdgeShard::load(&self.folder, Some(self.config.clone())).map_err(failed)?;
        self.read_ahead_of(HashSet::new());
        Ok(shard)
    }

    /// Brings what queries read into the system's cache, in the background, now and whenever it changes. For whoever answers
    /// queries: a command that reads each product once would only take memory from others.
    pub fn read_ahead(&self) {
        self.reads_ahead.store(true, Ordering::Relaxed);
        self.read_ahead_of(HashSet::new());
    }

    /// All segments but those that are known, where it is wanted.
    fn read_ahead_of(&self, known: HashSet<OsString>) {
        if self.reads_ahead.load(Ordering::Relaxed) {
            readahead::begin(&self.folder, known);
        }
    }

    fn shard(&self) -> Result<MappedRwLockReadGuard<'_, EdgeShard>, CatalogueError> {
        RwLockReadGuard::try_map(self.shard.read(), Option::as_ref).map_err(|_| {
            CatalogueError::Engine("it could not be restarted; see the log, then restart the service".into())
        })
    }

    fn update(&self, operation: UpdateOperation) -> Result<(), CatalogueError> {
        self.shard()?.update(operation).map_err(failed)
    }

    /// Stores the products under their points; readers see each of them as a whole, before or after.
    pub fn upsert(&self, products: &[(StoredProduct, Option<PhotoTag>)]) -> Result<(), CatalogueError> {
        let points = products.iter().map(|(stored, tag)| to_point(stored, *tag)).collect::<Result<_, _>>()?;
        let points = PointInsertOperations::PointsList(points);
        self.update(UpdateOperation::PointOperation(PointOperations::UpsertPoints(points)))?;
        self.backlog.add(products.len());
        Ok(())
    }

    pub fn delete(&self, point: Uuid) -> Result<(), CatalogueError> {
        let ids = vec![PointId::Uuid(point)];
        self.update(UpdateOperation::PointOperation(PointOperations::DeletePoints { ids }))
    }

    /// Puts everything that was written on disk. Must not run beside a write.
    pub fn flush(&self, _upkeep: &Upkeep<'_>) -> Result<(), CatalogueError> {
        let shard = self.shard()?;
        // The engine's flush has no result: it panics where it fails.
        catch_unwind(AssertUnwindSafe(|| shard.flush())).map_err(|_| {
            CatalogueError::Engine("it could not write its files; the log has its message".into())
        })
    }

    /// Merges segments, builds graphs and clears out what was deleted, where the engine thinks that worthwhile. It may
    /// take minutes; searches and writes go on meanwhile.
    pub fn optimise(&self, _upkeep: &Upkeep<'_>) -> Result<(), CatalogueError> {
        let shard = self.shard()?;
        self.backlog.begin(shard.info().points_count);
        let known = readahead::segments(&self.folder);
        if shard.optimize().map_err(failed)? {
            self.read_ahead_of(known);
            memory::give_back();
        }
        Ok(())
    }

    /// The right to flush, optimise or restart, unless somebody else has it: the engine panics where a flush meets the
    /// end of an optimisation.
    pub fn try_upkeep(&self) -> Option<Upkeep<'_>> {
        self.upkeep.try_lock().map(Upkeep)
    }

    /// As [`Engine::try_upkeep`], waiting for a moment: for whoever is to look now and then whether it still should.
    pub fn upkeep_in_a_moment(&self) -> Option<Upkeep<'_>> {
        const MOMENT: Duration = Duration::from_millis(100);
        self.upkeep.try_lock_for(MOMENT).map(Upkeep)
    }

    /// As [`Engine::try_upkeep`], waiting for it.
    pub fn upkeep(&self) -> Upkeep<'_> {
        Upkeep(self.upkeep.lock())
    }

    /// Bytes of the engine's own log, which it never shortens while it runs.
    pub fn log_size(&self) -> Result<u64, CatalogueError> {
        log::size(&self.folder).map_err(failed)
    }

    /// Closes and opens the engine, which lets its log be shortened. Reads wait meanwhile.
    pub fn restart(&self, _upkeep: &Upkeep<'_>) -> Result<(), CatalogueError> {
        let mut shard = self.shard.write();
        // Dropped before the next is loaded: both would want the lock of the log.
        *shard = None;
        *shard = Some(self.load()?);
        Ok(())
    }
}

fn failed(error: impl std::fmt::Display) -> CatalogueError {
    CatalogueError::Engine(error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalogue::{ContentHash, engine_names::point_of};

    /// A listing with 2 MB of attributes: the engine's log begins a new file every 32 MB.
    fn heavy(n: usize, title: &str) -> (StoredProduct, Option<PhotoTag>) {
        let id = format!("p{n}");
        let product = json!({"id": id, "title": title, "attributes": {"filler": "x".repeat(2_000_000)}});
        let product = serde_json::from_value(product).unwrap();
        (
            StoredProduct { product, embedding: vec![1.0], thumbnail: None, content: ContentHash::default() },
            None,
        )
    }

    #[test]
    fn a_restart_shortens_the_log_and_keeps_products_and_later_writes() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::open(folder.path(), 1).unwrap();
        for n in 0..50 {
            engine.upsert(&[heavy(n, "before")]).unwrap();
        }
        let grown = engine.log_size().unwrap();
        engine.restart(&engine.upkeep()).unwrap();
        assert!(engine.log_size().unwrap() < grown, "{grown} bytes before and after");

        engine.upsert(&[heavy(7, "after")]).unwrap();
        engine.restart(&engine.upkeep()).unwrap();
        let mut titles = Vec::new();
        engine.scan(|stored| titles.push((stored.point, stored.payload.product.title))).unwrap();
        assert_eq!(titles.len(), 50);
        let replaced = point_of(&"p7".parse().unwrap());
        assert!(titles.iter().all(|(point, title)| (title == "after") == (*point == replaced)));
    }
}
