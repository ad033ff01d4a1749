//! The three served models: backbones, the heads trained on them, and the outputs of the artefact contract.
//!
//! # Inputs and outputs
//! `C` categories, `S` subcategories, `D` the width of the shared embedding space.
//!
//! | name | type | image | text | combined |
//! | --- | --- | --- | --- | --- |
//! | `image` | uint8 [batch, height, width, 3] | in | | in |
//! | `input_ids`, `attention_mask` | int64 [batch, tokens] | | in | in |
//! | `logits` | float32 [batch, C] | out | out | out |
//! | `subcategory_logits` | float32 [batch, S] | out | out | out |
//! | `embedding` | float32 [batch, D], L2 norm 1 | out | out | out |
//! | `log_price` | float32 [batch, 3], ordered 10, 50, 90 % quantiles | | out | out |
//!
//! # Heads: what training must provide
//! One state dict for text and one for photos. `T` is the width of the BERT, `I` that of the photo network (2048 for
//! ResNet-50, 1280 for EfficientNet-Lite2), `L = C + S + 3`: the columns of categories, subcategories and price, in this
//! order. The price columns are the raw ones of [`ordered_quantiles`].
//!
//! An *MLP* `name: in -> out` is `name.0.weight` [in, hidden], `name.0.bias` [hidden], `name.1.weight` [hidden, out],
//! `name.1.bias` [out], and so on: any number of layers from one up, ReLU between them, none at the end.
//!
//! | heads | features `x` | tensors |
//! | --- | --- | --- |
//! | text | the hidden states' mean over the text, L2-normalised: `T` | MLP `heads: T -> L`; `lexical.unigram` [vocabulary, L]; `lexical.bigram` [`BIGRAM_BUCKETS`, L]; MLP `projection: T -> D` |
//! | photo | the photo's pooled features: `I` | MLP `heads: I -> C + S`; MLP `projection: I -> D` |
//!
//! - Logits are `heads(x)`, plus [`lexical_bag`] for text.
//! - `embedding` is `projection(x)` made L2 norm 1. For text it is `x + projection(x)` where `D = T`, so that an untrained
//!   projection near zero is the BERT's own embedding.
//! - The combined model adds both: logits of the text and, times [`PhotoWeights::class`], of the photo; the price is the
//!   text's; the embedding is the text's and, times [`PhotoWeights::embedding`], the photo's, made L2 norm 1.

use serde::{Deserialize, Serialize};

use super::{
    Arithmetic, Dim, GraphBuilder, ImageBackbone, OnnxError, TextBackbone, Value,
    backbone::TextInputs,
    lexical::lexical_bag,
    mlp::Mlp,
    quantiles::{QUANTILES, ordered_quantiles},
};
use crate::weights::StateDict;

/// How many labels of each kind the manifest lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelCounts {
    pub categories: usize,
    pub subcategories: usize,
}

impl LabelCounts {
    /// Columns of both kinds of logits.
    pub fn classes(self) -> usize {
        self.categories + self.subcategories
    }

    /// The same and the price's: `L`.
    pub fn classes_and_price(self) -> usize {
        self.classes() + QUANTILES
    }
}

/// How much a photo counts in the combined model, against 1 for the text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PhotoWeights {
    /// Of its category and subcategory logits.
    pub class: f32,
    /// Of its embedding.
    pub embedding: f32,
}

/// Outputs before they are named.
struct Part {
    /// [batch, C + S]
    classes: Value<f32>,
    /// [batch, D], L2 norm 1.
    embedding: Value<f32>,
    width: usize,
}

/// `image.onnx`.
///
/// # Errors
/// A tensor of the backbone or of the heads is missing or has another shape.
pub fn write_image_model(
    labels: LabelCounts,
    image: ImageBackbone<'_>,
    heads: &StateDict,
    arithmetic: impl Into<Arithmetic>,
) -> Result<Vec<u8>, OnnxError> {
    let mut g = GraphBuilder::new("image", arithmetic);
    g.metadata("image_backbone", image.name());
    let photo = photo_part(&mut g, labels, image, heads)?;
    output_classes(&mut g, labels, &photo.classes);
    output_embedding(&mut g, &photo.embedding, photo.width);
    g.finish()
}

/// `text.onnx`.
///
/// # Errors
/// A tensor of the backbone or of the heads is missing or has another shape.
pub fn write_text_model(
    labels: LabelCounts,
    text: TextBackbone<'_>,
    heads: &StateDict,
    arithmetic: impl Into<Arithmetic>,
) -> Result<Vec<u8>, OnnxError> {
    let mut g = GraphBuilder::new("text", arithmetic);
    g.metadata("text_backbone", "bert");
    let (text, price) = text_part(&mut g, labels, text, heads)?;
    output_classes(&mut g, labels, &text.classes);
    output_price(&mut g, &price);
    output_embedding(&mut g, &text.embedding, text.width);
    g.finish()
}

/// `combined.onnx`, of the text's and the photo's heads.
///
/// # Errors
/// A tensor of a backbone or of the heads is missing or has another shape, or the two embeddings differ in width.
pub fn write_combined_model(
    labels: LabelCounts,
    (image, image_heads): (ImageBackbone<'_>, &StateDict),
    (text, text_heads): (TextBackbone<'_>, &StateDict),
    weights: PhotoWeights,
    arithmetic: impl Into<Arithmetic>,
) -> Result<Vec<u8>, OnnxError> {
    let mut g = GraphBuilder::new("combined", arithmetic);
    g.metadata("image_backbone", image.name());
    g.metadata("text_backbone", "bert");
    let (text, price) = text_part(&mut g, labels, text, text_heads)?;
    let photo = photo_part(&mut g, labels, image, image_heads)?;
    if text.width != photo.width {
        return Err(OnnxError::EmbeddingWidths { text: text.width, photo: photo.width });
    }
    let classes = weighted_sum(&mut g, &text.classes, &photo.classes, weights.class);
    let embedding = weighted_sum(&mut g, &text.embedding, &photo.embedding, weights.embedding);
    output_classes(&mut g, labels, &classes);
    output_price(&mut g, &price);
    let embedding = g.l2_normalise(&embedding);
    output_embedding(&mut g, &embedding, text.width);
    g.finish()
}

fn photo_part(
    g: &mut GraphBuilder,
    labels: LabelCounts,
    image: ImageBackbone<'_>,
    heads: &StateDict,
) -> Result<Part, OnnxError> {
    let classify = Mlp::read(heads, "heads", image.features())?.with_outputs(labels.classes())?;
    let project = Mlp::read(heads, "projection", image.features())?;
    let features = image.emit(g)?;
    let classes = classify.emit(g, &features);
    let embedding = project.emit(g, &features);
    Ok(Part { classes, embedding: g.l2_normalise(&embedding), width: project.outputs() })
}

/// The part and the raw price columns [batch, 3].
fn text_part(
    g: &mut GraphBuilder,
    labels: LabelCounts,
    text: TextBackbone<'_>,
    heads: &StateDict,
) -> Result<(Part, Value<f32>), OnnxError> {
    let width = text.features()?;
    let columns = labels.classes_and_price();
    let classify = Mlp::read(heads, "heads", width)?.with_outputs(columns)?;
    let project = Mlp::read(heads, "projection", width)?;
    let inputs = TextInputs::declare(g);
    let pooled = text.emit(g, &inputs)?;
    let logits = classify.emit(g, &pooled);
    let bag = lexical_bag(g, heads, [text.vocabulary()?, columns], &inputs.ids, &inputs.mask)?;
    let logits = g.add(&logits, &bag);
    let [classes, price] = g.split(&logits, [labels.classes(), QUANTILES]);
    let mut embedding = project.emit(g, &pooled);
    if project.outputs() == width {
        embedding = g.add(&embedding, &pooled);
    }
    Ok((Part { classes, embedding: g.l2_normalise(&embedding), width: project.outputs() }, price))
}

fn weighted_sum(g: &mut GraphBuilder, first: &Value<f32>, second: &Value<f32>, weight: f32) -> Value<f32> {
    let weight = g.scalar(weight);
    let second = g.mul(second, &weight);
    g.add(first, &second)
}

fn output_classes(g: &mut GraphBuilder, labels: LabelCounts, classes: &Value<f32>) {
    let [categories, subcategories] = g.split(classes, [labels.categories, labels.subcategories]);
    g.output("logits", &categories, &[Dim::Named("batch"), Dim::Fixed(labels.categories)]);
    g.output("subcategory_logits", &subcategories, &[Dim::Named("batch"), Dim::Fixed(labels.subcategories)]);
}

fn output_embedding(g: &mut GraphBuilder, embedding: &Value<f32>, width: usize) {
    g.output("embedding", embedding, &[Dim::Named("batch"), Dim::Fixed(width)]);
}

fn output_price(g: &mut GraphBuilder, raw: &Value<f32>) {
    let quantiles = ordered_quantiles(g, raw);
    g.output("log_price", &quantiles, &[Dim::Named("batch"), Dim::Fixed(QUANTILES)]);
}
