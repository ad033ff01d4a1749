//! From listings to trained heads: frozen features computed once, then small heads trained on them.
//!
//! - [`backbone`]: the pretrained networks, and where their weights come from;
//! - [`features`]: what they see in every listing, computed by ONNX Runtime and cached;
//! - [`examples`]: features and labels as arrays, cut into batches;
//! - [`heads`], [`losses`]: what is trained, and towards what;
//! - [`assemble`]: the examples of each model, and which embeddings it is drawn to;
//! - [`words`]: texts as rows of the word tables;
//! - [`fit`]: the loop;
//! - [`price_band`]: the price quantiles, brought to the width they claim;
//! - [`fusion`]: the text and the image model as one;
//! - [`recipes`]: what each model is trained with;
//! - [`run`]: `marketrank-train train image|text|combined`.

pub mod assemble;
pub mod backbone;
pub mod examples;
pub mod features;
pub mod fit;
pub mod fusion;
pub mod heads;
pub mod losses;
pub mod price_band;
pub mod recipes;
pub mod run;
pub mod words;

use marketrank::artefacts::{ImageInput, TextInput};

/// Photos are read at this size. Larger ones cost time with the square of the side; the published weights were made at
/// 260 pixels and lose little at 224.
pub const IMAGE_INPUT: ImageInput = ImageInput { height: 224, width: 224, letterbox: [127, 127, 127] };

/// Nine in ten listings fit into this.
pub const TEXT_INPUT: TextInput = TextInput { max_tokens: 128 };
