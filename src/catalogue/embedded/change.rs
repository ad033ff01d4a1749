//! A write to the catalogue, and its form in the journal.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use serde::{Deserialize, Serialize};

use crate::catalogue::{ContentHash, Product, ProductId, StoredProduct};

/// One acknowledged unit: applied as a whole or not at all.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Upsert(Vec<StoredProduct>),
    Delete(ProductId),
}

impl Change {
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let record = match self {
            Self::Upsert(products) => Record::Upsert(products.iter().map(ProductRecord::from).collect()),
            Self::Delete(id) => Record::Delete(Cow::Borrowed(id)),
        };
        serde_json::to_vec(&record)
    }

    /// `None` where the bytes are no change.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match serde_json::from_slice(bytes).ok()? {
            Record::Upsert(products) => {
                products.into_iter().map(ProductRecord::into_stored).collect::<Option<_>>().map(Self::Upsert)
            }
            Record::Delete(id) => Some(Self::Delete(id.into_owned())),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Record<'a> {
    Upsert(Vec<ProductRecord<'a>>),
    Delete(Cow<'a, ProductId>),
}

/// JSON, because a product holds arbitrary JSON itself; numbers and bytes in base64, because they are most of the size.
#[derive(Serialize, Deserialize)]
struct ProductRecord<'a> {
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
    fn into_stored(self) -> Option<StoredProduct> {
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
