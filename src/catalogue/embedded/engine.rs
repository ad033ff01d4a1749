//! qdrant-edge, as far as the catalogue uses it. Only this file and its neighbours `engine_config.rs`, `point.rs` and
//! `filter.rs` name its types.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use parking_lot::{MappedRwLockReadGuard, RwLock, RwLockReadGuard};
use qdrant_edge::{
    CreateIndex, EdgeConfig, EdgeShard, FacetRequest, FacetValue, FieldIndexOperations, Filter, NamedQuery,
    PayloadFieldSchema, PointId, PointInsertOperations, PointOperations, QuantizationSearchParams, QueryEnum,
    ScrollRequest, SearchParams, SearchRequest, UpdateOperation, VectorInternal, WithVector,
};
use uuid::Uuid;

use super::{
    engine_config, engine_log, filter,
    point::{LEXICAL, SEMANTIC, Stored, embedding_of, read_record, sparse, to_point},
};
use crate::catalogue::{CatalogueError, FacetCount, PhotoTag, Probe, StoredProduct};

/// Points a scan reads at a time.
const SCAN_PAGE: usize = 1_000;

/// Categories whose products are counted, at most.
const CATEGORIES: usize = 1_000;

/// Candidates that int8 embeddings choose, for each one wanted, before the exact embeddings put them in order.
const OVERSAMPLING: f64 = 2.0;

/// How hard a search looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Through the index: where there is a graph, it may miss some.
    Index,
    /// Every product that passes the filter.
    Exact,
}

pub struct Engine {
    folder: PathBuf,
    config: EdgeConfig,
    /// `None` only after the engine failed to come back from a restart.
    shard: RwLock<Option<EdgeShard>>,
}

impl Engine {
    /// Opens the engine's folder, making it where there is none.
    pub fn open(folder: &Path, embedding_width: usize) -> Result<Self, CatalogueError> {
        std::fs::create_dir_all(folder).map_err(failed)?;
        let engine = Self {
            folder: folder.to_owned(),
            config: engine_config::with_width(embedding_width),
            shard: RwLock::new(None),
        };
        *engine.shard.write() = Some(engine.load()?);
        for (field, schema) in filter::INDEXED {
            let index = CreateIndex {
                field_name: filter::path(field),
                field_schema: Some(PayloadFieldSchema::FieldType(schema)),
            };
            engine.update(UpdateOperation::FieldIndexOperation(FieldIndexOperations::CreateIndex(index)))?;
        }
        Ok(engine)
    }

    fn load(&self) -> Result<EdgeShard, CatalogueError> {
        engine_log::drop_closed(&self.folder).map_err(failed)?;
        EdgeShard::load(&self.folder, Some(self.config.clone())).map_err(failed)
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
        self.update(UpdateOperation::PointOperation(PointOperations::UpsertPoints(points)))
    }

    pub fn delete(&self, point: Uuid) -> Result<(), CatalogueError> {
        let ids = vec![PointId::Uuid(point)];
        self.update(UpdateOperation::PointOperation(PointOperations::DeletePoints { ids }))
    }

    /// Puts everything that was written on disk. Must not run beside a write.
    pub fn flush(&self) -> Result<(), CatalogueError> {
        let shard = self.shard()?;
        // The engine's flush has no result: it panics where it fails.
        catch_unwind(AssertUnwindSafe(|| shard.flush())).map_err(|_| {
            CatalogueError::Engine("it could not write its files; the log has its message".into())
        })
    }

    /// Merges segments and clears out what was deleted, where the engine thinks that worthwhile.
    pub fn optimise(&self) -> Result<(), CatalogueError> {
        self.shard()?.optimize().map(|_| ()).map_err(failed)
    }

    /// Bytes of the engine's own log, which it never shortens while it runs.
    pub fn log_size(&self) -> Result<u64, CatalogueError> {
        engine_log::size(&self.folder).map_err(failed)
    }

    /// Closes and opens the engine, which lets its log be shortened. Reads wait meanwhile.
    pub fn restart(&self) -> Result<(), CatalogueError> {
        let mut shard = self.shard.write();
        // Dropped before the next is loaded: both would want the lock of the log.
        *shard = None;
        *shard = Some(self.load()?);
        Ok(())
    }

    /// The points that exist among these, in no particular order.
    pub fn fetch(&self, points: &[Uuid], with_embedding: bool) -> Result<Vec<Stored>, CatalogueError> {
        let ids: Vec<_> = points.iter().copied().map(PointId::Uuid).collect();
        let vectors = if with_embedding {
            WithVector::Selector(vec![SEMANTIC.to_owned()])
        } else {
            WithVector::Bool(false)
        };
        let records = self.shard()?.retrieve(&ids, Some(true.into()), Some(vectors)).map_err(failed)?;
        records.into_iter().map(read_record).collect()
    }

    /// Hands every stored product to `visit`.
    pub fn scan(&self, mut visit: impl FnMut(Stored)) -> Result<(), CatalogueError> {
        let mut offset = None;
        loop {
            let request = ScrollRequest { offset, limit: Some(SCAN_PAGE), ..ScrollRequest::default() };
            let (records, next) = self.shard()?.scroll(request).map_err(failed)?;
            for record in records {
                visit(read_record(record)?);
            }
            match next {
                Some(next) => offset = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// The embeddings of those of these points that exist.
    pub fn embeddings(&self, points: &[Uuid]) -> Result<HashMap<Uuid, Vec<f32>>, CatalogueError> {
        let ids: Vec<_> = points.iter().copied().map(PointId::Uuid).collect();
        let vectors = WithVector::Selector(vec![SEMANTIC.to_owned()]);
        let records = self.shard()?.retrieve(&ids, Some(false.into()), Some(vectors)).map_err(failed)?;
        let embedding = |(id, vectors)| Some((uuid(id)?, embedding_of(vectors)?));
        Ok(records.into_iter().map(|record| (record.id, record.vector)).filter_map(embedding).collect())
    }

    /// The `limit` best points that meet the filter, best first; the scores are exact.
    pub fn search(
        &self,
        probe: &Probe,
        filter: Option<Filter>,
        limit: usize,
        depth: Depth,
    ) -> Result<Vec<(Uuid, f32)>, CatalogueError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let query = match probe {
            Probe::Meaning(embedding) => NamedQuery::new(VectorInternal::Dense(embedding.clone()), SEMANTIC),
            Probe::Words(terms) => NamedQuery::new(VectorInternal::Sparse(sparse(terms)), LEXICAL),
        };
        let quantization = QuantizationSearchParams {
            ignore: depth == Depth::Exact,
            rescore: Some(true),
            oversampling: Some(OVERSAMPLING),
        };
        let params = SearchParams {
            exact: depth == Depth::Exact,
            quantization: Some(quantization),
            ..SearchParams::default()
        };
        let request = SearchRequest {
            query: QueryEnum::Nearest(query),
            filter,
            params: Some(params),
            limit,
            offset: 0,
            with_payload: None,
            with_vector: None,
            score_threshold: None,
        };
        let points = self.shard()?.search(request).map_err(failed)?;
        Ok(points.into_iter().filter_map(|point| Some((uuid(point.id)?, point.score))).collect())
    }

    /// How many points that meet the filter each category has, in no particular order.
    pub fn categories(&self, filter: Option<Filter>) -> Result<Vec<FacetCount>, CatalogueError> {
        let request =
            FacetRequest { key: filter::path(filter::CATEGORY), limit: CATEGORIES, filter, exact: true };
        let count = |(value, count)| match value {
            FacetValue::Keyword(value) => Some(FacetCount { value, count: count as u64 }),
            _ => None,
        };
        let hits = self.shard()?.facet(request).map_err(failed)?.hits;
        Ok(hits.into_iter().map(|hit| (hit.value, hit.count)).filter_map(count).collect())
    }
}

/// This catalogue names all of its points by UUID.
fn uuid(point: PointId) -> Option<Uuid> {
    match point {
        PointId::Uuid(id) => Some(id),
        PointId::NumId(_) => None,
    }
}

fn failed(error: impl std::fmt::Display) -> CatalogueError {
    CatalogueError::Engine(error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalogue::embedded::point::point_of;

    /// A listing with 2 MB of attributes: the engine's log begins a new file every 32 MB.
    fn heavy(n: usize, title: &str) -> (StoredProduct, Option<PhotoTag>) {
        let id = format!("p{n}");
        let product = json!({"id": id, "title": title, "attributes": {"filler": "x".repeat(2_000_000)}});
        let product = serde_json::from_value(product).unwrap();
        (StoredProduct { product, embedding: vec![1.0], thumbnail: None }, None)
    }

    #[test]
    fn a_restart_shortens_the_log_and_keeps_products_and_later_writes() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::open(folder.path(), 1).unwrap();
        for n in 0..50 {
            engine.upsert(&[heavy(n, "before")]).unwrap();
        }
        let grown = engine.log_size().unwrap();
        engine.restart().unwrap();
        assert!(engine.log_size().unwrap() < grown, "{grown} bytes before and after");

        engine.upsert(&[heavy(7, "after")]).unwrap();
        engine.restart().unwrap();
        let mut titles = Vec::new();
        engine.scan(|stored| titles.push((stored.point, stored.payload.product.title))).unwrap();
        assert_eq!(titles.len(), 50);
        let replaced = point_of(&"p7".parse().unwrap());
        assert!(titles.iter().all(|(point, title)| (title == "after") == (*point == replaced)));
    }
}
