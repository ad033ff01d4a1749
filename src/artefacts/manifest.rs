//! `models/manifest.json`: what the three model files are, what they read, and what their outputs mean.

use serde::{Deserialize, Serialize};

use super::{Precision, SelfTest};

/// The only manifest layout this build reads. A change that an older reader would misunderstand raises it.
pub const FORMAT: u32 = 2;
/// What a mistyped number could ask for must not fill the memory.
const MAX_PHOTO_SIDE: u32 = 4_096;
/// `[CLS]`, a word and `[SEP]`.
const MIN_TOKENS: usize = 3;
const MAX_TOKENS: usize = 8_192;

/// The file beside the models that says what they are. Written by `marketrank-train export`, read at start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Layout of this file, [`FORMAT`].
    pub format: u32,
    /// Version of the trained models, shown in every answer; changes with every export.
    pub version: String,
    /// When the models were exported, RFC 3339.
    pub created: String,
    /// Hash of the clean table the models were trained on.
    pub data_sha256: String,
    /// Category labels in the order of the `logits` columns.
    pub categories: Vec<String>,
    /// Subcategories in the order of the `subcategory_logits` columns.
    pub subcategories: Vec<Subcategory>,
    /// Width of every `embedding` output. A catalogue filled under another width or version is refused.
    pub embedding_width: usize,
    /// ISO 4217 code of the prices behind `log_price`.
    pub currency: String,
    /// The WordPiece vocabulary and its rules, `tokenizer.json`.
    pub tokenizer: FileEntry,
    /// What the models are asked before they serve; none in a folder from before there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_test: Option<SelfTest>,
    /// The three models.
    pub models: Models,
}

/// A subcategory and the category it lies in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subcategory {
    /// Label of the category, one of [`Manifest::categories`].
    pub category: String,
    /// Label of the subcategory: the second part of the listing's category path.
    pub name: String,
}

/// A file of the artefact folder and the hash it must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Name inside the folder, without any path.
    pub file: String,
    /// Lower-case hexadecimal SHA-256 of the file's bytes.
    pub sha256: String,
}

/// One entry for each of the three models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Models {
    /// Photo to category.
    pub image: ModelEntry,
    /// Title and description to category.
    pub text: ModelEntry,
    /// Photo, title and description to category.
    pub combined: ModelEntry,
}

/// What a model reads, and the files it can be run from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// Networks under the heads, for people (`efficientnet_lite2`, `minilm-l6`, or both with a `+`).
    pub backbone: String,
    /// The `image` input, where the model has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageInput>,
    /// The `input_ids` and `attention_mask` inputs, where the model has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextInput>,
    /// The same network in one precision or several, each once. Their embeddings lie in one space.
    pub variants: Vec<Variant>,
}

/// One model file and how to read its answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    pub precision: Precision,
    /// The ONNX file.
    #[serde(flatten)]
    pub file: FileEntry,
    /// Logits are divided by this before the softmax (Guo et al. 2017, temperature scaling, fitted on the validation split).
    pub temperature: f32,
    /// Confidence under which a person should look: above it the validation split is 95 % right.
    pub review_threshold: f32,
    /// What this file said of [`Manifest::self_test`] where it was exported: `logits`, one for each category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_test_logits: Option<Vec<f32>>,
    /// Measured on the test split through ONNX Runtime.
    pub metrics: Metrics,
}

/// How a photo becomes the `image` tensor: uint8 `[batch, height, width, 3]`, RGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageInput {
    pub height: u32,
    pub width: u32,
    /// RGB of the bars that keep the photo's aspect ratio.
    pub letterbox: [u8; 3],
}

/// How a text becomes `input_ids` and `attention_mask`: int64 `[batch, tokens]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextInput {
    /// Longer texts are cut here, `[CLS]` and `[SEP]` included.
    pub max_tokens: usize,
}

/// Metrics of one model on the test split, each from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Share of examples whose most probable category is right.
    pub top1: f64,
    /// Share of examples whose category is among the three most probable.
    pub top3: f64,
    /// Mean over categories of the F1 score.
    pub macro_f1: f64,
    /// Expected calibration error over 15 equal-width bins (Naeini et al. 2015).
    pub ece: f64,
}

impl Manifest {
    /// Reads it and checks that its parts agree with each other. The error says what is wrong.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        manifest.validate()?;
        Ok(manifest)
    }

    /// Checks what the types cannot: that the parts agree with each other. The error says which do not.
    fn validate(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!("its format is {}, this build reads {FORMAT}", self.format));
        }
        if self.categories.is_empty() || self.embedding_width == 0 {
            return Err("it names no categories or no embedding width".into());
        }
        if let Some(stray) = self.subcategories.iter().find(|s| !self.categories.contains(&s.category)) {
            return Err(format!("subcategory {:?} lies in {:?}, no category", stray.name, stray.category));
        }
        let Models { image, text, combined } = &self.models;
        for (name, entry, reads_photo, reads_text) in
            [("image", image, true, false), ("text", text, false, true), ("combined", combined, true, true)]
        {
            if entry.image.is_some() != reads_photo || entry.text.is_some() != reads_text {
                return Err(format!("the inputs of the {name} model are not those of a {name} model"));
            }
            if entry.variants.is_empty() {
                return Err(format!("it names no file of the {name} model"));
            }
            let temperatures = entry.variants.iter().map(|variant| variant.temperature);
            if let Some(bad) = temperatures.into_iter().find(|t| !(*t > 0.0 && t.is_finite())) {
                return Err(format!("a temperature of the {name} model is {bad}"));
            }
        }
        // A listing is preprocessed once, whichever models read it.
        if image.image != combined.image || text.text != combined.text {
            return Err("the combined model reads photos or texts of another size than the other two".into());
        }
        for side in image.image.iter().flat_map(|input| [input.height, input.width]) {
            if !(1..=MAX_PHOTO_SIDE).contains(&side) {
                return Err(format!("photos of {side} pixels a side; 1 to {MAX_PHOTO_SIDE} can be made"));
            }
        }
        if let Some(TextInput { max_tokens }) = text.text
            && !(MIN_TOKENS..=MAX_TOKENS).contains(&max_tokens)
        {
            return Err(format!("texts of {max_tokens} tokens; {MIN_TOKENS} to {MAX_TOKENS} can be made"));
        }
        match self.files().find(|e| e.file.is_empty() || e.file.contains(['/', '\\'])) {
            Some(entry) => Err(format!("{:?} is not the name of a file in its folder", entry.file)),
            None => Ok(()),
        }
    }

    /// Every file it vouches for.
    pub fn files(&self) -> impl Iterator<Item = &FileEntry> {
        let Models { image, text, combined } = &self.models;
        let variants = [image, text, combined].into_iter().flat_map(|entry| &entry.variants);
        std::iter::once(&self.tokenizer).chain(variants.map(|variant| &variant.file))
    }
}
