//! Whether a model says of the manifest's stored listing what it said where it was exported.
//!
//! Hashes prove that the files are whole; this proves that this processor, this ONNX Runtime and this build's preprocessing
//! make of them what was measured.

use std::time::{Duration, Instant};

use super::{Example, ModelSession, prediction::softmax};
use crate::{
    artefacts::SelfTest,
    preprocess::{Detail, Letterbox, PhotoLimits, TextEncoder, decode_photo},
};

/// Probability that may lie on other categories than where the model was exported. Processors and precisions round
/// differently; a wrong network is wrong by much more.
const TOLERANCE: f32 = 0.1;

/// The stored listing as the models read it.
pub(super) fn example(
    listing: &SelfTest,
    letterbox: Letterbox,
    text_encoder: &TextEncoder,
) -> Result<Example, String> {
    let unusable = |reason: String| format!("the manifest's self_test cannot be used: {reason}");
    let file = listing.photo_file().map_err(|error| unusable(error.to_string()))?;
    let photo = decode_photo(&file, &PhotoLimits::default(), Detail::Side(letterbox.side()))
        .map_err(|error| unusable(error.to_string()))?;
    let tokens = text_encoder.encode(&listing.title, "").map_err(|error| unusable(error.to_string()))?;
    Ok(Example { photo: Some(letterbox.apply(&photo)), tokens: Some(tokens), activation: false })
}

/// Runs the example and compares the probabilities of the categories: the total variation distance of the two
/// distributions must not exceed [`TOLERANCE`]. Gives the time that the run took.
pub(super) fn check(
    session: &mut ModelSession,
    example: &Example,
    expected: &[f32],
) -> Result<Duration, String> {
    let started = Instant::now();
    let rows = session.run(std::slice::from_ref(example))?;
    let took = started.elapsed();
    let found = rows.first().map(|row| row.logits.as_slice()).unwrap_or_default();
    if found.len() != expected.len() {
        return Err(format!("it gives {} logits, {} are expected", found.len(), expected.len()));
    }
    let apart =
        softmax(found, 1.0).iter().zip(softmax(expected, 1.0)).map(|(a, b)| (a - b).abs()).sum::<f32>() / 2.0;
    // Also false where a logit is no number.
    if apart <= TOLERANCE {
        return Ok(took);
    }
    Err(format!(
        "its probabilities are {apart:.3} apart from those it was exported with, at most {TOLERANCE} is taken"
    ))
}
