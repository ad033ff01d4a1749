//! A listing as the models read it, and what they say of it.

use super::{Activation, Model, Outputs, in_float16, mean_embedding};
use crate::preprocess::{PhotoTensor, Tokens};

/// What is known of a listing, ready for the models: text, photos, or both.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListingTensors {
    pub tokens: Option<Tokens>,
    pub photos: Vec<PhotoTensor>,
    /// Whether it is asked where in the photos the answer comes from.
    pub activation: bool,
}

/// What a model said of a listing: one row of outputs per photo, or one for a text alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Inferred {
    pub model: Model,
    /// Never empty.
    pub rows: Vec<Outputs>,
}

impl Inferred {
    /// Memory that its numbers take.
    pub fn bytes(&self) -> usize {
        let floats = |row: &Outputs| {
            let activation = row.activation.as_ref().map_or(0, Activation::len);
            row.logits.len() + row.subcategory_logits.len() + row.embedding.len() + 3 + activation
        };
        self.rows.iter().map(|row| size_of::<Outputs>() + size_of::<f32>() * floats(row)).sum()
    }

    /// Where the listing lies in embedding space, L2 norm 1 to within 1e-3: the mean over its photos, in float16.
    pub fn embedding(&self) -> Vec<f32> {
        in_float16(mean_embedding(self.rows.iter().map(|row| row.embedding.as_slice())))
    }
}
