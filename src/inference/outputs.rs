//! One row of a model's outputs, and arithmetic on embeddings.

use half::f16;

use super::Activation;

/// What a model says of one example.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outputs {
    /// One per category of the manifest, before temperature and softmax.
    pub logits: Vec<f32>,
    /// One per subcategory of the manifest.
    pub subcategory_logits: Vec<f32>,
    /// Of the manifest's width, L2 norm 1.
    pub embedding: Vec<f32>,
    /// 10, 50 and 90 % quantiles of the natural logarithm of the price; none from the image model.
    pub log_price: Option<[f32; 3]>,
    /// Where in the photo the logits come from; none unless the example asks for it and the model gives it.
    pub activation: Option<Activation>,
}

/// Scales a vector to L2 norm 1; a zero vector stays zero.
pub fn normalise(vector: &mut [f32]) {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|x| *x /= norm);
    }
}

/// The nearest numbers that float16 holds: what a catalogue keeps of an embedding. Compared in memory like this, embeddings give
/// the scores that they give in a catalogue.
pub fn in_float16(mut embedding: Vec<f32>) -> Vec<f32> {
    embedding.iter_mut().for_each(|x| *x = f16::from_f32(*x).to_f32());
    embedding
}

/// Mean direction of embeddings of one width, L2 norm 1; empty where there are none.
pub fn mean_embedding<'a>(embeddings: impl IntoIterator<Item = &'a [f32]>) -> Vec<f32> {
    let mut sum: Vec<f32> = Vec::new();
    for embedding in embeddings {
        sum.resize(embedding.len(), 0.0);
        sum.iter_mut().zip(embedding).for_each(|(total, x)| *total += x);
    }
    normalise(&mut sum);
    sum
}
