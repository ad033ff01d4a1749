//! What a buyer looked at, as one direction in embedding space.

use super::{RankError, plan::mix};

/// How much less the view before counts than a view: the tenth last counts a tenth of the last.
const FADING: f32 = 0.775;

/// The mean of the embeddings, the last weighing most; `None` where there are none, or where they cancel out.
pub fn taste(viewed: &[Vec<f32>]) -> Result<Option<Vec<f32>>, RankError> {
    let weights = (0..).map(|views_ago| FADING.powi(views_ago));
    let parts = viewed.iter().rev().zip(weights);
    match mix(parts.map(|(embedding, weight)| ("a viewed product", weight, embedding.as_slice()))) {
        Ok(taste) => Ok(Some(taste)),
        Err(RankError::Cancelled) => Ok(None),
        Err(error) => Err(error),
    }
}
