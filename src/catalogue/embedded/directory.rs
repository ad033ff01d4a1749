//! What the catalogue knows of every product without asking the engine.
//!
//! The engine names points by UUID and has no order that fits browsing (its `order_by` leaves out points without the
//! field and orders ties as they come). About 200 bytes a product, read once at the start, give both: the id behind a
//! point, and the products newest first.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use time::OffsetDateTime;
use uuid::Uuid;

use super::thumbnails::Tag;
use crate::catalogue::{Filter, Product, ProductId};

/// What of a product matters to finding it.
#[derive(Debug)]
pub struct Entry {
    pub id: ProductId,
    category: Option<String>,
    price: Option<f64>,
    listed_at: Option<OffsetDateTime>,
    pub thumbnail: Option<Tag>,
}

impl Entry {
    pub fn new(product: &Product, thumbnail: Option<Tag>) -> Self {
        Self {
            id: product.id.clone(),
            category: product.category.clone(),
            price: product.price,
            listed_at: product.listed_at,
            thumbnail,
        }
    }

    fn place(&self) -> Place {
        (Reverse(self.listed_at), self.id.clone())
    }
}

/// Newest first, without a date last, then by id.
type Place = (Reverse<Option<OffsetDateTime>>, ProductId);

#[derive(Debug, Default)]
pub struct Directory {
    by_point: HashMap<Uuid, Arc<Entry>>,
    newest_first: BTreeMap<Place, Arc<Entry>>,
}

impl Directory {
    pub fn insert(&mut self, point: Uuid, entry: Entry) {
        self.remove(point);
        let entry = Arc::new(entry);
        self.newest_first.insert(entry.place(), Arc::clone(&entry));
        self.by_point.insert(point, entry);
    }

    pub fn remove(&mut self, point: Uuid) -> Option<Arc<Entry>> {
        let entry = self.by_point.remove(&point)?;
        self.newest_first.remove(&entry.place());
        Some(entry)
    }

    pub fn get(&self, point: Uuid) -> Option<&Entry> {
        self.by_point.get(&point).map(Arc::as_ref)
    }

    pub fn len(&self) -> usize {
        self.by_point.len()
    }

    /// The newest `limit` products that pass the filter.
    pub fn newest<'a>(&'a self, filter: &'a Filter, limit: usize) -> impl Iterator<Item = &'a ProductId> {
        self.newest_first
            .values()
            .filter(|entry| filter.accepts_facts(&entry.id, entry.category.as_deref(), entry.price))
            .map(|entry| &entry.id)
            .take(limit)
    }
}
