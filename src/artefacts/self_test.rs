//! A stored listing that models are asked about before they serve.

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
