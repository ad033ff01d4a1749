//! What ranking asks a catalogue for, and what it gets.

use super::{Product, ProductId};

/// What to fetch: by meaning, by words, by both, or (neither given) whatever passes the filter.
///
/// - One of the two: the `limit` best, best first, equal scores in the order of their ids.
/// - Both: the `limit` best by meaning and the `limit` best by words, together and in the order of their ids. Each hit
///   has both signals, exact, whichever of the two lists it came from.
/// - Neither: the newest `limit` by `listed_at`, those without a date last, equal dates in the order of their ids.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Retrieval {
    /// Query embedding of the manifest's width, L2 norm 1: products are compared by cosine.
    pub embedding: Option<Vec<f32>>,
    /// Query words: products are compared by BM25 over title and description ([`super::lexical`]).
    pub words: Option<String>,
    pub filter: Filter,
    pub limit: usize,
}

/// Conditions that every hit meets. The default lets everything through.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Category labels, any of which will do; empty means any category.
    pub categories: Vec<String>,
    /// Inclusive bounds; a product without a price never meets a bound.
    pub min_price: Option<f64>,
    pub max_price: Option<f64>,
    /// Ids that must not be among the hits (the query's own product).
    pub excluded: Vec<ProductId>,
}

impl Filter {
    pub fn accepts(&self, product: &Product) -> bool {
        self.accepts_facts(&product.id, product.category.as_deref(), product.price)
    }

    /// [`Filter::accepts`] for an index that holds the facts and not the product.
    pub fn accepts_facts(&self, id: &ProductId, category: Option<&str>, price: Option<f64>) -> bool {
        let category_fits = self.categories.is_empty()
            || category.is_some_and(|c| self.categories.iter().any(|any| any == c));
        let price_fits = (self.min_price.is_none() && self.max_price.is_none())
            || price.is_some_and(|price| {
                self.min_price.is_none_or(|min| price >= min) && self.max_price.is_none_or(|max| price <= max)
            });
        category_fits && price_fits && !self.excluded.contains(id)
    }
}

/// A product that retrieval found, with the raw value of each signal.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    pub id: ProductId,
    /// Cosine of query and product embedding, -1 to 1; `None` where the retrieval had no embedding.
    pub semantic: Option<f32>,
    /// BM25 score, 0 (no word in common) or more; `None` where the retrieval had no words.
    pub lexical: Option<f32>,
}
