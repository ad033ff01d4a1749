//! Which listings a model learns from and which it is measured on.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The part of the data a listing belongs to: 80 % train, 10 % validation, 10 % test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Weights are fitted on these.
    Train,
    /// Early stopping, temperatures and thresholds are chosen on these.
    Validation,
    /// Looked at once, for the numbers that are published.
    Test,
}

impl Split {
    /// Every split, in the order of the reports.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The split of a product id: the first eight bytes of its SHA-256, big-endian, modulo ten; 0 to 7 train, 8 validation,
    /// 9 test.
    ///
    /// A cryptographic hash of nothing but the id keeps a listing where it is when others come and go, on every machine and
    /// with every compiler; `std`'s hasher promises none of that.
    pub fn of(id: &str) -> Self {
        let digest = Sha256::digest(id.as_bytes());
        let head = digest.iter().take(8).fold(0u64, |head, &byte| head << 8 | u64::from(byte));
        match head % 10 {
            0..=7 => Self::Train,
            8 => Self::Validation,
            _ => Self::Test,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
