//! What the trainings left in their run folders, as the graphs of the three models.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};

use super::{
    backbone::{PhotoNetwork, TextNetwork, WeightsArgs},
    recipes::APPEARANCE_WIDTH,
    run::{Model, photo_weights_file, read_heads},
};
use crate::{
    onnx::{
        Arithmetic, LabelCounts,
        listing::{PhotoWeights, write_combined_model, write_image_model, write_text_model},
    },
    weights::{self, StateDict},
};

const TEXT_SPACE: &str = "text_space.safetensors";
const PHOTO_SPACE: &str = "photo_space.safetensors";

/// What the three models are written from.
pub struct Trained {
    pub photo: PhotoNetwork,
    pub text: TextNetwork,
    pub image_heads: StateDict,
    pub text_heads: StateDict,
    labels: LabelCounts,
}

impl Trained {
    /// Reads the runs of the text and the image model, and the space they share.
    ///
    /// # Errors
    /// One of them was not trained yet.
    pub fn read(networks: &WeightsArgs, runs: &Path, labels: LabelCounts) -> Result<Self> {
        let space = Space::read(runs)?;
        Ok(Self {
            photo: networks.photo_network()?.trained(runs)?,
            text: networks.text_network()?.trained(runs)?,
            image_heads: in_the_space(read_heads(runs, Model::Image)?, &space.photo),
            text_heads: in_the_space(read_heads(runs, Model::Text)?, &space.text),
            labels,
        })
    }

    /// Width of the embeddings.
    ///
    /// # Errors
    /// The weights are not a BERT's.
    pub fn embedding_width(&self) -> Result<usize> {
        Ok(self.labels.classes() + self.text.backbone().features()? + APPEARANCE_WIDTH)
    }

    pub fn image_model(&self, arithmetic: impl Into<Arithmetic>) -> Result<Vec<u8>> {
        Ok(write_image_model(self.labels, self.photo.backbone(), &self.image_heads, arithmetic)?)
    }

    pub fn text_model(&self, arithmetic: impl Into<Arithmetic>) -> Result<Vec<u8>> {
        let text = self.text.backbone();
        Ok(write_text_model(self.labels, text, &self.text_heads, APPEARANCE_WIDTH, arithmetic)?)
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

/// The projections that `train combined` leaves.
pub struct Space {
    /// The text's `projection`.
    pub text: StateDict,
    /// The photo's `projection` and `appearance`.
    pub photo: StateDict,
}

impl Space {
    /// # Errors
    /// The combined model was not trained yet.
    pub fn read(runs: &Path) -> Result<Self> {
        let read = |file| {
            weights::read(&runs.join(Model::Combined.name()).join(file))
                .context("no combined model is trained; run `marketrank-train train combined`")
        };
        Ok(Self { text: read(TEXT_SPACE)?, photo: read(PHOTO_SPACE)? })
    }

    /// # Errors
    /// The disk refuses.
    pub fn write(&self, runs: &Path) -> Result<()> {
        let folder = runs.join(Model::Combined.name());
        weights::write_safetensors(&folder.join(TEXT_SPACE), &self.text, &BTreeMap::new())?;
        weights::write_safetensors(&folder.join(PHOTO_SPACE), &self.photo, &BTreeMap::new())?;
        Ok(())
    }
}

/// Heads with the projection into the common space in the place of the one that helped to fine-tune the network.
fn in_the_space(heads: StateDict, space: &StateDict) -> StateDict {
    let own = heads.into_iter().filter(|(name, _)| !name.starts_with("projection."));
    own.chain(space.clone()).collect()
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
