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
//! One state dict for each model. `T` is the width of the BERT, `I` that of the photo network (2048 for ResNet-50, 1280
//! for EfficientNet-Lite2), `L = C + S + 3`: the columns of categories, subcategories and price, in this order. The price
//! columns are the raw ones of [`ordered_quantiles`].
//!
//! An *MLP* `name: in -> out` is `name.0.weight` [in, hidden], `name.0.bias` [hidden], `name.1.weight` [hidden, out],
//! `name.1.bias` [out], and so on: any number of layers from one up, ReLU between them, none at the end.
//!
//! | model | features `x` | tensors |
//! | --- | --- | --- |
//! | text | the hidden states' mean over the text, L2-normalised: `T` | MLP `heads: T -> L`; `lexical.unigram` [vocabulary, L]; `lexical.bigram` [`BIGRAM_BUCKETS`, L]; MLP `projection: T -> D` |
//! | image | the photo's features, standardised: `I` | MLP `heads: I -> C + S`; MLP `projection: I -> D`; optional norm |
//! | combined | the text's `x` before the image's: `T + I` | MLP `heads: T + I -> L`; `lexical.*` as for text; MLP `projection: T + I -> D`; optional norm; optional MLP `image_logits: I -> C + S` |
//!
//! - The norm: `image_norm.mean` and `image_norm.std` [I]. With them the photo's features are `(features - mean) / std`
//!   wherever this page says "standardised"; without either they are used as they are.
//! - Logits are `heads(x)`, plus [`lexical_bag`] for text and combined, plus, where `image_logits` exists, that MLP of the
//!   standardised photo features on the first `C + S` columns.
//! - `embedding` is `projection(x)` made L2 norm 1. In the text model it is `x + projection(x)` where `D = T`, so that an
//!   untrained projection near zero is the BERT's own embedding.

use super::{
    Dim, GraphBuilder, ImageBackbone, OnnxError, Precision, TextBackbone, Value,
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

/// `image.onnx`.
///
/// # Errors
/// A tensor of the backbone or of the heads is missing or has another shape.
pub fn write_image_model(
    labels: LabelCounts,
    image: ImageBackbone<'_>,
    heads: &StateDict,
    precision: Precision,
) -> Result<Vec<u8>, OnnxError> {
    let classify = Mlp::read(heads, "heads", image.features())?.with_outputs(labels.classes())?;
    let project = Mlp::read(heads, "projection", image.features())?;

    let mut g = GraphBuilder::new("image", precision);
    g.metadata("image_backbone", image.name());
    let features = image_features(&mut g, image, heads)?;
    let classes = classify.emit(&mut g, &features);
    output_classes(&mut g, labels, &classes);
    let embedding = project.emit(&mut g, &features);
    output_embedding(&mut g, &embedding, project.outputs());
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
    precision: Precision,
) -> Result<Vec<u8>, OnnxError> {
    let width = text.features()?;
    let columns = labels.classes_and_price();
    let classify = Mlp::read(heads, "heads", width)?.with_outputs(columns)?;
    let project = Mlp::read(heads, "projection", width)?;

    let mut g = GraphBuilder::new("text", precision);
    g.metadata("text_backbone", "bert");
    let inputs = TextInputs::declare(&mut g);
    let pooled = text.emit(&mut g, &inputs)?;
    let logits = classify.emit(&mut g, &pooled);
    let bag = lexical_bag(&mut g, heads, [text.vocabulary()?, columns], &inputs.ids, &inputs.mask)?;
    let logits = g.add(&logits, &bag);
    let [classes, price] = g.split(&logits, [labels.classes(), QUANTILES]);
    output_classes(&mut g, labels, &classes);
    output_price(&mut g, &price);

    let mut embedding = project.emit(&mut g, &pooled);
    if project.outputs() == width {
        embedding = g.add(&embedding, &pooled);
    }
    output_embedding(&mut g, &embedding, project.outputs());
    g.finish()
}

/// `combined.onnx`.
///
/// # Errors
/// A tensor of a backbone or of the heads is missing or has another shape.
pub fn write_combined_model(
    labels: LabelCounts,
    image: ImageBackbone<'_>,
    text: TextBackbone<'_>,
    heads: &StateDict,
    precision: Precision,
) -> Result<Vec<u8>, OnnxError> {
    let width = text.features()? + image.features();
    let columns = labels.classes_and_price();
    let classify = Mlp::read(heads, "heads", width)?.with_outputs(columns)?;
    let project = Mlp::read(heads, "projection", width)?;

    let mut g = GraphBuilder::new("combined", precision);
    g.metadata("image_backbone", image.name());
    g.metadata("text_backbone", "bert");
    let inputs = TextInputs::declare(&mut g);
    let pooled = text.emit(&mut g, &inputs)?;
    let photo = image_features(&mut g, image, heads)?;
    let features = g.concat(&[&pooled, &photo]);

    let logits = classify.emit(&mut g, &features);
    let bag = lexical_bag(&mut g, heads, [text.vocabulary()?, columns], &inputs.ids, &inputs.mask)?;
    let logits = g.add(&logits, &bag);
    let [mut classes, price] = g.split(&logits, [labels.classes(), QUANTILES]);
    if Mlp::exists(heads, "image_logits") {
        let look = Mlp::read(heads, "image_logits", image.features())?.with_outputs(labels.classes())?;
        let look = look.emit(&mut g, &photo);
        classes = g.add(&classes, &look);
    }
    output_classes(&mut g, labels, &classes);
    output_price(&mut g, &price);
    let embedding = project.emit(&mut g, &features);
    output_embedding(&mut g, &embedding, project.outputs());
    g.finish()
}

/// The photo network's features [batch, I], standardised where the heads bring a norm.
fn image_features(
    g: &mut GraphBuilder,
    image: ImageBackbone<'_>,
    heads: &StateDict,
) -> Result<Value<f32>, OnnxError> {
    let features = image.emit(g)?;
    if heads.get("image_norm.mean").is_err() && heads.get("image_norm.std").is_err() {
        return Ok(features);
    }
    let mean = heads.get_shaped("image_norm.mean", &[image.features()])?;
    let deviation = heads.get_shaped("image_norm.std", &[image.features()])?;
    let mean = g.weight("image_norm.mean", mean);
    let deviation = g.weight("image_norm.std", deviation);
    let centred = g.sub(&features, &mean);
    Ok(g.div(&centred, &deviation))
}

fn output_classes(g: &mut GraphBuilder, labels: LabelCounts, classes: &Value<f32>) {
    let [categories, subcategories] = g.split(classes, [labels.categories, labels.subcategories]);
    g.output("logits", &categories, &[Dim::Named("batch"), Dim::Fixed(labels.categories)]);
    g.output("subcategory_logits", &subcategories, &[Dim::Named("batch"), Dim::Fixed(labels.subcategories)]);
}

fn output_embedding(g: &mut GraphBuilder, embedding: &Value<f32>, width: usize) {
    let embedding = g.l2_normalise(embedding);
    g.output("embedding", &embedding, &[Dim::Named("batch"), Dim::Fixed(width)]);
}

fn output_price(g: &mut GraphBuilder, raw: &Value<f32>) {
    let quantiles = ordered_quantiles(g, raw);
    g.output("log_price", &quantiles, &[Dim::Named("batch"), Dim::Fixed(QUANTILES)]);
}
