//! The combined model's category and price heads: the trained text and image heads as a product of experts (Hinton 2002).
//!
//! Trained jointly from scratch, the text, which fits its training listings all but perfectly, leaves the photo nothing
//! to learn (71 % on validation, less than the text alone). Two experts that were trained apart and are then multiplied
//! keep what each knows. Only the photo's weight is fitted, on the validation split, by the log-likelihood: the accuracy of
//! a few hundred listings would be a coin toss between neighbouring weights.

use anyhow::Result;
use burn::tensor::{Device, Tensor};

use super::{
    examples::Examples,
    heads::{Heads, HeadsConfig},
    losses::cross_entropy,
};
use crate::{
    onnx::LabelCounts,
    weights::{HostTensor, StateDict, StateDictError},
};

/// Weights that are tried, for the photo against 1 for the text, in tenths.
const PHOTO_WEIGHTS: std::ops::RangeInclusive<u32> = 1..=20;
/// Temperatures at which each is judged, in tenths.
const TEMPERATURES: std::ops::RangeInclusive<u32> = 3..=20;

/// The fused heads and what they reach on the validation split.
pub struct Fused {
    pub tensors: StateDict,
    /// Logits of the image model are multiplied by it.
    pub photo_weight: f32,
    /// Share of validation photos, each with its listing's text, whose most probable category is right.
    pub accuracy: f64,
}

/// Finds the photo's weight and writes both experts under the names of the combined model: the text's linear heads with no
/// weight on the photo, the word tables, and the image heads as `image_logits`.
///
/// # Errors
/// A tensor of the text or image heads is missing.
pub fn fuse(
    labels: LabelCounts,
    (text_config, text): (&HeadsConfig, &StateDict),
    (image_config, image): (&HeadsConfig, &StateDict),
    validation: &Examples,
    device: &Device,
) -> Result<Fused> {
    let text_heads = Heads::load(text_config, text, device)?;
    let image_heads = Heads::load(image_config, image, device)?;
    let all: Vec<usize> = (0..validation.len()).collect();
    let batch = validation.batch(&all, |_| 0, device);
    let category =
        |columns: Option<Tensor<2>>| columns.map(|columns| columns.narrow(1, 0, labels.categories));
    let text_features = batch.features.clone().narrow(1, 0, text_config.features);
    let photo_features = batch.features.narrow(1, text_config.features, image_config.features);
    let by_text = category(text_heads.columns(text_features, batch.words.as_ref()));
    let by_photo = category(image_heads.columns(photo_features, None));
    let (Some(by_text), Some(by_photo)) = (by_text, by_photo) else {
        anyhow::bail!("the text and the image model must have category heads");
    };

    let fused = |weight: f32| by_text.clone() + by_photo.clone() * weight;
    let everywhere = batch.has_price.ones_like();
    let loss = |weight: f32| {
        let at = |tenths: u32| {
            let logits = fused(weight) / (tenths as f32 / 10.0);
            cross_entropy(logits, batch.category.clone(), everywhere.clone(), 0.0).into_scalar::<f32>()
        };
        TEMPERATURES.map(at).fold(f32::INFINITY, f32::min)
    };
    let (photo_weight, _) = PHOTO_WEIGHTS
        .map(|tenths| tenths as f32 / 10.0)
        .map(|weight| (weight, loss(weight)))
        .fold((1.0, f32::INFINITY), |best, tried| if tried.1 < best.1 { tried } else { best });
    let predicted = fused(photo_weight).argmax(1).squeeze_dim::<1>(1);
    let right = predicted.equal(batch.category).int().sum().into_scalar::<i64>();
    Ok(Fused {
        tensors: tensors(text, image, image_config.features, photo_weight)?,
        photo_weight,
        accuracy: right as f64 / validation.len() as f64,
    })
}

/// A projection of the combined features that is the text's own embedding and does not look at the photo. Training
/// starts here: what the photo says is then added to what the text says, and a photo unlike any of the training
/// listings' moves a listing little.
///
/// # Errors
/// The text's projection is missing, or not linear from its features to as many.
pub fn text_alone(
    text: &StateDict,
    text_features: usize,
    photo_features: usize,
) -> Result<StateDict, StateDictError> {
    let mut projection =
        text.get_shaped("projection.0.weight", &[text_features, text_features])?.data.clone();
    // The text's embedding is its features and what the projection adds to them.
    projection.iter_mut().step_by(text_features + 1).for_each(|diagonal| *diagonal += 1.0);
    projection.resize((text_features + photo_features) * text_features, 0.0);
    let shape = vec![text_features + photo_features, text_features];
    let mut start = StateDict::default();
    start.insert("projection.0.weight", HostTensor { shape, data: projection });
    start.insert("projection.0.bias", text.get("projection.0.bias")?.clone());
    Ok(start)
}

fn tensors(
    text: &StateDict,
    image: &StateDict,
    photo_features: usize,
    photo_weight: f32,
) -> Result<StateDict, StateDictError> {
    let mut fused = StateDict::default();
    let weight = text.get("heads.0.weight")?;
    let [rows, columns] = [weight.shape[0], weight.shape[1]];
    let mut data = weight.data.clone();
    data.resize((rows + photo_features) * columns, 0.0);
    fused.insert("heads.0.weight", HostTensor { shape: vec![rows + photo_features, columns], data });
    for name in ["heads.0.bias", "lexical.unigram", "lexical.bigram"] {
        fused.insert(name, text.get(name)?.clone());
    }
    let layers = (0..).take_while(|layer| image.contains(&format!("heads.{layer}.weight"))).count();
    for layer in 0..layers {
        // Only the last layer is linear to the end, so the expert's weight goes there.
        let factor = if layer + 1 == layers { photo_weight } else { 1.0 };
        for part in ["weight", "bias"] {
            let mut tensor = image.get(&format!("heads.{layer}.{part}"))?.clone();
            tensor.data.iter_mut().for_each(|value| *value *= factor);
            fused.insert(format!("image_logits.{layer}.{part}"), tensor);
        }
    }
    Ok(fused)
}
