//! What the catalogue knows of every product without asking the engine.
//!
//! The engine names points by UUID and has no order that fits browsing (its `order_by` leaves out points without the
//! field and orders ties as they come). About 250 bytes a product, read once at the start, give both: id and facts of a
//! point, and the products newest first.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use time::OffsetDateTime;
use uuid::Uuid;

use crate::catalogue::{Facts, Filter, PhotoTag, Product, ProductId};

/// What of a product matters to finding it.
#[derive(Debug)]
pub struct Entry {
    pub id: ProductId,
    category: Option<Arc<str>>,
    pub facts: Facts,
}

/// An entry in its place: newest first, without a date last, then by id.
#[derive(Debug)]
struct ByAge(Arc<Entry>);

impl ByAge {
    fn place(&self) -> (Reverse<Option<OffsetDateTime>>, &ProductId) {
        (Reverse(self.0.facts.listed_at), &self.0.id)
    }
}

impl Ord for ByAge {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place().cmp(&other.place())
    }
}

impl PartialOrd for ByAge {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByAge {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for ByAge {}

#[derive(Debug, Default)]
pub struct Directory {
    by_point: HashMap<Uuid, Arc<Entry>>,
    newest_first: BTreeSet<ByAge>,
    /// Every label once, however many products have it.
    labels: HashSet<Arc<str>>,
}

impl Directory {
    pub fn insert(&mut self, point: Uuid, product: &Product, photo: Option<PhotoTag>) {
        self.remove(point);
        let category = product.category.as_deref().map(|label| self.label(label));
        let entry = Arc::new(Entry { id: product.id.clone(), category, facts: Facts::of(product, photo) });
        self.newest_first.insert(ByAge(Arc::clone(&entry)));
        self.by_point.insert(point, entry);
    }

    fn label(&mut self, label: &str) -> Arc<str> {
        if let Some(known) = self.labels.get(label) {
            return Arc::clone(known);
        }
        let label: Arc<str> = label.into();
        self.labels.insert(Arc::clone(&label));
        label
    }

    pub fn remove(&mut self, point: Uuid) -> Option<Arc<Entry>> {
        let entry = ByAge(self.by_point.remove(&point)?);
        self.newest_first.remove(&entry);
        Some(entry.0)
    }

    pub fn get(&self, point: Uuid) -> Option<&Entry> {
        self.by_point.get(&point).map(Arc::as_ref)
    }

    pub fn len(&self) -> usize {
        self.by_point.len()
    }

    /// The newest `limit` products that pass the filter.
    pub fn newest<'a>(&'a self, filter: &'a Filter, limit: usize) -> impl Iterator<Item = &'a Entry> {
        self.newest_first
            .iter()
            .map(|ByAge(entry)| entry.as_ref())
            .filter(|entry| filter.accepts(&entry.id, entry.category.as_deref(), &entry.facts))
            .take(limit)
    }
}
