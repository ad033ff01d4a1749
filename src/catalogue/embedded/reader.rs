//! Answers from the engine, the directory and the thumbnails. Everything here blocks.

use std::collections::HashMap;

use parking_lot::RwLock;
use uuid::Uuid;

use super::{
    directory::{Directory, Entry},
    engine::{Depth, Engine},
    filter,
    folder::Folder,
    point::{Payload, Stored},
    thumbnails,
};
use crate::catalogue::{
    CatalogueError, FacetCount, Filter, Hit, Page, Position, Probe, Product, ProductId, StoredProduct,
    by_count, engine_names::point_of, lexical::Terms, thoroughness::deeper,
};

/// How often a product is read again because it was replaced between its payload and its thumbnail.
const REPLACED_WHILE_READING: usize = 3;

pub struct Reader {
    pub engine: Engine,
    pub directory: RwLock<Directory>,
    /// Last, so that the folder is free only when the engine has let go of it.
    pub folder: Folder,
}

impl Reader {
    pub fn get(&self, ids: &[ProductId]) -> Result<Vec<Option<StoredProduct>>, CatalogueError> {
        let points: Vec<Uuid> = ids.iter().map(point_of).collect();
        let mut found: HashMap<Uuid, StoredProduct> = HashMap::with_capacity(points.len());
        let mut pending = points.clone();
        for last in (0..REPLACED_WHILE_READING).map(|attempt| attempt + 1 == REPLACED_WHILE_READING) {
            let mut replaced = Vec::new();
            for Stored { point, payload, embedding } in self.engine.fetch(&pending, true)? {
                let Payload { product, thumbnail: tag, content } = payload;
                let embedding = embedding.ok_or_else(|| {
                    CatalogueError::Engine(format!("the stored product {} has no embedding", product.id))
                })?;
                let thumbnail = match tag {
                    Some(tag) => {
                        thumbnails::read(&self.folder.thumbnails(), point, tag).map_err(|error| {
                            CatalogueError::Engine(format!("cannot read a thumbnail: {error}"))
                        })?
                    }
                    None => None,
                };
                if tag.is_some() && thumbnail.is_none() && !last {
                    replaced.push(point);
                } else {
                    found.insert(point, StoredProduct { product, embedding, thumbnail, content });
                }
            }
            pending = replaced;
            if pending.is_empty() {
                break;
            }
        }
        Ok(points.iter().map(|point| found.get(point).cloned()).collect())
    }

    pub fn products(&self, ids: &[ProductId]) -> Result<Vec<Option<Product>>, CatalogueError> {
        let points: Vec<Uuid> = ids.iter().map(point_of).collect();
        let found: HashMap<Uuid, Product> = self
            .engine
            .fetch(&points, false)?
            .into_iter()
            .map(|stored| (stored.point, stored.payload.product))
            .collect();
        Ok(points.iter().map(|point| found.get(point).cloned()).collect())
    }

    pub fn embeddings(&self, ids: &[ProductId]) -> Result<Vec<Option<Vec<f32>>>, CatalogueError> {
        let points: Vec<Uuid> = ids.iter().map(point_of).collect();
        let mut found = self.engine.embeddings(&points)?;
        Ok(points.iter().map(|point| found.remove(point)).collect())
    }

    pub fn newest(&self, filter: &Filter, limit: usize) -> Vec<Hit> {
        self.directory.read().newest(filter, limit).map(|entry| hit(entry, 0.0)).collect()
    }

    /// Asks for one more than wanted first; see [`deeper`].
    pub fn search(&self, probe: &Probe, filter: &Filter, limit: usize) -> Result<Vec<Hit>, CatalogueError> {
        let stored = self.directory.read().len();
        let limit = limit.min(stored);
        if limit == 0 || matches!(probe, Probe::Words(terms) if terms.is_empty()) {
            return Ok(Vec::new());
        }
        let filter = filter::to_engine(filter)?;
        let mut depth = limit + 1;
        let found = loop {
            let found = self.engine.search(probe, filter.clone(), depth, Depth::Index)?;
            let scores: Vec<f32> = found.iter().map(|(_, score)| *score).collect();
            match deeper(&scores, limit, depth, stored) {
                Some(deeper) => depth = deeper,
                None => break found,
            }
        };
        let directory = self.directory.read();
        let mut best: Vec<Hit> =
            found.into_iter().filter_map(|(point, score)| Some(hit(directory.get(point)?, score))).collect();
        drop(directory);
        best.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
        best.truncate(limit);
        Ok(best)
    }

    pub fn score(&self, probe: &Probe, ids: &[ProductId]) -> Result<Vec<Option<f32>>, CatalogueError> {
        let points: Vec<Uuid> = ids.iter().map(point_of).collect();
        let is_empty = matches!(probe, Probe::Words(terms) if terms.is_empty());
        let found: HashMap<Uuid, f32> = if points.is_empty() || is_empty {
            HashMap::new()
        } else {
            let only = filter::only(points.iter().copied());
            self.engine.search(probe, Some(only), points.len(), Depth::Exact)?.into_iter().collect()
        };
        let directory = self.directory.read();
        let score = |point: &Uuid| match probe {
            Probe::Meaning(_) => found.get(point).copied(),
            // Only products with a word in common are found.
            Probe::Words(_) => directory.get(*point).map(|_| found.get(point).copied().unwrap_or_default()),
        };
        Ok(points.iter().map(score).collect())
    }

    pub fn page(
        &self,
        filter: &Filter,
        from: Option<Position>,
        limit: usize,
    ) -> Result<Page, CatalogueError> {
        let from = from.map(|Position(point)| point);
        let (points, next) = self.engine.page(filter::to_engine(filter)?, from, limit)?;
        let directory = self.directory.read();
        let ids = points.iter().filter_map(|point| Some(directory.get(*point)?.id.clone())).collect();
        Ok(Page { ids, next: next.map(Position) })
    }

    pub fn holders(&self, terms: &[u32], at_most: usize) -> Result<Vec<usize>, CatalogueError> {
        let holders = |term: &u32| {
            let probe = Probe::Words(Terms::from_iter([*term]));
            Ok(self.engine.search(&probe, None, at_most, Depth::Index)?.len())
        };
        terms.iter().map(holders).collect()
    }

    pub fn categories(&self, filter: &Filter) -> Result<Vec<FacetCount>, CatalogueError> {
        Ok(by_count(self.engine.categories(filter::to_engine(filter)?)?))
    }
}

fn hit(entry: &Entry, score: f32) -> Hit {
    Hit { id: entry.id.clone(), score, facts: entry.facts }
}
