//! The catalogue's filter in the engine's terms.

use std::str::FromStr;

use qdrant_edge::{
    Condition, DateTimeWrapper, DatetimeIndexParams, FieldCondition, Filter as EngineFilter,
    FloatIndexParams, GeoIndexParams, GeoPoint, GeoRadius, HasIdCondition, JsonPath, KeywordIndexParams,
    Match, PayloadSchemaParams, PointId, Range, external::ordered_float::OrderedFloat,
};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::catalogue::{CatalogueError, Filter, engine_names::point_of};

/// Where the payload holds the category of a product.
pub const CATEGORY: &str = "category";
const PRICE: &str = "price";
const LOCATION: &str = "location";
const LISTED_AT: &str = "listed_at";

/// Fields of the product that filters use, which the engine indexes, in mapped files.
pub fn indexed() -> [(&'static str, PayloadSchemaParams); 4] {
    let on_disk = Some(true);
    [
        (CATEGORY, PayloadSchemaParams::Keyword(KeywordIndexParams { on_disk, ..Default::default() })),
        (PRICE, PayloadSchemaParams::Float(FloatIndexParams { on_disk, ..Default::default() })),
        (LOCATION, PayloadSchemaParams::Geo(GeoIndexParams { on_disk, ..Default::default() })),
        (LISTED_AT, PayloadSchemaParams::Datetime(DatetimeIndexParams { on_disk, ..Default::default() })),
    ]
}

/// Where the payload holds a field of the product.
pub fn path(field: &str) -> JsonPath {
    let key = |key: &str| JsonPath { first_key: key.to_owned(), rest: Vec::new() };
    key("product").extend(&key(field))
}

/// `None` where everything passes.
pub fn to_engine(filter: &Filter) -> Result<Option<EngineFilter>, CatalogueError> {
    let mut must = Vec::new();
    if !filter.categories.is_empty() {
        must.push(FieldCondition::new_match(path(CATEGORY), Match::from(filter.categories.clone())));
    }
    if filter.min_price.is_some() || filter.max_price.is_some() {
        let range = Range {
            lt: None,
            gt: None,
            gte: filter.min_price.map(OrderedFloat),
            lte: filter.max_price.map(OrderedFloat),
        };
        must.push(FieldCondition::new_range(path(PRICE), range));
    }
    if let Some(near) = filter.near {
        let circle = GeoRadius {
            center: GeoPoint { lon: OrderedFloat(near.centre.lon), lat: OrderedFloat(near.centre.lat) },
            radius: OrderedFloat(near.radius_km * 1_000.0),
        };
        must.push(FieldCondition::new_geo_radius(path(LOCATION), circle));
    }
    if let Some(after) = filter.listed_after {
        let range = Range { lt: None, gt: None, gte: Some(date(after)?), lte: None };
        must.push(FieldCondition::new_datetime_range(path(LISTED_AT), range));
    }
    let must: Vec<_> = must.into_iter().map(Condition::Field).collect();
    let must_not: Vec<_> = (!filter.excluded.is_empty())
        .then(|| has_id(filter.excluded.iter().map(point_of)))
        .into_iter()
        .collect();
    if must.is_empty() && must_not.is_empty() {
        return Ok(None);
    }
    Ok(Some(EngineFilter { must: Some(must), must_not: Some(must_not), ..EngineFilter::default() }))
}

/// Only these points.
pub fn only(points: impl IntoIterator<Item = Uuid>) -> EngineFilter {
    EngineFilter { must: Some(vec![has_id(points)]), ..EngineFilter::default() }
}

fn has_id(points: impl IntoIterator<Item = Uuid>) -> Condition {
    Condition::HasId(points.into_iter().map(PointId::Uuid).collect::<HasIdCondition>())
}

fn date(date: OffsetDateTime) -> Result<DateTimeWrapper, CatalogueError> {
    let unusable = |error: String| CatalogueError::Engine(format!("it cannot compare with {date}: {error}"));
    let text =
        date.to_offset(UtcOffset::UTC).format(&Rfc3339).map_err(|error| unusable(error.to_string()))?;
    DateTimeWrapper::from_str(&text).map_err(|error| unusable(error.to_string()))
}
