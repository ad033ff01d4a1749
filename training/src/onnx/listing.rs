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
//! | `activation` | float32 [batch, C, rows, columns] | maybe | | maybe |
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
//! | text | the hidden states' mean over the text, L2-normalised: `T` | MLP `heads: T -> L`; `lexical.unigram` [vocabulary, L]; `lexical.bigram` [`BIGRAM_BUCKETS`, L]; MLP `projection: T -> K`; those of [`named_price`], unless no amounts were learnt |
//! | photo | the photo's pooled features: `I`; the same half-way up the network: `M` | MLP `heads: I -> C + S`; MLP `projection: I + M -> K`; MLP `appearance: M -> A` |
//!
//! - Logits are `heads(x)`, plus [`lexical_bag`] for text. The price gives way to the amounts that the text names
//!   ([`named_price`]).
//! - `embedding` has three parts, `D = C + S + K + A`:
//!   - the *kind* of thing: the square roots of the sharpened probabilities of categories and subcategories, so that the
//!     cosine of two kinds is how far the two distributions overlap (Bhattacharyya 1943). Zero for a photo, which guesses
//!     too badly for a title to look for it there;
//!   - the *topic*, which texts and photos share: `projection(x)` made L2 norm 1. For text it is `x + projection(x)` where
//!     `K = T`, so that an untrained projection near zero is the BERT's own embedding;
//!   - the *appearance*: `appearance` of the photo's features half-way up, made L2 norm 1. Zero for a text.
//!
//!   [`KIND`] and [`APPEARANCE`] are their shares in the squared norm, which is 1. So a text finds photos by what they show,
//!   and a photo finds photos by what they look like too.
//! - The combined model adds both: logits of the text and, times [`PhotoWeights::class`], of the photo; the price is the
//!   text's; the embedding is the text's and, times [`PhotoWeights::embedding`], the photo's, made L2 norm 1.
//! - `activation` is a class activation map for each category (Zhou et al. 2016): what each cell of the photo network's last
//!   maps adds to the logit. Its mean over the cells and the bias of `heads` are the photo's logit, because pooling is a mean
//!   and `heads` one linear layer; where it has more layers than one, no such sum exists and the model has no such output. (In
//!   int8 nearly so: what a cell adds is computed from rounded weights.)

use serde::{Deserialize, Serialize};

use super::{
    Arithmetic, Dim, GraphBuilder, ImageBackbone, OnnxError, TextBackbone, Value,
    amounts::named_price,
    backbone::TextInputs,
    lexical::lexical_bag,
    maps::Maps,
    mlp::Mlp,
    quantiles::{QUANTILES, ordered_quantiles},
};
use crate::weights::{HostTensor, StateDict};

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

    /// The column of the price's median, its second one.
    pub fn median(self) -> usize {
        self.classes() + 1
    }

    /// The same and the price's: `L`.
    pub fn classes_and_price(self) -> usize {
        self.classes() + QUANTILES
    }
}

/// The share of a text's kind in the squared norm of its embedding. On validation, titles find the listings of their kind
/// with an nDCG@10 of 0.555 without it and 0.597 with it, at 0.4 alike.
pub const KIND: f32 = 0.2;
/// What a kind's logits are multiplied by before the softmax.
const SHARPNESS: f32 = 2.0;
/// The share of the category in a kind, the rest being the subcategory's.
const CATEGORY: f32 = 0.4;
/// The share of a photo's appearance in the squared norm of its embedding.
pub const APPEARANCE: f32 = 0.5;

/// How much a photo counts in the combined model, against 1 for the text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PhotoWeights {
    /// Of its category and subcategory logits.
    pub class: f32,
    /// Of its embedding.
    pub embedding: f32,
}

/// What a text says.
struct TextPart {
    /// [batch, C + S]
    classes: Value<f32>,
    /// The raw price columns [batch, 3], with the amounts that the text names.
    price: Value<f32>,
    /// [batch, C + S], L2 norm 1.
    kind: Value<f32>,
    /// [batch, K], L2 norm 1.
    topic: Value<f32>,
    /// K
    width: usize,
}

/// What a photo says.
struct PhotoPart<'a> {
    /// [batch, C + S]
    classes: Value<f32>,
    /// What the logits are the mean of.
    cells: Option<Cells<'a>>,
    /// [batch, K], L2 norm 1.
    topic: Value<f32>,
    /// K
    width: usize,
    /// [batch, A], L2 norm 1.
    appearance: Value<f32>,
    /// A
    appearance_width: usize,
}

/// A photo before it was pooled, and what each cell of it counts.
struct Cells<'a> {
    /// Of `I` channels.
    maps: Maps,
    /// The only layer of the photo's `heads`, [I, C + S], and what it is in the graph.
    weight: (&'a HostTensor, Value<f32>),
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
    let embedding = photo.embedding(&mut g, labels);
    output_embedding(&mut g, &embedding, labels.classes() + photo.width + photo.appearance_width);
    if let Some(cells) = &photo.cells {
        let activation = cells.activation(&mut g, labels);
        output_activation(&mut g, labels, &activation);
    }
    g.finish()
}

/// `text.onnx`; `appearance` is `A`, what the photos' embeddings have more than the text's.
///
/// # Errors
/// A tensor of the backbone or of the heads is missing or has another shape.
pub fn write_text_model(
    labels: LabelCounts,
    text: TextBackbone<'_>,
    heads: &StateDict,
    appearance: usize,
    arithmetic: impl Into<Arithmetic>,
) -> Result<Vec<u8>, OnnxError> {
    let mut g = GraphBuilder::new("text", arithmetic);
    g.metadata("text_backbone", "bert");
    let text = text_part(&mut g, labels, text, heads)?;
    output_classes(&mut g, labels, &text.classes);
    output_price(&mut g, &text.price);
    let embedding = text.embedding(&mut g, appearance);
    output_embedding(&mut g, &embedding, labels.classes() + text.width + appearance);
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
    let text = text_part(&mut g, labels, text, text_heads)?;
    let photo = photo_part(&mut g, labels, image, image_heads)?;
    if text.width != photo.width {
        return Err(OnnxError::EmbeddingWidths { text: text.width, photo: photo.width });
    }
    let classes = weighted_sum(&mut g, &text.classes, &photo.classes, weights.class);
    let of_text = text.embedding(&mut g, photo.appearance_width);
    let of_photo = photo.embedding(&mut g, labels);
    let embedding = weighted_sum(&mut g, &of_text, &of_photo, weights.embedding);
    output_classes(&mut g, labels, &classes);
    output_price(&mut g, &text.price);
    let embedding = g.l2_normalise(&embedding);
    output_embedding(&mut g, &embedding, labels.classes() + photo.width + photo.appearance_width);
    if let Some(cells) = &photo.cells {
        let activation = cells.activation(&mut g, labels);
        let weight = g.scalar(weights.class);
        let activation = g.mul(&activation, &weight);
        output_activation(&mut g, labels, &activation);
    }
    g.finish()
}

fn photo_part<'a>(
    g: &mut GraphBuilder,
    labels: LabelCounts,
    image: ImageBackbone<'_>,
    heads: &'a StateDict,
) -> Result<PhotoPart<'a>, OnnxError> {
    let (last, middle) = (image.features(), image.middle_features());
    let classify = Mlp::read(heads, "heads", last)?.with_outputs(labels.classes())?;
    let project = Mlp::read(heads, "projection", last + middle)?;
    let look = Mlp::read(heads, "appearance", middle)?;
    let features = image.emit(g)?;
    let (classes, weights) = classify.emit_with_weights(g, &features.last);
    let cells = match weights.as_slice() {
        [(tensor, weight)] => Some(Cells { maps: features.maps, weight: (*tensor, weight.clone()) }),
        _ => None,
    };
    let both = g.concat(&[&features.last, &features.middle]);
    let topic = project.emit_rounded(g, &both);
    let appearance = look.emit(g, &features.middle);
    Ok(PhotoPart {
        classes,
        cells,
        topic: g.l2_normalise(&topic),
        width: project.outputs(),
        appearance: g.l2_normalise(&appearance),
        appearance_width: look.outputs(),
    })
}

fn text_part(
    g: &mut GraphBuilder,
    labels: LabelCounts,
    text: TextBackbone<'_>,
    heads: &StateDict,
) -> Result<TextPart, OnnxError> {
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
    let price = named_price(g, heads, text.vocabulary()?, &inputs.ids, price)?;
    let mut topic = project.emit(g, &pooled);
    if project.outputs() == width {
        topic = g.add(&topic, &pooled);
    }
    let kind = kind(g, labels, &classes);
    Ok(TextPart { classes, price, kind, topic: g.l2_normalise(&topic), width: project.outputs() })
}

/// Logits [batch, C + S] to the square roots of their shares in a kind: [batch, C + S], L2 norm 1.
fn kind(g: &mut GraphBuilder, labels: LabelCounts, classes: &Value<f32>) -> Value<f32> {
    let sharpness = g.scalar(SHARPNESS);
    let logits = g.mul(classes, &sharpness);
    let logits = g.split(&logits, [labels.categories, labels.subcategories]);
    let [category, subcategory] = logits.map(|logits| g.softmax(&logits));
    let of_category = if labels.subcategories == 0 { 1.0 } else { CATEGORY };
    let parts = [(category, of_category), (subcategory, 1.0 - of_category)].map(|(probabilities, share)| {
        let share = g.scalar(share);
        let shares = g.mul(&probabilities, &share);
        g.sqrt(&shares)
    });
    g.concat(&[&parts[0], &parts[1]])
}

impl TextPart {
    /// [batch, C + S + K + A], where `appearance` is `A`.
    fn embedding(&self, g: &mut GraphBuilder, appearance: usize) -> Value<f32> {
        let parts = shared(g, [(&self.kind, KIND), (&self.topic, 1.0 - KIND)]);
        g.padded(&parts, [0, 0], [0, appearance as i64])
    }
}

impl PhotoPart<'_> {
    /// [batch, C + S + K + A]
    fn embedding(&self, g: &mut GraphBuilder, labels: LabelCounts) -> Value<f32> {
        let parts = shared(g, [(&self.topic, 1.0 - APPEARANCE), (&self.appearance, APPEARANCE)]);
        g.padded(&parts, [0, labels.classes() as i64], [0, 0])
    }
}

impl Cells<'_> {
    /// What each cell adds to each category's logit: [batch, C, rows, columns].
    fn activation(&self, g: &mut GraphBuilder, labels: LabelCounts) -> Value<f32> {
        let (weight, stored) = &self.weight;
        self.maps.dense(g, (weight, stored), labels.categories)
    }
}

/// Parts of L2 norm 1 beside each other, with these shares in the squared norm.
fn shared(g: &mut GraphBuilder, parts: [(&Value<f32>, f32); 2]) -> Value<f32> {
    let [first, second] = parts.map(|(part, share)| {
        let length = g.scalar(share.sqrt());
        g.mul(part, &length)
    });
    g.concat(&[&first, &second])
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

fn output_activation(g: &mut GraphBuilder, labels: LabelCounts, activation: &Value<f32>) {
    let shape =
        [Dim::Named("batch"), Dim::Fixed(labels.categories), Dim::Named("rows"), Dim::Named("columns")];
    g.output("activation", activation, &shape);
}

fn output_price(g: &mut GraphBuilder, raw: &Value<f32>) {
    let quantiles = ordered_quantiles(g, raw);
    g.output("log_price", &quantiles, &[Dim::Named("batch"), Dim::Fixed(QUANTILES)]);
}
