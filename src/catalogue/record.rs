//! A stored product as JSON.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use serde::{Deserialize, Serialize};

use super::{ContentHash, Product, StoredProduct};

/// A stored product in the journal and in a backup.
///
/// JSON, because a product holds arbitrary JSON itself; numbers and bytes in base64, because they are most of the size.
#[derive(Serialize, Deserialize)]
pub struct ProductRecord<'a> {
    product: Cow<'a, Product>,
    /// Little-endian f32.
    embedding: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    thumbnail: Option<String>,
    content: Cow<'a, ContentHash>,
}

impl<'a> From<&'a StoredProduct> for ProductRecord<'a> {
    fn from(stored: &'a StoredProduct) -> Self {
        let embedding: Vec<u8> = stored.embedding.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self {
            product: Cow::Borrowed(&stored.product),
            embedding: BASE64.encode(embedding),
            thumbnail: stored.thumbnail.as_ref().map(|jpeg| BASE64.encode(jpeg)),
            content: Cow::Borrowed(&stored.content),
        }
    }
}

impl ProductRecord<'_> {
    /// None where the bytes are not those of a product.
    pub fn into_stored(self) -> Option<StoredProduct> {
        let bytes = BASE64.decode(self.embedding).ok()?;
        let (values, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return None;
        }
        Some(StoredProduct {
            product: self.product.into_owned(),
            embedding: values.iter().map(|value| f32::from_le_bytes(*value)).collect(),
            thumbnail: self.thumbnail.map(|text| BASE64.decode(text)).transpose().ok()?,
            content: self.content.into_owned(),
        })
    }
}
