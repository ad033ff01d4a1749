//! The three models, by name.

use crate::artefacts::{Manifest, ModelEntry};

/// Which of the three models answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    Image,
    Text,
    Combined,
}

impl Model {
    pub const ALL: [Self; 3] = [Self::Image, Self::Text, Self::Combined];

    /// The model that answers for a listing; none for one with neither text nor photo.
    pub fn for_listing(has_text: bool, photos: usize) -> Option<Self> {
        match (has_text, photos) {
            (false, 0) => None,
            (true, 0) => Some(Self::Text),
            (false, _) => Some(Self::Image),
            (true, _) => Some(Self::Combined),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Text => "text",
            Self::Combined => "combined",
        }
    }
}

impl Manifest {
    pub fn model(&self, model: Model) -> &ModelEntry {
        match model {
            Model::Image => &self.models.image,
            Model::Text => &self.models.text,
            Model::Combined => &self.models.combined,
        }
    }

    pub fn model_mut(&mut self, model: Model) -> &mut ModelEntry {
        match model {
            Model::Image => &mut self.models.image,
            Model::Text => &mut self.models.text,
            Model::Combined => &mut self.models.combined,
        }
    }
}
