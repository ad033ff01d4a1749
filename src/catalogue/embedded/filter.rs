//! The catalogue's filter in the engine's terms.

use qdrant_edge::{
    Condition, FieldCondition, Filter as EngineFilter, HasIdCondition, JsonPath, Match, PointId, Range,
    external::ordered_float::OrderedFloat,
};
use uuid::Uuid;

use super::point::point_of;
use crate::catalogue::Filter;

/// Fields of the product that filters use; the engine indexes them.
pub const CATEGORY: &str = "category";
pub const PRICE: &str = "price";

/// Where the payload holds a field of the product.
pub fn path(field: &str) -> JsonPath {
    let key = |key: &str| JsonPath { first_key: key.to_owned(), rest: Vec::new() };
    key("product").extend(&key(field))
}

/// `None` where everything passes.
pub fn to_engine(filter: &Filter) -> Option<EngineFilter> {
    let mut must = Vec::new();
    if !filter.categories.is_empty() {
        must.push(Condition::Field(FieldCondition::new_match(
            path(CATEGORY),
            Match::from(filter.categories.clone()),
        )));
    }
    if filter.min_price.is_some() || filter.max_price.is_some() {
        let range = Range {
            lt: None,
            gt: None,
            gte: filter.min_price.map(OrderedFloat),
            lte: filter.max_price.map(OrderedFloat),
        };
        must.push(Condition::Field(FieldCondition::new_range(path(PRICE), range)));
    }
    let must_not: Vec<_> = (!filter.excluded.is_empty())
        .then(|| has_id(filter.excluded.iter().map(point_of)))
        .into_iter()
        .collect();
    if must.is_empty() && must_not.is_empty() {
        return None;
    }
    Some(EngineFilter { must: Some(must), must_not: Some(must_not), ..EngineFilter::default() })
}

/// Only these points.
pub fn only(points: impl IntoIterator<Item = Uuid>) -> EngineFilter {
    EngineFilter { must: Some(vec![has_id(points)]), ..EngineFilter::default() }
}

fn has_id(points: impl IntoIterator<Item = Uuid>) -> Condition {
    Condition::HasId(points.into_iter().map(PointId::Uuid).collect::<HasIdCondition>())
}
