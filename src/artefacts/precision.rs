//! The same model in several precisions, and which of them runs.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::{ModelEntry, Variant};

/// In which numbers a model file keeps its weights and computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    Float32,
    /// Stored in 16 bits, computed in 32.
    Float16,
    /// Stored and computed in 8 bits.
    Int8,
}

impl Precision {
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Int8 => "int8",
        }
    }
}

/// Which precision to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum PrecisionChoice {
    /// On the CPU int8 where there is one; on CUDA a float: there ONNX Runtime computes int8 models in
    /// floats anyway.
    #[default]
    Auto,
    Float32,
    Float16,
    Int8,
}

impl PrecisionChoice {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Int8 => "int8",
        }
    }
}

impl From<Precision> for PrecisionChoice {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::Float32 => Self::Float32,
            Precision::Float16 => Self::Float16,
            Precision::Int8 => Self::Int8,
        }
    }
}

impl ModelEntry {
    /// The variant of this precision.
    pub fn variant(&self, precision: Precision) -> Option<&Variant> {
        self.variants.iter().find(|variant| variant.precision == precision)
    }

    /// The variant to run; none where the manifest has no such one.
    pub fn pick(&self, choice: PrecisionChoice, on_cuda: bool) -> Option<&Variant> {
        match choice {
            PrecisionChoice::Float32 => self.variant(Precision::Float32),
            PrecisionChoice::Float16 => self.variant(Precision::Float16),
            PrecisionChoice::Int8 => self.variant(Precision::Int8),
            PrecisionChoice::Auto => {
                let suits = |variant: &&Variant| (variant.precision == Precision::Int8) != on_cuda;
                self.variants.iter().find(suits).or(self.variants.first())
            }
        }
    }

    /// The precisions there are, for people.
    pub fn precisions(&self) -> String {
        self.variants.iter().map(|variant| variant.precision.name()).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artefacts::{FileEntry, Metrics};

    fn entry(precisions: &[Precision]) -> ModelEntry {
        let variant = |&precision: &Precision| Variant {
            precision,
            file: FileEntry { file: precision.name().into(), sha256: String::new() },
            temperature: 1.0,
            review_threshold: 1.0,
            self_test_logits: None,
            metrics: Metrics { top1: 0.0, top3: 0.0, macro_f1: 0.0, ece: 0.0 },
        };
        let variants = precisions.iter().map(variant).collect();
        ModelEntry { backbone: String::new(), image: None, text: None, variants }
    }

    fn picked(precisions: &[Precision], choice: PrecisionChoice, on_cuda: bool) -> Option<Precision> {
        entry(precisions).pick(choice, on_cuda).map(|variant| variant.precision)
    }

    #[test]
    fn auto_is_int8_on_the_cpu_and_a_float_on_cuda() {
        let both = [Precision::Float16, Precision::Int8];
        assert_eq!(picked(&both, PrecisionChoice::Auto, false), Some(Precision::Int8));
        assert_eq!(picked(&both, PrecisionChoice::Auto, true), Some(Precision::Float16));
    }

    #[test]
    fn auto_takes_what_there_is() {
        assert_eq!(picked(&[Precision::Float16], PrecisionChoice::Auto, false), Some(Precision::Float16));
        assert_eq!(picked(&[Precision::Int8], PrecisionChoice::Auto, true), Some(Precision::Int8));
    }

    #[test]
    fn a_precision_that_was_asked_for_is_taken_or_nothing() {
        let both = [Precision::Float16, Precision::Int8];
        assert_eq!(picked(&both, PrecisionChoice::Float16, false), Some(Precision::Float16));
        assert_eq!(picked(&both, PrecisionChoice::Float32, false), None);
    }
}
