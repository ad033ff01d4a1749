//! The trained models, written by name in any arithmetic.

use anyhow::Result;
use marketrank::inference::Model;

use crate::{
    data::CleanTable,
    learn::{
        backbone::WeightsArgs,
        run::{self, CommonArgs},
        run_report::RunReport,
        trained::{Trained, read_photo_weights},
    },
    onnx::{Arithmetic, LabelCounts, listing::PhotoWeights},
};

/// What the run folders hold.
pub struct Sources {
    pub trained: Trained,
    photo_weights: PhotoWeights,
}

impl Sources {
    /// # Errors
    /// A model was not trained yet, or on another table, or a network's weights cannot be read.
    pub fn read(common: &CommonArgs, weights: &WeightsArgs, table: &CleanTable) -> Result<Self> {
        for model in [run::Model::Text, run::Model::Image, run::Model::Combined] {
            RunReport::ensure_trained_on(&table.sha256, &common.runs, model)?;
        }
        let labels =
            LabelCounts { categories: table.categories.len(), subcategories: table.subcategories.len() };
        Ok(Self {
            trained: Trained::read(weights, &common.runs, labels)?,
            photo_weights: read_photo_weights(&common.runs)?,
        })
    }

    /// The bytes of a model's file.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn write(&self, model: Model, arithmetic: impl Into<Arithmetic>) -> Result<Vec<u8>> {
        match model {
            Model::Image => self.trained.image_model(arithmetic),
            Model::Text => self.trained.text_model(arithmetic),
            Model::Combined => self.trained.combined_model(self.photo_weights, arithmetic),
        }
    }
}
