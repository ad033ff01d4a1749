//! Who may do what, and how often: API keys with scopes ([`keys`]), and requests a second ([`rate`]).

mod keys;
mod rate;

use std::{fmt, str::FromStr, sync::Arc};

use parking_lot::RwLock;

pub use keys::{Key, KeyFile, KeyFileError};
pub use rate::{RateLimits, TooOften};

/// What a key may do. None contains another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Ask for categories, and run the models.
    Predict,
    /// Rank, and read the catalogue.
    Rank,
    /// Store and delete products.
    Write,
    /// Back up, reload, and what else is the operator's.
    Admin,
}

impl Scope {
    pub const ALL: [Self; 4] = [Self::Predict, Self::Rank, Self::Write, Self::Admin];

    pub fn name(self) -> &'static str {
        match self {
            Self::Predict => "predict",
            Self::Rank => "rank",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the scopes are predict, rank, write and admin")]
pub struct UnknownScope;

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL.into_iter().find(|scope| scope.name() == text).ok_or(UnknownScope)
    }
}

/// Who asks, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The name of the key in the key file; none where there was no key.
    pub name: Option<Arc<str>>,
    pub scopes: Vec<Scope>,
}

impl Caller {
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// The keys in force. They may be replaced while requests are answered.
#[derive(Debug)]
pub struct Access {
    /// `None` where no keys are asked for.
    keys: Option<RwLock<Arc<KeyFile>>>,
}

impl Access {
    /// Everyone may do everything.
    pub fn open() -> Self {
        Self { keys: None }
    }

    /// Only who has a key may do what it is for.
    pub fn by_keys(keys: KeyFile) -> Self {
        Self { keys: Some(RwLock::new(Arc::new(keys))) }
    }

    /// Whether keys are asked for at all.
    pub fn asks_for_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// From now on these keys are asked for, where any are.
    pub fn replace(&self, keys: KeyFile) {
        if let Some(current) = &self.keys {
            *current.write() = Arc::new(keys);
        }
    }

    /// Who brings this key; without one nobody in particular. None where the key is not in force.
    pub fn caller(&self, presented: Option<&str>) -> Option<Caller> {
        match (&self.keys, presented) {
            (None, _) => Some(Caller { name: None, scopes: Scope::ALL.to_vec() }),
            (Some(_), None) => Some(Caller { name: None, scopes: Vec::new() }),
            (Some(keys), Some(presented)) => {
                let keys = Arc::clone(&keys.read());
                keys.find(presented)
            }
        }
    }
}
