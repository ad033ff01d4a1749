//! A product as clients send it, checked field by field before anything is done with it.

use std::{collections::BTreeMap, time::Instant};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
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
/// How deep `attributes` may nest: the object itself is the first level. A reader of JSON takes 127 levels, and where products
/// are stored a record puts some of its own around these.
const MAX_LEVELS: usize = 32;

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
    pub attributes: BTreeMap<String, Value>,
}

impl ProductInput {
    /// Checks every field and brings the photos in. `place` prefixes the field names in errors: `candidates[3].`.
    pub async fn check(
        self,
        state: &AppState,
        place: &str,
        deadline: Instant,
    ) -> Result<(Product, Vec<Bytes>), ApiError> {
        let field = |name: &str| format!("{place}{name}");
        let id = self.id.ok_or_else(|| ApiError::unusable(field("id"), "a product needs an id"))?;
        id.check_addressable().map_err(|error| ApiError::unusable(field("id"), error))?;
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
        if nests_deeper(&self.attributes, MAX_LEVELS) {
            let detail = format!("they nest deeper than {MAX_LEVELS} levels; flatten them");
            return Err(ApiError::unusable(field("attributes"), detail));
        }
        if self.images.len() > MAX_PHOTOS {
            let detail = format!("at most {MAX_PHOTOS} photos are taken, here are {}", self.images.len());
            return Err(ApiError::unusable(field("images"), detail));
        }
        let name = |index| field(&format!("images[{index}]"));
        let photos = state.photos().all(name, self.images, deadline).await?;
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

/// Whether objects and lists stand in one another more than this many levels deep, the attributes' own object being the first.
fn nests_deeper(attributes: &BTreeMap<String, Value>, levels: usize) -> bool {
    let mut waiting: Vec<(&Value, usize)> = attributes.values().map(|value| (value, 2)).collect();
    while let Some((value, level)) = waiting.pop() {
        if level > levels && (value.is_array() || value.is_object()) {
            return true;
        }
        match value {
            Value::Array(items) => waiting.extend(items.iter().map(|item| (item, level + 1))),
            Value::Object(fields) => waiting.extend(fields.values().map(|item| (item, level + 1))),
            _ => {}
        }
    }
    false
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
    location.check_coordinates().map_err(|reason| ApiError::unusable(field, reason))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Attributes of this many levels, every second one a list.
    fn nested(levels: usize) -> BTreeMap<String, Value> {
        let wrap = |inner: Value, level: usize| match level % 2 {
            0 => json!([1, inner]),
            _ => json!({"in": inner}),
        };
        let deep = (1..levels).fold(json!(1), wrap);
        BTreeMap::from([("flat".to_owned(), json!("red")), ("deep".to_owned(), deep)])
    }

    #[test]
    fn attributes_may_nest_as_deep_as_they_can_be_read_back_and_no_deeper() {
        assert!(!nests_deeper(&BTreeMap::new(), MAX_LEVELS));
        assert!(!nests_deeper(&nested(1), 1));
        assert!(nests_deeper(&nested(2), 1));
        assert!(!nests_deeper(&nested(MAX_LEVELS), MAX_LEVELS));
        assert!(nests_deeper(&nested(MAX_LEVELS + 1), MAX_LEVELS));
    }
}
