//! Conditions that every product found must meet.

use time::OffsetDateTime;

use super::{Facts, Place, ProductId};

/// The default lets everything through.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Category labels, any of which will do; empty means any category.
    pub categories: Vec<String>,
    /// Inclusive bounds; a product without a price never meets a bound.
    pub min_price: Option<f64>,
    pub max_price: Option<f64>,
    /// A product without coordinates is near to nothing.
    pub near: Option<Near>,
    /// Inclusive, to the microsecond; a product without a date never meets it.
    pub listed_after: Option<OffsetDateTime>,
    /// Ids that must not be found (the query's own product).
    pub excluded: Vec<ProductId>,
}

/// A circle on the globe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    pub centre: Place,
    /// Kilometres, exclusive.
    pub radius_km: f64,
}

impl Filter {
    pub fn accepts(&self, id: &ProductId, category: Option<&str>, facts: &Facts) -> bool {
        let category_fits = self.categories.is_empty()
            || category.is_some_and(|c| self.categories.iter().any(|any| any == c));
        let price_fits = (self.min_price.is_none() && self.max_price.is_none())
            || facts.price.is_some_and(|price| {
                self.min_price.is_none_or(|min| price >= min) && self.max_price.is_none_or(|max| price <= max)
            });
        let near =
            |near: Near| facts.place.is_some_and(|place| place.distance_km(near.centre) < near.radius_km);
        let recent =
            |after| facts.listed_at.is_some_and(|listed| microseconds(listed) >= microseconds(after));
        category_fits
            && price_fits
            && self.near.is_none_or(near)
            && self.listed_after.is_none_or(recent)
            && !self.excluded.contains(id)
    }
}

/// Engines keep dates to the microsecond and round down; so does every comparison of dates here.
fn microseconds(date: OffsetDateTime) -> i128 {
    date.unix_timestamp_nanos().div_euclid(1_000)
}
