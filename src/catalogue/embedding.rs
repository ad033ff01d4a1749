//! What every catalogue checks before it stores or searches.

use std::collections::HashSet;

use super::{CatalogueError, StoredProduct};

/// How far an embedding's L2 norm may be from 1: float16 models are within 1e-3.
const NORM_TOLERANCE: f32 = 1e-2;

/// # Errors
/// [`CatalogueError::Embedding`] where it is of another width, or not of norm 1; `whose` it is goes into the message.
pub fn check_embedding(embedding: &[f32], width: usize, whose: &str) -> Result<(), CatalogueError> {
    if embedding.len() != width {
        return Err(CatalogueError::Embedding(format!(
            "the embedding of {whose} has width {}, this catalogue has width {width}",
            embedding.len(),
        )));
    }
    let norm = embedding.iter().map(|value| value * value).sum::<f32>().sqrt();
    // Also false for NaN, which would poison every later answer.
    if (norm - 1.0).abs() <= NORM_TOLERANCE {
        Ok(())
    } else {
        Err(CatalogueError::Embedding(format!("the embedding of {whose} has norm {norm}, not 1")))
    }
}

/// Of products with one id the last stays.
pub fn keep_last_of_each_id(products: &mut Vec<StoredProduct>) {
    let mut seen = HashSet::with_capacity(products.len());
    products.reverse();
    products.retain(|stored| seen.insert(stored.product.id.clone()));
    products.reverse();
}
