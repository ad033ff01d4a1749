//! `POST /v1/rank-products`: which listings should this buyer see first?

use std::time::Instant;

use axum::{Json, extract::State};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError, AppState, ModelInfo, Problem,
    body::{ApiJson, MAX_TITLE, check_length},
    listing::{ProductInput, check_price},
    photos::PhotoSource,
};
use crate::{
    catalogue::{Filter, Product, ProductId},
    inference::Model,
    ranking::{
        Candidate, Contribution, MAX_CANDIDATES, MAX_PLACE, PhotoQuery, Query, QueryWeights, RankError,
        RankRequest, Ranked, TextQuery, rank,
    },
};

/// Results in an answer where the request does not say.
const DEFAULT_LIMIT: usize = 20;
/// Results in one answer, at most.
const MAX_LIMIT: usize = 100;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(rank_products))
}

/// What to rank by, what to rank, and which part of the order to give.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"query": {"text": "oak dining table"}, "filter": {"price": {"max": 200}}, "limit": 5, "explain": true}))]
struct RankBody {
    /// Left out or empty, the newest listings come first.
    #[serde(default)]
    query: QueryBody,
    /// Rank these instead of the catalogue.
    #[schema(max_items = 200)]
    candidates: Option<Vec<ProductInput>>,
    #[serde(default)]
    filter: FilterBody,
    /// Not available yet: refused with 422.
    boost: Option<BoostBody>,
    /// Not available yet: refused with 422.
    user: Option<UserBody>,
    /// Not available yet: refused with 422.
    #[schema(minimum = 0, maximum = 1)]
    diversity: Option<f32>,
    #[schema(minimum = 1, maximum = 100, default = 20)]
    limit: Option<usize>,
    /// `offset + limit` may reach 1000.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 999)]
    offset: usize,
    /// Not available yet: refused with 422.
    facets: Option<Vec<String>>,
    /// Say of each result how its score came about.
    #[serde(default)]
    explain: bool,
}

/// Any mix of a text, a photo and a product.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct QueryBody {
    #[schema(max_length = 1000)]
    text: Option<String>,
    image: Option<PhotoSource>,
    /// A product of the catalogue (or of the candidates) that the results should resemble.
    product_id: Option<ProductId>,
    #[serde(default)]
    weights: WeightsBody,
    /// Not available yet: refused with 422.
    not: Option<NotBody>,
}

/// How much text and photo count against each other: 0 to 10, not both 0.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WeightsBody {
    #[serde(default = "one")]
    #[schema(minimum = 0, maximum = 10, default = 1)]
    text: f32,
    #[serde(default = "one")]
    #[schema(minimum = 0, maximum = 10, default = 1)]
    image: f32,
}

fn one() -> f32 {
    1.0
}

impl Default for WeightsBody {
    fn default() -> Self {
        Self { text: one(), image: one() }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read to be refused by name")]
struct NotBody {
    text: Option<String>,
    image: Option<PhotoSource>,
    product_id: Option<ProductId>,
}

/// Conditions that every result meets.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FilterBody {
    /// Any of these.
    #[serde(default)]
    category: Vec<String>,
    #[serde(default)]
    price: PriceBounds,
    /// Not available yet: refused with 422.
    near: Option<NearBody>,
    /// Not available yet: refused with 422. RFC 3339.
    #[schema(value_type = Option<String>, format = DateTime)]
    listed_after: Option<String>,
}

/// Inclusive; a product without a price meets no bound.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PriceBounds {
    #[schema(minimum = 0)]
    min: Option<f64>,
    #[schema(minimum = 0)]
    max: Option<f64>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read to be refused by name")]
struct NearBody {
    lat: f64,
    lon: f64,
    radius_km: f64,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read to be refused by name")]
struct BoostBody {
    recency_half_life_days: Option<f64>,
    distance_half_life_km: Option<f64>,
    price_target: Option<f64>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read to be refused by name")]
struct UserBody {
    viewed: Vec<ProductId>,
}

#[derive(Debug, Serialize, ToSchema)]
struct RankAnswer {
    /// Best first.
    results: Vec<RankResult>,
    /// From the arrival of the whole request to the answer.
    took_ms: f64,
    /// The model that embedded the query.
    model: ModelInfo,
}

#[derive(Debug, Serialize, ToSchema)]
struct RankResult {
    id: ProductId,
    /// Higher is better; comparable between results of one request only.
    score: f32,
    product: Product,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Vec<SignalBody>>,
}

/// One part of a score; the contributions of a result add up to it.
#[derive(Debug, Serialize, ToSchema)]
struct SignalBody {
    #[schema(example = "semantic")]
    signal: &'static str,
    value: f32,
    weight: f32,
    /// `value` times `weight`.
    contribution: f32,
}

/// Rank products
///
/// Ranks the catalogue, or the candidates of the request, by a text, a photo, a product, or a mix of them.
#[utoipa::path(post, path = "/v1/rank-products", tag = "rank", operation_id = "rankProducts",
    request_body = RankBody,
    responses(
        (status = 200, body = RankAnswer),
        (status = "4XX", description = "The request cannot be answered as it is", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The server cannot answer", body = Problem, content_type = "application/problem+json")
    ))]
async fn rank_products(
    State(state): State<AppState>,
    ApiJson(body): ApiJson<RankBody>,
) -> Result<Json<RankAnswer>, ApiError> {
    let started = Instant::now();
    refuse_what_is_not_available(&body)?;
    let model =
        if body.query.text.is_none() && body.query.image.is_some() { Model::Image } else { Model::Text };
    let request = resolve(&state, body).await?;
    let results = rank(state.catalogue(), &request).await?.results;
    Ok(Json(RankAnswer {
        results: results.into_iter().map(result_body).collect(),
        took_ms: (started.elapsed().as_secs_f64() * 1e5).round() / 1e2,
        model: state.model_info(model),
    }))
}

/// Parts of the contract that this version reads but cannot serve. Ignoring them would answer another question.
fn refuse_what_is_not_available(body: &RankBody) -> Result<(), ApiError> {
    let asked = [
        ("query.not", body.query.not.is_some()),
        ("filter.near", body.filter.near.is_some()),
        ("filter.listed_after", body.filter.listed_after.is_some()),
        ("boost", body.boost.is_some()),
        ("user", body.user.is_some()),
        ("diversity", body.diversity.is_some()),
        ("facets", body.facets.is_some()),
    ];
    match asked.into_iter().find(|(_, given)| *given) {
        Some((field, _)) => Err(ApiError::unusable(field, "this version cannot do that yet; leave it out")),
        None => Ok(()),
    }
}

/// Checks the request and embeds what it brings.
async fn resolve(state: &AppState, body: RankBody) -> Result<RankRequest, ApiError> {
    let RankBody { query, candidates, filter, limit, offset, explain, .. } = body;
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::unusable("limit", format!("it is {limit}, it must be from 1 to {MAX_LIMIT}")));
    }
    if offset.saturating_add(limit) > MAX_PLACE {
        let detail = format!("offset and limit together may reach {MAX_PLACE}; narrow the filter instead");
        return Err(ApiError::unusable("offset", detail));
    }
    let PriceBounds { min, max } = filter.price;
    check_price("filter.price.min", min)?;
    check_price("filter.price.max", max)?;
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        return Err(ApiError::unusable("filter.price", format!("min {min} is above max {max}")));
    }
    let filter = Filter { categories: filter.category, min_price: min, max_price: max, ..Filter::default() };
    let candidates = match candidates {
        Some(candidates) => Some(embed_candidates(state, candidates).await?),
        None => None,
    };
    let query = embed_query(state, query).await?;
    Ok(RankRequest { query, filter, candidates, offset, limit, explain })
}

async fn embed_query(state: &AppState, query: QueryBody) -> Result<Query, ApiError> {
    let text = match query.text {
        Some(words) if words.trim().is_empty() => {
            return Err(ApiError::unusable("query.text", "it is blank; leave it out to browse"));
        }
        Some(words) => {
            check_length("query.text", &words, MAX_TITLE)?;
            let embedding = embed(state, &words, Vec::new()).await?;
            Some(TextQuery { words, embedding })
        }
        None => None,
    };
    let photo = match query.image {
        Some(source) => {
            let bytes = state.photos().bytes("query.image", source).await?;
            Some(PhotoQuery { embedding: embed(state, "", vec![bytes]).await? })
        }
        None => None,
    };
    let weights = QueryWeights { text: query.weights.text, image: query.weights.image };
    Ok(Query { text, photo, product: query.product_id, weights })
}

async fn embed(state: &AppState, text: &str, photos: Vec<Bytes>) -> Result<Vec<f32>, ApiError> {
    let deadline = state.deadline();
    let tensors =
        state.intake().tensors(text, "", photos).await.map_err(|error| error.at(|_| "query.image".into()))?;
    Ok(state.inference().infer(tensors, deadline).await?.embedding())
}

/// Candidates are embedded as the catalogue would embed them.
async fn embed_candidates(
    state: &AppState,
    candidates: Vec<ProductInput>,
) -> Result<Vec<Candidate>, ApiError> {
    if candidates.len() > MAX_CANDIDATES {
        let detail = format!("there are {}, at most {MAX_CANDIDATES} are ranked at once", candidates.len());
        return Err(ApiError::TooLarge { field: Some("candidates".into()), detail });
    }
    let embedded = candidates.into_iter().enumerate().map(|(index, candidate)| async move {
        let place = format!("candidates[{index}].");
        let (product, photos) = candidate.check(state, &place).await?;
        let stored = state
            .intake()
            .product(product, photos, state.timeout())
            .await
            .map_err(|error| error.at(|photo| format!("{place}images[{photo}]")))?;
        Ok(Candidate { product: stored.product, embedding: stored.embedding })
    });
    futures::future::join_all(embedded).await.into_iter().collect()
}

fn result_body(ranked: Ranked) -> RankResult {
    let signal = |contribution: &Contribution| SignalBody {
        signal: contribution.signal.name(),
        value: contribution.value,
        weight: contribution.weight,
        contribution: contribution.points(),
    };
    RankResult {
        id: ranked.product.id.clone(),
        score: ranked.score,
        explanation: ranked.explanation.map(|e| e.contributions.iter().map(signal).collect()),
        product: ranked.product,
    }
}

impl From<RankError> for ApiError {
    fn from(error: RankError) -> Self {
        let field = match error {
            RankError::Catalogue(error) => return error.into(),
            RankError::Width { .. } => return Self::Internal(error.to_string()),
            RankError::UnknownProduct(_) => "query.product_id",
            RankError::Weight { .. } | RankError::NoWeight | RankError::Cancelled => "query.weights",
            RankError::Page { .. } => "offset",
            RankError::TooManyCandidates(_) | RankError::RepeatedCandidate(_) => "candidates",
        };
        Self::unusable(field, error)
    }
}
