//! The recipe of each model: which heads, trained how. Chosen on the validation split.

use clap::Args;

use super::{fit::FitConfig, heads::HeadsConfig};
use crate::onnx::LabelCounts;

/// Each model has a recipe of its own; these take the place of parts of it.
#[derive(Debug, Clone, Copy, Args)]
pub struct Overrides {
    /// Most epochs; training ends sooner when the validation accuracy no longer rises
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,

    /// Highest learning rate
    #[arg(long)]
    learning_rate: Option<f64>,

    /// Share of features and of words that is left out in training, 0 to 1
    #[arg(long)]
    dropout: Option<f64>,

    /// Decoupled weight decay
    #[arg(long)]
    weight_decay: Option<f32>,

    /// Examples in a batch
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..))]
    batch_size: Option<u32>,

    /// Share of a label's weight that is spread over all classes
    #[arg(long)]
    label_smoothing: Option<f32>,
}

impl Overrides {
    /// The recipe with these in the place of its own parts.
    pub fn apply(self, fit: FitConfig, heads: &HeadsConfig) -> (FitConfig, HeadsConfig) {
        let fit = FitConfig {
            epochs: self.epochs.map_or(fit.epochs, |epochs| epochs as usize),
            learning_rate: self.learning_rate.unwrap_or(fit.learning_rate),
            weight_decay: self.weight_decay.unwrap_or(fit.weight_decay),
            batch_size: self.batch_size.map_or(fit.batch_size, |size| size as usize),
            label_smoothing: self.label_smoothing.unwrap_or(fit.label_smoothing),
            ..fit
        };
        (fit, HeadsConfig { dropout: self.dropout.unwrap_or(heads.dropout), ..*heads })
    }
}

/// Heads of the text model.
pub fn text_heads(labels: LabelCounts, features: usize, vocabulary: usize) -> HeadsConfig {
    HeadsConfig {
        features,
        text_features: features,
        columns: Some(labels.classes_and_price()),
        hidden: None,
        projection_hidden: None,
        embedding: features,
        residual: true,
        vocabulary: Some(vocabulary),
        dropout: 0.5,
    }
}

/// Heads of the image model.
pub fn image_heads(labels: LabelCounts, features: usize, embedding: usize) -> HeadsConfig {
    HeadsConfig {
        features,
        text_features: 0,
        columns: Some(labels.classes()),
        hidden: Some(512),
        projection_hidden: Some(1_024),
        embedding,
        residual: false,
        vocabulary: None,
        dropout: 0.6,
    }
}

/// The combined model's own part: its other heads are those of the text and the image model.
pub fn projection(text: &HeadsConfig, image: &HeadsConfig) -> HeadsConfig {
    HeadsConfig {
        features: text.features + image.features,
        text_features: 0,
        columns: None,
        hidden: None,
        projection_hidden: None,
        embedding: text.embedding,
        residual: false,
        vocabulary: None,
        dropout: 0.1,
    }
}

pub const TEXT_FIT: FitConfig = FitConfig {
    epochs: 20,
    batch_size: 128,
    learning_rate: 1.5e-3,
    weight_decay: 1e-2,
    label_smoothing: 0.05,
    subcategory_weight: 0.5,
    price_weight: 0.3,
    embedding_weight: 0.5,
    patience: 6,
    seed: 0,
};

pub const IMAGE_FIT: FitConfig =
    FitConfig { epochs: 20, learning_rate: 5e-4, weight_decay: 5e-2, ..TEXT_FIT };

pub const PROJECTION_FIT: FitConfig = FitConfig { learning_rate: 1e-4, embedding_weight: 1.0, ..TEXT_FIT };
