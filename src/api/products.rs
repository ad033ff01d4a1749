//! `/v1/products`: the catalogue, one product at a time or many.

use axum::{
    Json,
    extract::{Path, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError, AppState, Problem,
    body::{ApiJson, content_type, is_json, parse_json, read_body},
    error::request_id,
    listing::ProductInput,
};
use crate::catalogue::{Product, ProductId, StoredProduct};

/// Products of one bulk request, at most.
const MAX_BULK: usize = 10_000;
/// Products embedded and made durable together.
const CHUNK: usize = 32;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(put_product, get_product, delete_product))
        .routes(routes!(post_products))
        .routes(routes!(get_photo))
}

/// What became of each product of a bulk request.
#[derive(Debug, Serialize, ToSchema)]
struct BulkResponse {
    stored: usize,
    failed: usize,
    /// One for each product, in the order of the request.
    results: Vec<BulkResult>,
}

#[derive(Debug, Serialize, ToSchema)]
struct BulkResult {
    /// Position in the array, or line of the NDJSON, counted from 0; blank lines are not counted.
    index: usize,
    /// Absent where it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<ProductId>,
    #[schema(example = "stored")]
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Problem>,
}

/// An element of a bulk request whose own fields are checked later, so that one bad element spoils no other.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Element(Box<serde_json::value::RawValue>);

/// Store a product
///
/// Replaces one of the same id. When the answer arrives, the product is on disk and can be found.
#[utoipa::path(put, path = "/v1/products/{id}", tag = "products", operation_id = "putProduct",
    params(("id" = ProductId, Path, description = "1 to 128 of A-Z a-z 0-9 . _ ~ : -")),
    request_body = ProductInput,
    responses(
        (status = 200, body = Product),
        (status = "4XX", description = "The request cannot be answered as it is", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The server cannot answer", body = Problem, content_type = "application/problem+json")
    ))]
async fn put_product(
    State(state): State<AppState>,
    Path(id): Path<String>,
    ApiJson(mut input): ApiJson<ProductInput>,
) -> Result<Json<Product>, ApiError> {
    let id = parse_id(&id)?;
    if input.id.as_ref().is_some_and(|given| *given != id) {
        return Err(ApiError::unusable(
            "id",
            format!("the route says {id}; leave the field out or make it the same"),
        ));
    }
    input.id = Some(id);
    let stored = take_in(&state, input).await?;
    let product = stored.product.clone();
    state.catalogue().upsert(vec![stored]).await?;
    Ok(Json(product))
}

/// Store many products
///
/// A JSON array, or NDJSON (`application/x-ndjson`), one product a line. Each product succeeds or fails on its own.
#[utoipa::path(post, path = "/v1/products", tag = "products", operation_id = "postProducts",
    request_body(content((Vec<ProductInput> = "application/json"), (String = "application/x-ndjson"))),
    responses(
        (status = 200, body = BulkResponse),
        (status = "4XX", description = "The request cannot be answered as it is", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The server cannot answer", body = Problem, content_type = "application/problem+json")
    ))]
async fn post_products(
    State(state): State<AppState>,
    request: Request,
) -> Result<Json<BulkResponse>, ApiError> {
    let request_id = request_id(&request).to_owned();
    let json = is_json(request.headers());
    let lines = matches!(
        content_type(request.headers()).as_deref(),
        Some("application/x-ndjson" | "application/jsonl")
    );
    if !json && !lines {
        let detail = "send application/json (an array) or application/x-ndjson (a product a line)".into();
        return Err(ApiError::UnsupportedType { field: None, detail });
    }
    let body = read_body(request, &state).await?;
    let elements: Vec<Result<ProductInput, ApiError>> = if json {
        let elements: Vec<Element> = parse_json(&body)?;
        elements.iter().map(|Element(element)| parse_json(element.get().as_bytes())).collect()
    } else {
        let lines = body.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        lines.map(parse_json).collect()
    };
    if elements.len() > MAX_BULK {
        let detail = format!("there are {} products, at most {MAX_BULK} are taken at once", elements.len());
        return Err(ApiError::TooLarge { field: None, detail });
    }

    let mut outcomes: Vec<(Option<ProductId>, Result<(), ApiError>)> = Vec::with_capacity(elements.len());
    let mut elements = elements.into_iter().peekable();
    while elements.peek().is_some() {
        let chunk = elements.by_ref().take(CHUNK);
        outcomes.extend(store_chunk(&state, chunk).await);
    }
    let failed = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).count();
    let stored = outcomes.len() - failed;
    let results = outcomes.into_iter().enumerate().map(|(index, (id, outcome))| {
        let error = outcome.err().map(|error| error.problem(&request_id));
        BulkResult { index, id, status: if error.is_none() { "stored" } else { "failed" }, error }
    });
    Ok(Json(BulkResponse { stored, failed, results: results.collect() }))
}

/// Get a product
#[utoipa::path(get, path = "/v1/products/{id}", tag = "products", operation_id = "getProduct",
    params(("id" = ProductId, Path, description = "The product")),
    responses(
        (status = 200, body = Product),
        (status = "4XX", description = "The request cannot be answered as it is", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The server cannot answer", body = Problem, content_type = "application/problem+json")
    ))]
async fn get_product(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Product>, ApiError> {
    Ok(Json(find(&state, &id).await?.product))
}

/// Delete a product
#[utoipa::path(delete, path = "/v1/products/{id}", tag = "products", operation_id = "deleteProduct",
    params(("id" = ProductId, Path, description = "The product")),
    responses(
        (status = 204, description = "It is gone"),
        (status = "4XX", description = "The request cannot be answered as it is", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The server cannot answer", body = Problem, content_type = "application/problem+json")
    ))]
async fn delete_product(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let id = parse_id(&id)?;
    if state.catalogue().delete(&id).await? { Ok(StatusCode::NO_CONTENT) } else { Err(unknown(&id)) }
}

/// Get the thumbnail of a product's first photo
#[utoipa::path(get, path = "/v1/products/{id}/photo", tag = "products", operation_id = "getProductPhoto",
    params(("id" = ProductId, Path, description = "The product")),
    responses(
        (status = 200, content_type = "image/jpeg", body = String, description = "At most 320 pixels a side"),
        (status = "4XX", description = "The request cannot be answered as it is", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The server cannot answer", body = Problem, content_type = "application/problem+json")
    ))]
async fn get_photo(State(state): State<AppState>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let stored = find(&state, &id).await?;
    let thumbnail = stored.thumbnail.ok_or_else(|| {
        ApiError::NotFound(format!("the product {} was stored without a photo", stored.product.id))
    })?;
    let headers = [(header::CONTENT_TYPE, "image/jpeg"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    Ok((headers, thumbnail).into_response())
}

/// Checks and embeds one product.
async fn take_in(state: &AppState, input: ProductInput) -> Result<StoredProduct, ApiError> {
    let (product, photos) = input.check(state, "").await?;
    Ok(state.intake().product(product, photos, state.timeout()).await?)
}

/// Embeds the products of one chunk together and stores those that are good in one write. Of two with one id in a
/// chunk the later one stays, as if they had been sent one after the other.
async fn store_chunk(
    state: &AppState,
    chunk: impl Iterator<Item = Result<ProductInput, ApiError>>,
) -> Vec<(Option<ProductId>, Result<(), ApiError>)> {
    let embedded = futures::future::join_all(chunk.map(|element| async {
        match element {
            Ok(input) => (input.id.clone(), take_in(state, input).await),
            Err(error) => (None, Err(error)),
        }
    }))
    .await;
    let mut good = Vec::new();
    let mut outcomes = Vec::with_capacity(embedded.len());
    for (id, outcome) in embedded {
        outcomes.push((
            id,
            outcome.map(|stored| {
                good.retain(|other: &StoredProduct| other.product.id != stored.product.id);
                good.push(stored);
            }),
        ));
    }
    if good.is_empty() {
        return outcomes;
    }
    if let Err(error) = state.catalogue().upsert(good).await {
        let reason = error.to_string();
        for (_, outcome) in outcomes.iter_mut().filter(|(_, outcome)| outcome.is_ok()) {
            *outcome = Err(ApiError::Internal(reason.clone()));
        }
    }
    outcomes
}

async fn find(state: &AppState, id: &str) -> Result<StoredProduct, ApiError> {
    let id = parse_id(id)?;
    let found = state.catalogue().get(std::slice::from_ref(&id)).await?.pop().flatten();
    found.ok_or_else(|| unknown(&id))
}

fn parse_id(text: &str) -> Result<ProductId, ApiError> {
    text.parse().map_err(|error| ApiError::unusable("id", error))
}

fn unknown(id: &ProductId) -> ApiError {
    ApiError::NotFound(format!("there is no product {id}"))
}
