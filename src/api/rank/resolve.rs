//! From a request's body to what ranking takes: every field checked, texts and photos embedded.

use std::time::Instant;

use bytes::Bytes;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::request::{BoostBody, FilterBody, NearBody, NotBody, PriceBounds, QueryBody, RankBody};
use crate::{
    api::{
        ApiError, AppState,
        body::{MAX_TITLE, check_length},
        listing::{MAX_LABEL, ProductInput, check_price},
        photos::PhotoSource,
    },
    catalogue::{Filter, Near, Place, StoredProduct},
    intake::{Question, Turn},
    ranking::{
        Boost, DistanceBoost, MAX_CANDIDATES, MAX_PLACE, MAX_VIEWED, Not, PhotoQuery, Query, QueryWeights,
        RankRequest, TextQuery,
    },
};

/// Results in an answer where the request does not say.
const DEFAULT_LIMIT: usize = 20;
/// Results in one answer, at most.
const MAX_LIMIT: usize = 100;
/// Categories in a filter, at most.
const MAX_CATEGORIES: usize = 100;
/// More than half-way round the globe.
const MAX_RADIUS_KM: f64 = 20_100.0;

pub async fn resolve(state: &AppState, body: RankBody) -> Result<RankRequest, ApiError> {
    let deadline = state.deadline();
    let RankBody { query, candidates, filter, boost, user, diversity, limit, offset, facets, explain } = body;
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::unusable("limit", format!("it is {limit}, it must be from 1 to {MAX_LIMIT}")));
    }
    if offset.saturating_add(limit) > MAX_PLACE {
        let detail = format!("offset and limit together may reach {MAX_PLACE}; narrow the filter instead");
        return Err(ApiError::unusable("offset", detail));
    }
    if !(0.0..=1.0).contains(&diversity) {
        return Err(ApiError::unusable("diversity", format!("it is {diversity}, it must be from 0 to 1")));
    }
    if user.viewed.len() > MAX_VIEWED {
        let detail =
            format!("there are {}, at most {MAX_VIEWED} are taken; send the latest", user.viewed.len());
        return Err(ApiError::TooLarge { field: Some("user.viewed".into()), detail });
    }
    let centre = filter.near.as_ref().map(check_near).transpose()?;
    let boost = check_boost(boost, centre)?;
    let filter = check_filter(filter, centre)?;
    let candidates = match candidates {
        Some(candidates) => Some(embed_candidates(state, candidates, deadline).await?),
        None => None,
    };
    let query = embed_query(state, query, deadline).await?;
    let count_categories = !facets.is_empty();
    let viewed = user.viewed;
    let now = to_the_hour(OffsetDateTime::now_utc());
    Ok(RankRequest {
        query,
        filter,
        candidates,
        boost,
        viewed,
        diversity,
        count_categories,
        offset,
        limit,
        explain,
        now,
    })
}

/// So that the pages of one order, asked for one after the other, fit together.
fn to_the_hour(now: OffsetDateTime) -> OffsetDateTime {
    now - time::Duration::seconds(now.unix_timestamp().rem_euclid(3_600))
        - time::Duration::nanoseconds(now.nanosecond().into())
}

fn check_filter(filter: FilterBody, centre: Option<Place>) -> Result<Filter, ApiError> {
    let FilterBody { category: categories, price: PriceBounds { min, max }, near, listed_after } = filter;
    if categories.len() > MAX_CATEGORIES {
        let detail = format!("there are {}, at most {MAX_CATEGORIES} are taken", categories.len());
        return Err(ApiError::TooLarge { field: Some("filter.category".into()), detail });
    }
    for (index, category) in categories.iter().enumerate() {
        check_length(&format!("filter.category[{index}]"), category, MAX_LABEL)?;
    }
    check_price("filter.price.min", min)?;
    check_price("filter.price.max", max)?;
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        return Err(ApiError::unusable("filter.price", format!("min {min} is above max {max}")));
    }
    let date = |text: String| {
        OffsetDateTime::parse(&text, &Rfc3339).map_err(|error| {
            let detail = format!("it is no RFC 3339 date such as 2026-11-24T09:30:00Z: {error}");
            ApiError::unusable("filter.listed_after", detail)
        })
    };
    let radius = near.and_then(|near| near.radius_km);
    Ok(Filter {
        categories,
        min_price: min,
        max_price: max,
        near: centre.zip(radius).map(|(centre, radius_km)| Near { centre, radius_km }),
        listed_after: listed_after.map(date).transpose()?,
        excluded: Vec::new(),
    })
}

fn check_near(near: &NearBody) -> Result<Place, ApiError> {
    let NearBody { lat, lon, radius_km } = *near;
    if !((-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon)) {
        let detail = "lat must be from -90 to 90 and lon from -180 to 180";
        return Err(ApiError::unusable("filter.near", detail));
    }
    if radius_km.is_some_and(|radius| !(radius > 0.0 && radius <= MAX_RADIUS_KM)) {
        let detail = format!("it must be above 0 and at most {MAX_RADIUS_KM}");
        return Err(ApiError::unusable("filter.near.radius_km", detail));
    }
    Ok(Place { lat, lon })
}

fn check_boost(boost: BoostBody, centre: Option<Place>) -> Result<Boost, ApiError> {
    let BoostBody { recency_half_life_days, distance_half_life_km, price_target } = boost;
    for (name, value) in [
        ("recency_half_life_days", recency_half_life_days),
        ("distance_half_life_km", distance_half_life_km),
        ("price_target", price_target),
    ] {
        if let Some(value) = value.filter(|value| !(*value > 0.0 && value.is_finite())) {
            let detail = format!("it is {value}, it must be above 0");
            return Err(ApiError::unusable(format!("boost.{name}"), detail));
        }
    }
    let distance = match (distance_half_life_km, centre) {
        (Some(half_life_km), Some(from)) => Some(DistanceBoost { from, half_life_km }),
        (Some(_), None) => {
            let detail = "it needs to know from where: give lat and lon in filter.near";
            return Err(ApiError::unusable("boost.distance_half_life_km", detail));
        }
        (None, _) => None,
    };
    Ok(Boost { recency_half_life_days, distance, price_target })
}

async fn embed_query(state: &AppState, query: QueryBody, deadline: Instant) -> Result<Query, ApiError> {
    let QueryBody { text, image, product_id, weights, not } = query;
    let not = match not {
        Some(NotBody { text: None, image: None, product_id: None }) => {
            let detail = "give the text, image or product_id that the results should not be like";
            return Err(ApiError::unusable("query.not", detail));
        }
        Some(NotBody { text, image, product_id }) => Not {
            text: embed_text(state, "query.not.text", text, deadline).await?,
            photo: embed_photo(state, "query.not.image", image, deadline).await?,
            product: product_id,
        },
        None => Not::default(),
    };
    Ok(Query {
        text: embed_text(state, "query.text", text, deadline).await?,
        photo: embed_photo(state, "query.image", image, deadline).await?,
        product: product_id,
        weights: QueryWeights { text: weights.text, image: weights.image, product: weights.product },
        not,
    })
}

async fn embed_text(
    state: &AppState,
    field: &str,
    words: Option<String>,
    deadline: Instant,
) -> Result<Option<TextQuery>, ApiError> {
    let Some(words) = words else { return Ok(None) };
    if words.trim().is_empty() {
        return Err(ApiError::unusable(field, "it is blank; leave it out"));
    }
    check_length(field, &words, MAX_TITLE)?;
    let embedding = embed(state, field, &words, Vec::new(), deadline).await?;
    Ok(Some(TextQuery { words, embedding }))
}

async fn embed_photo(
    state: &AppState,
    field: &str,
    source: Option<PhotoSource>,
    deadline: Instant,
) -> Result<Option<PhotoQuery>, ApiError> {
    let Some(source) = source else { return Ok(None) };
    let photos = state.photos().all(|_| field.to_owned(), vec![source], deadline).await?;
    Ok(Some(PhotoQuery { embedding: embed(state, field, "", photos, deadline).await? }))
}

async fn embed(
    state: &AppState,
    field: &str,
    text: &str,
    photos: Vec<Bytes>,
    deadline: Instant,
) -> Result<Vec<f32>, ApiError> {
    let question = Question { title: text, photos, ..Question::default() };
    let inferred = state.intake().understand(question, Turn::Now, deadline).await;
    Ok(inferred.map_err(|error| error.at(|_| field.into()))?.embedding())
}

/// Candidates are embedded as the catalogue would embed them.
async fn embed_candidates(
    state: &AppState,
    candidates: Vec<ProductInput>,
    deadline: Instant,
) -> Result<Vec<StoredProduct>, ApiError> {
    if candidates.len() > MAX_CANDIDATES {
        let detail = format!("there are {}, at most {MAX_CANDIDATES} are ranked at once", candidates.len());
        return Err(ApiError::TooLarge { field: Some("candidates".into()), detail });
    }
    let embedded = candidates.into_iter().enumerate().map(|(index, candidate)| async move {
        let place = format!("candidates[{index}].");
        let (product, photos) = candidate.check(state, &place, deadline).await?;
        state
            .intake()
            .product(product, photos, None, deadline)
            .await
            .map_err(|error| error.at(|photo| format!("{place}images[{photo}]")))
    });
    futures::future::join_all(embedded).await.into_iter().collect()
}
