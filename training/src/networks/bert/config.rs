use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The shape of a `BertModel`: what its `config.json` says that changes the forward pass.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BertConfig {
    #[serde(rename = "vocab_size")]
    pub vocabulary: usize,
    /// The width of the embeddings and of every layer's output.
    #[serde(rename = "hidden_size")]
    pub width: usize,
    #[serde(rename = "num_hidden_layers")]
    pub layers: usize,
    /// Attention heads per layer; they share the width equally.
    #[serde(rename = "num_attention_heads")]
    pub heads: usize,
    /// The width between the two matrices of a feed-forward block.
    #[serde(rename = "intermediate_size")]
    pub intermediate_width: usize,
    /// The longest input, in tokens.
    #[serde(rename = "max_position_embeddings")]
    pub positions: usize,
    #[serde(rename = "type_vocab_size", default = "token_types")]
    pub token_types: usize,
    #[serde(default = "layer_norm_eps")]
    pub layer_norm_eps: f64,
    /// Share of hidden values left out in training.
    #[serde(rename = "hidden_dropout_prob", default = "dropout")]
    pub dropout: f64,
    model_type: Option<String>,
    hidden_act: Option<String>,
    position_embedding_type: Option<String>,
}

fn token_types() -> usize {
    2
}

fn dropout() -> f64 {
    0.1
}

fn layer_norm_eps() -> f64 {
    1e-12
}

/// Why a `config.json` does not describe a network that can be built.
#[derive(Debug, thiserror::Error)]
pub enum BertConfigError {
    #[error("cannot read {path}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path} is not the config.json of a BertModel")]
    Malformed { path: PathBuf, source: serde_json::Error },
    #[error("{path}: {field} is {value}, and only {accepted} works here")]
    Unsupported { path: PathBuf, field: &'static str, value: String, accepted: String },
}

impl BertConfig {
    /// Reads a Hugging Face `config.json`.
    ///
    /// # Errors
    /// If it cannot be read, lacks a field, or asks for something other than absolute positions and the exact GELU, or
    /// for a size that no published model comes near.
    pub fn read(path: &Path) -> Result<Self, BertConfigError> {
        let file = File::open(path)
            .map_err(|source| BertConfigError::Unreadable { path: path.to_owned(), source })?;
        let config: Self = serde_json::from_reader(BufReader::new(file))
            .map_err(|source| BertConfigError::Malformed { path: path.to_owned(), source })?;
        match config.first_unsupported() {
            Some((field, value, accepted)) => {
                Err(BertConfigError::Unsupported { path: path.to_owned(), field, value, accepted })
            }
            None => Ok(config),
        }
    }

    /// A field, its value, and what it would have to be.
    fn first_unsupported(&self) -> Option<(&'static str, String, String)> {
        let sizes = [
            ("vocab_size", self.vocabulary, 1 << 20),
            ("hidden_size", self.width, 1 << 14),
            ("num_hidden_layers", self.layers, 1 << 8),
            ("num_attention_heads", self.heads, 1 << 8),
            ("intermediate_size", self.intermediate_width, 1 << 16),
            ("max_position_embeddings", self.positions, 1 << 16),
            ("type_vocab_size", self.token_types, 1 << 8),
        ];
        if let Some((field, value, most)) =
            sizes.into_iter().find(|(_, value, most)| !(1..=*most).contains(value))
        {
            return Some((field, value.to_string(), format!("1 to {most}")));
        }
        if !self.width.is_multiple_of(self.heads) {
            let accepted = format!("a multiple of the {} heads", self.heads);
            return Some(("hidden_size", self.width.to_string(), accepted));
        }
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps < 1.0) {
            return Some(("layer_norm_eps", self.layer_norm_eps.to_string(), "between 0 and 1".to_owned()));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let accepted = "0 or more and less than 1".to_owned();
            return Some(("hidden_dropout_prob", self.dropout.to_string(), accepted));
        }
        // The tensors of a RoBERTa have the same names, its positions and special tokens other numbers.
        let names = [
            ("model_type", &self.model_type, "bert"),
            ("hidden_act", &self.hidden_act, "gelu"),
            ("position_embedding_type", &self.position_embedding_type, "absolute"),
        ];
        names.into_iter().find_map(|(field, value, accepted)| {
            let value = value.as_deref().filter(|value| *value != accepted)?;
            Some((field, format!("{value:?}"), format!("{accepted:?}")))
        })
    }
}
