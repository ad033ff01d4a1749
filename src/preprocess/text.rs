//! Listing text to token ids.

use std::{path::Path, sync::Arc};

use tokenizers::{Tokenizer, TruncationParams};

use crate::artefacts::TextInput;

/// Characters of a listing that are tokenised. A token covers four of them on average, so this is far beyond what the
/// model reads, and it bounds the work a long text can cause.
const MAX_CHARACTERS: usize = 8_192;

/// Token ids of one listing, `[CLS] ... [SEP]`, as the models read them: int64 `[tokens]`, no padding. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens(Arc<[i64]>);

impl Tokens {
    /// Ids of the model's vocabulary, no more than it reads.
    pub fn from_ids(ids: &[i64]) -> Self {
        Self(ids.into())
    }

    /// The shortest input a model can read, for warming up.
    pub(crate) fn blank() -> Self {
        Self([0, 0].into())
    }

    pub fn ids(&self) -> &[i64] {
        &self.0
    }
}

impl From<Vec<i64>> for Tokens {
    fn from(ids: Vec<i64>) -> Self {
        Self(ids.into())
    }
}

/// Why a text could not be encoded or `tokenizer.json` not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tokenizer failed: {0}")]
pub struct TextEncoderError(String);

/// WordPiece over `title`, a line break, `description`, cut to the model's token limit.
#[derive(Debug, Clone)]
pub struct TextEncoder {
    tokenizer: Tokenizer,
}

impl TextEncoder {
    pub fn from_file(path: &Path, input: TextInput) -> Result<Self, TextEncoderError> {
        let failed = |error: tokenizers::Error| TextEncoderError(error.to_string());
        let mut tokenizer = Tokenizer::from_file(path).map_err(failed)?;
        let truncation = TruncationParams { max_length: input.max_tokens, ..Default::default() };
        // The file's own settings are those of the model it was published with.
        tokenizer.with_padding(None).with_truncation(Some(truncation)).map_err(failed)?;
        Ok(Self { tokenizer })
    }

    /// How many tokens there are; their ids run from 0.
    pub fn vocabulary(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// The word pieces in the order of their ids, `##` before those that go on with a word; empty where an id has none.
    pub fn word_pieces(&self) -> Vec<String> {
        (0..self.vocabulary() as u32).map(|id| self.tokenizer.id_to_token(id).unwrap_or_default()).collect()
    }

    /// Encodes a listing or, with one of the two empty, a query.
    pub fn encode(&self, title: &str, description: &str) -> Result<Tokens, TextEncoderError> {
        let text: String = title.trim().chars().chain(['\n']).chain(description.trim().chars()).collect();
        let end = text.char_indices().nth(MAX_CHARACTERS).map_or(text.len(), |(at, _)| at);
        let encoding = self
            .tokenizer
            .encode_fast(&text[..end], true)
            .map_err(|error| TextEncoderError(error.to_string()))?;
        Ok(Tokens(encoding.get_ids().iter().map(|&id| i64::from(id)).collect()))
    }
}
