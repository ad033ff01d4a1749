//! `GET /v1/products`: every product, page by page.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    api::{ApiError, AppState, Problem, body::check_length, listing::MAX_LABEL},
    catalogue::{Filter, Position, Product},
};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only products of this category.
    category: Option<String>,
    /// Products on a page.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// `next` of the page before, asked with the same `category`.
    cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProductPage {
    /// In an order of the catalogue's own.
    products: Vec<Product>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// List products
///
/// Follow `next` until there is none. A product that is stored or deleted meanwhile may be missed; every other one is on
/// exactly one page.
#[utoipa::path(get, path = "/v1/products", tag = "products", operation_id = "listProducts", params(ListQuery),
    responses(
        (status = 200, description = "A page of products", body = ProductPage),
        (status = "4XX", description = "The request cannot be answered as it is", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The server cannot answer", body = Problem, content_type = "application/problem+json")
    ))]
pub(super) async fn list_products(
    State(state): State<AppState>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<ProductPage>, ApiError> {
    let Query(ListQuery { category, limit, cursor }) =
        query.map_err(|rejection| ApiError::unusable("query", rejection.body_text()))?;
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::unusable("limit", format!("it is {limit}, it must be from 1 to {MAX_LIMIT}")));
    }
    check_length("category", category.as_deref().unwrap_or_default(), MAX_LABEL)?;
    let from = cursor.map(|cursor| read_cursor(&cursor, category.as_deref())).transpose()?;
    let filter = Filter { categories: category.iter().cloned().collect(), ..Filter::default() };
    let page = state.catalogue().page(&filter, from, limit).await?;
    let products = state.catalogue().products(&page.ids).await?;
    Ok(Json(ProductPage {
        products: products.into_iter().flatten().collect(),
        next: page.next.map(|position| cursor_at(position, category.as_deref())),
    }))
}

/// The position and a checksum of position and query, in URL-safe base64.
fn cursor_at(position: Position, category: Option<&str>) -> String {
    let mut bytes = position.0.into_bytes().to_vec();
    bytes.extend(checksum(&bytes, category).to_le_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn read_cursor(cursor: &str, category: Option<&str>) -> Result<Position, ApiError> {
    let refused = || {
        let detail = "it is not one of this query's; leave it out to start over, and change nothing but the cursor \
                      from page to page";
        ApiError::unusable("cursor", detail)
    };
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refused())?;
    let (position, sum) = bytes.split_first_chunk::<16>().ok_or_else(refused)?;
    if checksum(position, category).to_le_bytes() != sum {
        return Err(refused());
    }
    Ok(Position(Uuid::from_bytes(*position)))
}

fn checksum(position: &[u8], category: Option<&str>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(position);
    // No category and a category of no letters are two queries.
    hasher.update(&[u8::from(category.is_some())]);
    hasher.update(category.unwrap_or_default().as_bytes());
    hasher.finalize()
}
