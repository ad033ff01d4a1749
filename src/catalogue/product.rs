//! A listing as clients send it and as the catalogue stores it.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{Facts, PhotoTag};
use crate::fingerprint::{hex, of_parts};

/// Longest accepted product id, in bytes.
pub const MAX_ID_LENGTH: usize = 128;

/// Identifier a marketplace gave its listing: 1 to [`MAX_ID_LENGTH`] of `A-Z a-z 0-9 . _ ~ : -`.
///
/// The alphabet is that of an unreserved URL path segment, so an id never needs escaping in a route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, min_length = 1, max_length = 128, pattern = r"^[A-Za-z0-9._~:-]+$", example = "sofa-001")]
pub struct ProductId(String);

/// Why a text is no product id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProductId {
    #[error("a product id must not be empty")]
    Empty,
    #[error("a product id has at most {MAX_ID_LENGTH} characters, this one has {0}")]
    TooLong(usize),
    #[error("a product id may hold A-Z a-z 0-9 . _ ~ : - only, this one holds {0:?}")]
    Character(char),
    #[error("a product id must not be {0:?}, which no URL can name; take another one")]
    Dots(String),
}

impl ProductId {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Refuses `.` and `..`, which clients take out of a path before they send it: no listing is taken under them. They are ids
    /// all the same, or a catalogue that took one before could not be opened any more.
    pub fn check_addressable(&self) -> Result<(), InvalidProductId> {
        match self.as_str() {
            "." | ".." => Err(InvalidProductId::Dots(self.0.clone())),
            _ => Ok(()),
        }
    }
}

impl FromStr for ProductId {
    type Err = InvalidProductId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for ProductId {
    type Error = InvalidProductId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._~:-".contains(c);
        match text.chars().find(|&c| !allowed(c)) {
            _ if text.is_empty() => Err(InvalidProductId::Empty),
            _ if text.len() > MAX_ID_LENGTH => Err(InvalidProductId::TooLong(text.chars().count())),
            Some(c) => Err(InvalidProductId::Character(c)),
            None => Ok(Self(text)),
        }
    }
}

impl From<ProductId> for String {
    fn from(id: ProductId) -> Self {
        id.0
    }
}

impl fmt::Display for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A listing without its photos: what is stored beside the vectors and given back in answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Product {
    pub id: ProductId,
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Category label; the predicted one where the client gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// True where `category` was predicted rather than given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub category_predicted: bool,
    /// In units of `currency`, zero or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<f64>,
    /// ISO 4217.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub listed_at: Option<OffsetDateTime>,
    /// The marketplace's own fields, kept and given back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    pub attributes: BTreeMap<String, serde_json::Value>,
}

/// Where a listing is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Location {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Degrees, -90 to 90; given together with `lon`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lat: Option<f64>,
    /// Degrees, -180 to 180; given together with `lat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lon: Option<f64>,
}

impl Location {
    /// Refuses coordinates that no place on earth has, and one without the other. The error says what to do.
    pub fn check_coordinates(&self) -> Result<(), &'static str> {
        match (self.lat, self.lon) {
            (None, None) => Ok(()),
            (Some(lat), Some(lon)) if (-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon) => {
                Ok(())
            }
            (Some(_), Some(_)) => Err("lat must be from -90 to 90 and lon from -180 to 180"),
            _ => Err("give lat and lon together or neither"),
        }
    }
}

/// A product with what ranking and the product page need: its place in embedding space and its thumbnail.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredProduct {
    pub product: Product,
    /// `combined` embedding of the listing (of the text alone where it has no photo), L2 norm 1. Catalogues keep it in
    /// float16: what float16 does not hold exactly comes back rounded.
    pub embedding: Vec<f32>,
    /// A small JPEG of the first photo, where one was given.
    pub thumbnail: Option<Vec<u8>>,
    /// What the embedding was made from.
    pub content: ContentHash,
}

/// SHA-256 of title, description and photo files, cut to 128 bits and in hexadecimal: a listing of the same hash need
/// not be embedded again. The default is that of no listing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentHash(String);

impl ContentHash {
    pub fn of(product: &Product, photos: &[impl AsRef<[u8]>]) -> Self {
        let description = product.description.as_deref().unwrap_or_default();
        let words = [product.title.as_bytes(), description.as_bytes()];
        let hash = of_parts(words.into_iter().chain(photos.iter().map(AsRef::as_ref)));
        Self(hex(&hash[..16]))
    }
}

impl StoredProduct {
    pub fn facts(&self) -> Facts {
        Facts::of(&self.product, self.thumbnail.as_deref().map(PhotoTag::of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_a_client_takes_out_of_a_path_is_not_addressable() {
        for (text, addressable) in [(".", false), ("..", false), ("...", true), (".a", true), ("a..", true)] {
            let id: ProductId = text.parse().unwrap();
            assert_eq!(id.check_addressable().is_ok(), addressable, "{text}");
        }
    }
}
