//! Answers from the engine, the directory and the thumbnails. Everything here blocks.

use std::collections::{BTreeMap, HashMap};

use parking_lot::RwLock;
use uuid::Uuid;

use super::{
    directory::Directory,
    engine::{Engine, Probe},
    filter,
    folder::Folder,
    point::{Payload, Stored, point_of},
    thumbnails,
};
use crate::catalogue::{
    CatalogueError, Filter, Hit, Product, ProductId, Retrieval, StoredProduct, lexical::Terms,
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
                let Payload { product, thumbnail: tag } = payload;
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
                    found.insert(point, StoredProduct { product, embedding, thumbnail });
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

    pub fn retrieve(&self, retrieval: &Retrieval) -> Result<Vec<Hit>, CatalogueError> {
        let Retrieval { embedding, words, filter, limit } = retrieval;
        let terms = words.as_deref().map(Terms::of_query);
        let meaning = embedding.as_deref().map(Probe::Meaning);
        match (meaning, &terms) {
            (None, None) => {
                let directory = self.directory.read();
                let hit = |id: &ProductId| Hit { id: id.clone(), semantic: None, lexical: None };
                Ok(directory.newest(filter, *limit).map(hit).collect())
            }
            (Some(meaning), None) => {
                let hit = |(id, cosine)| Hit { id, semantic: Some(cosine), lexical: None };
                Ok(self
                    .best(meaning, filter, *limit)?
                    .into_iter()
                    .map(|(_, id, score)| hit((id, score)))
                    .collect())
            }
            (None, Some(terms)) => {
                let hit = |(id, bm25)| Hit { id, semantic: None, lexical: Some(bm25) };
                Ok(self
                    .best_by_words(terms, filter, *limit)?
                    .into_iter()
                    .map(|(_, id, score)| hit((id, score)))
                    .collect())
            }
            (Some(meaning), Some(terms)) => self.union(meaning, terms, filter, *limit),
        }
    }

    fn union(
        &self,
        meaning: Probe<'_>,
        terms: &Terms,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Hit>, CatalogueError> {
        let near = self.best(meaning, filter, limit)?;
        let matching = self.best_by_words(terms, filter, limit)?;

        let mut cosines: HashMap<Uuid, f32> = near.iter().map(|(point, _, score)| (*point, *score)).collect();
        let mut bm25s: HashMap<Uuid, f32> =
            matching.iter().map(|(point, _, score)| (*point, *score)).collect();
        self.complete(&mut cosines, meaning, matching.iter().map(|(point, ..)| *point))?;
        // A list that is not full holds every product with a word in common: whoever is not on it has 0.
        if matching.len() == limit {
            self.complete(&mut bm25s, Probe::Words(terms), near.iter().map(|(point, ..)| *point))?;
        }

        let ids: BTreeMap<ProductId, Uuid> =
            near.into_iter().chain(matching).map(|(point, id, _)| (id, point)).collect();
        Ok(ids
            .into_iter()
            // A product without a cosine was removed between the two searches.
            .filter_map(|(id, point)| {
                let semantic = Some(*cosines.get(&point)?);
                Some(Hit { id, semantic, lexical: Some(bm25s.get(&point).copied().unwrap_or(0.0)) })
            })
            .collect())
    }

    /// Adds the exact scores of those points that have none yet.
    fn complete(
        &self,
        scores: &mut HashMap<Uuid, f32>,
        probe: Probe<'_>,
        points: impl Iterator<Item = Uuid>,
    ) -> Result<(), CatalogueError> {
        let missing: Vec<Uuid> = points.filter(|point| !scores.contains_key(point)).collect();
        if !missing.is_empty() {
            let count = missing.len();
            scores.extend(self.engine.search(probe, Some(filter::only(missing)), count)?);
        }
        Ok(())
    }

    fn best_by_words(
        &self,
        terms: &Terms,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<(Uuid, ProductId, f32)>, CatalogueError> {
        if terms.is_empty() { Ok(Vec::new()) } else { self.best(Probe::Words(terms), filter, limit) }
    }

    /// The `limit` best, best first, equal scores in the order of their ids.
    ///
    /// The engine cuts a run of equal scores where it likes. So one more than wanted is asked for; where that one is equal
    /// to the last wanted, the run goes on beyond what was read, and twice as many are asked for.
    fn best(
        &self,
        probe: Probe<'_>,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<(Uuid, ProductId, f32)>, CatalogueError> {
        let stored = self.directory.read().len();
        let limit = limit.min(stored);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut depth = limit + 1;
        let found = loop {
            let found = self.engine.search(probe, filter::to_engine(filter), depth)?;
            let run_is_cut = found.len() == depth
                && found.last().map(|(_, score)| *score) == found.get(limit - 1).map(|(_, s)| *s);
            if !run_is_cut || depth > stored {
                break found;
            }
            depth *= 2;
        };
        let directory = self.directory.read();
        let mut best: Vec<_> = found
            .into_iter()
            .filter_map(|(point, score)| Some((point, directory.get(point)?.id.clone(), score)))
            .collect();
        drop(directory);
        best.sort_by(|(_, a_id, a), (_, b_id, b)| b.total_cmp(a).then_with(|| a_id.cmp(b_id)));
        best.truncate(limit);
        Ok(best)
    }
}
