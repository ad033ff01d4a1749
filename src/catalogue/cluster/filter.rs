//! The catalogue's filter in the cluster's terms.

use qdrant_client::qdrant::{Condition, Filter as ClusterFilter, GeoPoint, GeoRadius, Range};
use uuid::Uuid;

use super::point::{CATEGORY, LISTED_AT, PLACE, PRICE, microseconds, name};
use crate::catalogue::{Filter, engine_names::point_of};

/// The default lets everything through.
pub fn to_cluster(filter: &Filter) -> ClusterFilter {
    let mut must = Vec::new();
    if !filter.categories.is_empty() {
        must.push(Condition::matches(CATEGORY, filter.categories.clone()));
    }
    if filter.min_price.is_some() || filter.max_price.is_some() {
        let range = Range { gte: filter.min_price, lte: filter.max_price, ..Range::default() };
        must.push(Condition::range(PRICE, range));
    }
    if let Some(near) = filter.near {
        let center = GeoPoint { lat: near.centre.lat, lon: near.centre.lon };
        let radius = (near.radius_km * 1_000.0) as f32;
        must.push(Condition::geo_radius(PLACE, GeoRadius { center: Some(center), radius }));
    }
    if let Some(after) = filter.listed_after {
        // Exact for 285 years around 1970: a double holds every microsecond of them.
        let range = Range { gte: Some(microseconds(after) as f64), ..Range::default() };
        must.push(Condition::range(LISTED_AT, range));
    }
    let excluded = (!filter.excluded.is_empty())
        .then(|| Condition::has_id(filter.excluded.iter().map(|id| name(point_of(id)))));
    ClusterFilter { must, must_not: excluded.into_iter().collect(), ..ClusterFilter::default() }
}

/// Only these points.
pub fn only(points: &[Uuid]) -> ClusterFilter {
    ClusterFilter::must([Condition::has_id(points.iter().copied().map(name))])
}

/// Only what was listed at this moment, or (`None`) has no date.
pub fn listed_at(mut filter: ClusterFilter, date: Option<i64>) -> ClusterFilter {
    filter.must.push(match date {
        Some(date) => {
            let exactly = Some(date as f64);
            Condition::range(LISTED_AT, Range { gte: exactly, lte: exactly, ..Range::default() })
        }
        None => Condition::is_empty(LISTED_AT),
    });
    filter
}
