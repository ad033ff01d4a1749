//! A write to the catalogue, and its form in the journal.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::catalogue::{ProductId, ProductRecord, StoredProduct};

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
