//! What every engine calls things: the points of products, and their vectors.

use uuid::Uuid;

use super::ProductId;

/// A point's vector for the embedding.
pub const SEMANTIC: &str = "semantic";
/// A point's vector for the weighted words.
pub const LEXICAL: &str = "lexical";

/// Names the UUIDs of points; changing it would orphan every stored product.
const POINT_NAMESPACE: Uuid = Uuid::from_u128(0x6d61_726b_6574_5eed_8a6e_6b00_0000_0001);

/// The point of a product.
pub fn point_of(id: &ProductId) -> Uuid {
    Uuid::new_v5(&POINT_NAMESPACE, id.as_str().as_bytes())
}
