//! From listings to trained models.
//!
//! - [`backbone`]: the pretrained networks, and where their weights come from;
//! - [`corpus`]: the examples of each model;
//! - [`views`], [`augment`]: photos as they are shown in training;
//! - [`feature_store`]: what networks see in every listing, computed by ONNX Runtime and cached, as [`features`] and [`maps`];
//! - [`targets`], [`losses`], [`score`]: what is to be learnt, and how far it is;
//! - [`teacher`]: what a larger network answers, to be learnt beside the labels;
//! - [`text`], [`words`] and [`word_model`], [`photo`]: the experts, on [`heads`] and [`projection`];
//! - [`word_price`]: the price that words name, by [`ridge`] regression;
//! - [`amounts`], [`named_price`]: the price that a text names itself;
//! - [`fit`]: the loop that trains each;
//! - [`space`], [`appearance`]: what the experts see becomes one embedding;
//! - [`fusion`]: experts become the text and the combined model;
//! - [`price_band`]: the price quantiles, brought to the width they claim;
//! - [`recipes`]: what each model is trained with;
//! - [`trained`]: what they left, as ONNX graphs;
//! - [`run`]: `marketrank-train train image|text|combined`;
//! - [`run_report`]: what it leaves to be read later.

pub mod amounts;
pub mod appearance;
pub mod augment;
pub mod backbone;
pub mod corpus;
pub mod feature_store;
pub mod features;
pub mod fit;
pub mod fusion;
pub mod heads;
pub mod losses;
pub mod maps;
pub mod named_price;
pub mod photo;
pub mod price_band;
pub mod projection;
pub mod recipes;
pub mod ridge;
pub mod run;
pub mod run_report;
pub mod score;
pub mod space;
pub mod targets;
pub mod teacher;
pub mod text;
pub mod trained;
pub mod views;
pub mod word_model;
pub mod word_price;
pub mod words;

use marketrank::artefacts::{ImageInput, TextInput};

/// Photos are read at this size: the 260 pixels that EfficientNet-Lite2 was published for, as far as its strides divide them.
/// Against 224 pixels the upper blocks' validation loss falls from 1.392 to 1.360, for a quarter more time a photo.
pub const IMAGE_INPUT: ImageInput = ImageInput { height: 256, width: 256, letterbox: [127, 127, 127] };

/// Nine in ten listings fit into this.
pub const TEXT_INPUT: TextInput = TextInput { max_tokens: 128 };
