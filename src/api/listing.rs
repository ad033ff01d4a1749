//! A product as clients send it, checked field by field before anything is done with it.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    ApiError, AppState,
    body::{MAX_DESCRIPTION, MAX_TITLE, check_length},
    photos::PhotoSource,
};
use crate::{
    catalogue::{Location, Product, ProductId},
    intake::MAX_PHOTOS,
};

/// Longest accepted label or place name, in characters.
pub(super) const MAX_LABEL: usize = 200;
/// Most bytes of `attributes`, as JSON.
const MAX_ATTRIBUTES: usize = 16_384;

/// A listing to be stored or ranked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"id": "sofa-001", "title": "Three-seater sofa", "description": "Grey fabric, smoke-free home",
    "price": 120, "currency": "GBP", "location": {"name": "Leeds", "lat": 53.8, "lon": -1.55}}))]
pub(super) struct ProductInput {
    /// May be left out where the route names it.
    pub id: Option<ProductId>,
    #[schema(min_length = 1, max_length = 1000)]
    pub title: String,
    #[schema(max_length = 50000)]
    pub description: Option<String>,
    /// Left out, it is predicted.
    #[schema(min_length = 1, max_length = 200)]
    pub category: Option<String>,
    #[schema(minimum = 0)]
    pub price: Option<f64>,
    /// ISO 4217; left out, it is that of the models.
    #[schema(pattern = "^[A-Z]{3}$")]
    pub currency: Option<String>,
    pub location: Option<Location>,
    /// RFC 3339.
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub listed_at: Option<OffsetDateTime>,
    /// At most 8; the first one's thumbnail is kept.
    #[serde(default)]
    #[schema(max_items = 8)]
    pub images: Vec<PhotoSource>,
    /// The marketplace's own fields, kept and given back: at most 16 KiB of JSON.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub attributes: BTreeMap<String, serde_json::Value>,
}

impl ProductInput {
    /// Checks every field and brings the photos in. `place` prefixes the field names in errors: `candidates[3].`.
    pub async fn check(self, state: &AppState, place: &str) -> Result<(Product, Vec<Bytes>), ApiError> {
        let field = |name: &str| format!("{place}{name}");
        let id = self.id.ok_or_else(|| ApiError::unusable(field("id"), "a product needs an id"))?;
        if self.title.trim().is_empty() {
            return Err(ApiError::unusable(field("title"), "a product needs a title"));
        }
        check_length(&field("title"), &self.title, MAX_TITLE)?;
        check_length(
            &field("description"),
            self.description.as_deref().unwrap_or_default(),
            MAX_DESCRIPTION,
        )?;
        if let Some(category) = &self.category {
            check_length(&field("category"), category, MAX_LABEL)?;
            if category.trim().is_empty() {
                return Err(ApiError::unusable(
                    field("category"),
                    "it is blank; leave it out to have it predicted",
                ));
            }
        }
        check_price(&field("price"), self.price)?;
        let currency =
            self.currency.or_else(|| self.price.map(|_| state.inference().manifest().currency.clone()));
        if let Some(code) = &currency
            && (code.len() != 3 || !code.bytes().all(|b| b.is_ascii_uppercase()))
        {
            return Err(ApiError::unusable(
                field("currency"),
                format!("{code:?} is no ISO 4217 code such as GBP"),
            ));
        }
        if let Some(location) = &self.location {
            check_location(&field("location"), location)?;
        }
        let attributes = serde_json::to_vec(&self.attributes).map_or(0, |json| json.len());
        if attributes > MAX_ATTRIBUTES {
            let detail = format!("they are {attributes} bytes of JSON, at most {MAX_ATTRIBUTES} are taken");
            return Err(ApiError::unusable(field("attributes"), detail));
        }
        if self.images.len() > MAX_PHOTOS {
            let detail = format!("at most {MAX_PHOTOS} photos are taken, here are {}", self.images.len());
            return Err(ApiError::unusable(field("images"), detail));
        }
        let mut photos = Vec::with_capacity(self.images.len());
        for (index, source) in self.images.into_iter().enumerate() {
            photos.push(state.photos().bytes(&field(&format!("images[{index}]")), source).await?);
        }
        let product = Product {
            id,
            title: self.title,
            description: self.description,
            category: self.category,
            category_predicted: false,
            price: self.price,
            currency,
            location: self.location,
            listed_at: self.listed_at,
            attributes: self.attributes,
        };
        Ok((product, photos))
    }
}

/// Refuses a price that is negative or no number.
pub(super) fn check_price(field: &str, price: Option<f64>) -> Result<(), ApiError> {
    match price {
        Some(price) if !(price >= 0.0 && price.is_finite()) => {
            Err(ApiError::unusable(field, format!("it is {price}, it must be zero or more")))
        }
        _ => Ok(()),
    }
}

fn check_location(field: &str, location: &Location) -> Result<(), ApiError> {
    check_length(&format!("{field}.name"), location.name.as_deref().unwrap_or_default(), MAX_LABEL)?;
    match (location.lat, location.lon) {
        (None, None) => Ok(()),
        (Some(lat), Some(lon)) if (-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon) => Ok(()),
        (Some(_), Some(_)) => {
            Err(ApiError::unusable(field, "lat must be from -90 to 90 and lon from -180 to 180"))
        }
        _ => Err(ApiError::unusable(field, "give lat and lon together or neither")),
    }
}
