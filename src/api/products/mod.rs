//! `/v1/products`: the catalogue, one product at a time, many ([`bulk`]), or all of them ([`list`]).

mod bulk;
mod list;

pub(super) use bulk::{Line, Lines};

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{ApiError, AppState, Problem, Serving, body::ApiJson, listing::ProductInput};
use crate::{
    catalogue::{Product, ProductId, StoredProduct},
    revalidate,
};

pub(super) fn routes() -> OpenApiRouter<Serving> {
    OpenApiRouter::new()
        .routes(routes!(put_product, get_product, delete_product))
        .routes(routes!(bulk::post_products, list::list_products))
        .routes(routes!(get_photo))
}

/// Store a product
///
/// Replaces one of the same id. When the answer arrives, the product is on disk and can be found. It is embedded again
/// only where title, description or photos are others than before.
#[utoipa::path(put, path = "/v1/products/{id}", tag = "products", operation_id = "putProduct",
    params(("id" = ProductId, Path, description = "1 to 128 of A-Z a-z 0-9 . _ ~ : -")),
    request_body = ProductInput,
    responses(
        (status = 200, description = "The product as it is stored", body = Product),
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
    let before = state.catalogue().get(std::slice::from_ref(&id)).await?.pop().flatten();
    input.id = Some(id);
    let stored = take_in(&state, input, before).await?;
    let product = stored.product.clone();
    state.catalogue().upsert(vec![stored]).await?;
    Ok(Json(product))
}

/// Get a product
#[utoipa::path(get, path = "/v1/products/{id}", tag = "products", operation_id = "getProduct",
    params(("id" = ProductId, Path, description = "The product", example = "road-bike-red-54cm")),
    responses(
        (status = 200, description = "The product", body = Product),
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
    params(("id" = ProductId, Path, description = "The product", example = "road-bike-red-54cm")),
    responses(
        (status = 200, content_type = "image/jpeg", body = String, description = "At most 320 pixels a side"),
        (status = 304, description = "It is the one of `If-None-Match`"),
        (status = "4XX", description = "The request cannot be answered as it is", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The server cannot answer", body = Problem, content_type = "application/problem+json")
    ))]
async fn get_photo(
    State(state): State<AppState>,
    Path(id): Path<String>,
    request: HeaderMap,
) -> Result<Response, ApiError> {
    let stored = find(&state, &id).await?;
    let thumbnail = stored.thumbnail.ok_or_else(|| {
        ApiError::NotFound(format!("the product {} was stored without a photo", stored.product.id))
    })?;
    let headers = [(header::CONTENT_TYPE, "image/jpeg"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    let hash = revalidate::hash([thumbnail.as_slice()]);
    Ok(revalidate::answer(&request, &hash, (headers, thumbnail)))
}

/// Checks one product and embeds it, unless what is stored of it still holds.
async fn take_in(
    state: &AppState,
    input: ProductInput,
    before: Option<StoredProduct>,
) -> Result<StoredProduct, ApiError> {
    let deadline = state.deadline();
    let (product, photos) = input.check(state, "", deadline).await?;
    Ok(state.intake().product(product, photos, before, deadline).await?)
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
