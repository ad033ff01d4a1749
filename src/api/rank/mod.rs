//! `POST /v1/rank-products`: which listings should this buyer see first?
//!
//! [`request`] is what clients send, [`resolve`] checks it and embeds what it brings.

mod request;
mod resolve;

use std::{collections::BTreeMap, time::Instant};

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) use self::request::RankBody;
use super::{ApiError, AppState, ModelInfo, Problem, Serving, body::ApiJson};
use crate::{
    catalogue::{FacetCount, Product, ProductId},
    inference::Model,
    ranking::{Contribution, RankError, Ranked, rank},
};

pub(super) fn routes() -> OpenApiRouter<Serving> {
    OpenApiRouter::new().routes(routes!(rank_products))
}

#[derive(Debug, Serialize, ToSchema)]
struct RankAnswer {
    /// Best first.
    results: Vec<RankResult>,
    /// Where asked for: the values of each field, most frequent first, counted over the products that pass the filter.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    facets: BTreeMap<&'static str, Vec<FacetBody>>,
    /// From the arrival of the whole request to the answer.
    took_ms: f64,
    /// The model that embedded the query.
    model: ModelInfo,
}

#[derive(Debug, Serialize, ToSchema)]
struct FacetBody {
    value: String,
    count: u64,
}

#[derive(Debug, Serialize, ToSchema)]
struct RankResult {
    id: ProductId,
    /// Higher is better; comparable between results of one request only.
    score: f32,
    product: Product,
    /// Where the thumbnail of its first photo is, if the catalogue has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/v1/products/sofa-001/photo")]
    photo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Vec<SignalBody>>,
}

/// One part of a score; the contributions of a result add up to it.
#[derive(Debug, Serialize, ToSchema)]
struct SignalBody {
    /// `semantic`, `lexical`, `kind`, `not`, `taste`, `recency`, `distance` or `price`.
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
        (status = 200, description = "Listings, best first", body = RankAnswer),
        (status = "4XX", description = "The request cannot be answered as it is", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The server cannot answer", body = Problem, content_type = "application/problem+json")
    ))]
async fn rank_products(
    State(state): State<AppState>,
    ApiJson(body): ApiJson<RankBody>,
) -> Result<Json<RankAnswer>, ApiError> {
    let started = Instant::now();
    let model =
        if body.query.text.is_none() && body.query.image.is_some() { Model::Image } else { Model::Text };
    let request = resolve::resolve(&state, body).await?;
    let ranking = rank(state.catalogue(), &request).await?;
    let facet = |count: FacetCount| FacetBody { value: count.value, count: count.count };
    let facets = ranking.categories.map(|counts| ("category", counts.into_iter().map(facet).collect()));
    Ok(Json(RankAnswer {
        results: ranking.results.into_iter().map(result_body).collect(),
        facets: facets.into_iter().collect(),
        took_ms: (started.elapsed().as_secs_f64() * 1e5).round() / 1e2,
        model: state.model_info(model),
    }))
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
        photo: ranked.pictured.then(|| format!("/v1/products/{}/photo", ranked.product.id)),
        explanation: ranked.explanation.map(|e| e.contributions.iter().map(signal).collect()),
        product: ranked.product,
    }
}

impl From<RankError> for ApiError {
    fn from(error: RankError) -> Self {
        let field = match error {
            RankError::Catalogue(error) => return error.into(),
            RankError::Width { .. } => return Self::Internal(error.to_string()),
            RankError::UnknownProduct { field, .. } => field,
            RankError::Weight { .. } | RankError::NoWeight | RankError::Cancelled => "query.weights",
            RankError::OnlyNot => "query.not",
            RankError::Page { .. } => "offset",
            RankError::Diversity(_) => "diversity",
            RankError::TooManyViewed(_) => "user.viewed",
            RankError::TooManyCandidates(_) | RankError::RepeatedCandidate(_) => "candidates",
        };
        Self::unusable(field, error)
    }
}
