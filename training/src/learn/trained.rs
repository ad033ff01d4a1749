//! What the trainings left in their run folders, as the graphs of the three models.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::{
    backbone::{PhotoNetwork, TextNetwork, WeightsArgs},
    run::{Model, photo_weights_file, read_heads},
};
use crate::{
    onnx::{
        Arithmetic, LabelCounts,
        listing::{PhotoWeights, write_combined_model, write_image_model, write_text_model},
    },
    weights::StateDict,
};

/// What the three models are written from.
pub struct Trained {
    pub photo: PhotoNetwork,
    pub text: TextNetwork,
    pub image_heads: StateDict,
    pub text_heads: StateDict,
    labels: LabelCounts,
}

impl Trained {
    /// Reads the runs of the text and the image model.
    ///
    /// # Errors
    /// One of them was not trained yet.
    pub fn read(weights: &WeightsArgs, runs: &Path, labels: LabelCounts) -> Result<Self> {
        Ok(Self {
            photo: weights.photo_network()?.trained(runs)?,
            text: weights.text_network()?.trained(runs)?,
            image_heads: read_heads(runs, Model::Image)?,
            text_heads: read_heads(runs, Model::Text)?,
            labels,
        })
    }

    pub fn image_model(&self, arithmetic: impl Into<Arithmetic>) -> Result<Vec<u8>> {
        Ok(write_image_model(self.labels, self.photo.backbone(), &self.image_heads, arithmetic)?)
    }

    pub fn text_model(&self, arithmetic: impl Into<Arithmetic>) -> Result<Vec<u8>> {
        Ok(write_text_model(self.labels, self.text.backbone(), &self.text_heads, arithmetic)?)
    }

    pub fn combined_model(
        &self,
        weights: PhotoWeights,
        arithmetic: impl Into<Arithmetic>,
    ) -> Result<Vec<u8>> {
        let image = (self.photo.backbone(), &self.image_heads);
        let text = (self.text.backbone(), &self.text_heads);
        Ok(write_combined_model(self.labels, image, text, weights, arithmetic)?)
    }
}

/// The weights that `train combined` left.
///
/// # Errors
/// The combined model was not trained yet.
pub fn read_photo_weights(runs: &Path) -> Result<PhotoWeights> {
    let path = photo_weights_file(runs);
    let json = fs::read(&path)
        .with_context(|| "no combined model is trained; run `marketrank-train train combined`")?;
    serde_json::from_slice(&json).with_context(|| format!("{} is damaged", path.display()))
}
