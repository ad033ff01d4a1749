//! A stored listing that models are asked about before they serve.

use base64::{DecodeError, Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

/// A listing whose answers are known: each [`Variant`](super::Variant) has the logits that its file gave of it where it was
/// exported. Made up by the exporter, never a person's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfTest {
    pub title: String,
    /// A photo file, base64.
    pub photo: String,
}

impl SelfTest {
    /// The bytes of the photo file.
    ///
    /// # Errors
    /// It is no base64.
    pub fn photo_file(&self) -> Result<Vec<u8>, DecodeError> {
        STANDARD.decode(&self.photo)
    }
}
