//! A product as a point of the engine, and back.

use qdrant_edge::{
    PointId, PointStruct, PointStructPersisted, Record, SparseVector, Vector, VectorInternal,
    VectorStructInternal, Vectors,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::catalogue::{
    CatalogueError, ContentHash, PhotoTag, Product, StoredProduct,
    engine_names::{LEXICAL, SEMANTIC, point_of},
    lexical::Terms,
};

/// What the engine keeps of a product beside its vectors.
#[derive(Debug, Serialize, Deserialize)]
pub struct Payload {
    pub product: Product,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<PhotoTag>,
    #[serde(default)]
    pub content: ContentHash,
}

/// A point as it was read.
#[derive(Debug)]
pub struct Stored {
    pub point: Uuid,
    pub payload: Payload,
    /// Where it was asked for.
    pub embedding: Option<Vec<f32>>,
}

pub fn sparse(terms: &Terms) -> SparseVector {
    SparseVector { indices: terms.hashes.clone(), values: terms.weights.clone() }
}

pub fn to_point(
    stored: &StoredProduct,
    tag: Option<PhotoTag>,
) -> Result<PointStructPersisted, CatalogueError> {
    let payload = serde_json::to_value(Payload {
        product: stored.product.clone(),
        thumbnail: tag,
        content: stored.content.clone(),
    })
    .map_err(|error| CatalogueError::Engine(format!("cannot write down {}: {error}", stored.product.id)))?;
    // The words are given even where there are none: a missing vector would leave that of the replaced product in place.
    let vectors: [(&str, Vector); 2] = [
        (SEMANTIC, VectorInternal::Dense(stored.embedding.clone()).into()),
        (LEXICAL, VectorInternal::Sparse(sparse(&Terms::of_product(&stored.product))).into()),
    ];
    let id = PointId::Uuid(point_of(&stored.product.id));
    Ok(PointStruct::new(id, Vectors::new_named(vectors), payload).into())
}

pub fn read_record(record: Record) -> Result<Stored, CatalogueError> {
    let unreadable = |what: String| CatalogueError::Engine(format!("the stored point {} {what}", record.id));
    let PointId::Uuid(point) = record.id else {
        return Err(unreadable("has a number for an id".to_owned()));
    };
    let payload = record.payload.map(|payload| payload.0).unwrap_or_default();
    let payload = serde_json::from_value(payload.into())
        .map_err(|error| unreadable(format!("is no product: {error}")))?;
    Ok(Stored { point, payload, embedding: embedding_of(record.vector) })
}

/// The embedding among a point's vectors.
pub fn embedding_of(vectors: Option<VectorStructInternal>) -> Option<Vec<f32>> {
    let Some(VectorStructInternal::Named(mut named)) = vectors else { return None };
    match named.remove(SEMANTIC) {
        Some(VectorInternal::Dense(embedding)) => Some(embedding),
        _ => None,
    }
}
