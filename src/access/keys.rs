//! API keys and the file that holds their hashes.
//!
//! ```text
//! # name  scopes        hash of the key
//! shop    predict,rank  sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
//! ```
//!
//! A key is 244 random bits, so its plain SHA-256 cannot be turned back: the slow hashes that passwords need would cost
//! every request milliseconds and win nothing.

use std::{fmt, io, path::Path, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use uuid::Uuid;

use super::{Caller, Scope};

/// What keys begin with, so that a scanner for leaked secrets knows one.
const PREFIX: &str = "mrk_";
const HASH_PREFIX: &str = "sha256:";
/// Longest key that is looked at, in bytes.
const LONGEST: usize = 256;
/// Longest key file, in bytes.
const LARGEST_FILE: u64 = 1 << 20;

/// A key as its owner has it. It shows itself only by [`Key::reveal`].
pub struct Key(String);

/// SHA-256 of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Hash([u8; 32]);

/// The keys of a key file.
#[derive(Debug, Default)]
pub struct KeyFile {
    entries: Vec<Entry>,
}

struct Entry {
    name: Arc<str>,
    scopes: Vec<Scope>,
    hash: Hash,
}

/// Why a key file cannot be used. No message repeats what the file says: it may be a key in the wrong place.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("is larger than 1 MiB, so it is no key file")]
    TooLarge,
    #[error("line {line}: {reason}; `marketrank keys new` prints a line as it must be")]
    Line { line: usize, reason: &'static str },
}

impl Key {
    /// A new one, from the operating system's random numbers.
    pub fn random() -> Self {
        // Two UUIDs of version 4 have 122 random bits each.
        let [first, second] = [Uuid::new_v4(), Uuid::new_v4()].map(Uuid::into_bytes);
        Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([first, second].concat())))
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The line of a key file that lets this key in.
    pub fn line(&self, name: &str, scopes: &[Scope]) -> String {
        let scopes = scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(",");
        format!("{name} {scopes} {HASH_PREFIX}{}", Hash::of(&self.0))
    }
}

impl KeyFile {
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        if std::fs::metadata(path)?.len() > LARGEST_FILE {
            return Err(KeyFileError::TooLarge);
        }
        Self::parse(&std::fs::read_to_string(path)?)
    }

    /// A key a line; blank lines and what follows a `#` say nothing.
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
        let mut entries = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            if !line.trim().is_empty() {
                let refuse = |reason| KeyFileError::Line { line: index + 1, reason };
                entries.push(Entry::parse(line).map_err(refuse)?);
            }
        }
        Ok(Self { entries })
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whose key this is. Takes the same time for every key of a length, whether it is there or not.
    pub fn find(&self, presented: &str) -> Option<Caller> {
        if presented.len() > LONGEST {
            return None;
        }
        let hash = Hash::of(presented);
        let mut found = u32::MAX;
        for (index, entry) in (0_u32..).zip(&self.entries) {
            let same: Choice = hash.0.ct_eq(&entry.hash.0);
            found.conditional_assign(&index, same);
        }
        let entry = self.entries.get(usize::try_from(found).ok()?)?;
        Some(Caller { name: Some(Arc::clone(&entry.name)), scopes: entry.scopes.clone() })
    }
}

impl Entry {
    fn parse(line: &str) -> Result<Self, &'static str> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [name, scopes, hash] = fields[..] else {
            return Err("a line has three fields: name, scopes, hash");
        };
        if name.len() > 64 || !name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
            return Err("a name has at most 64 of A-Z a-z 0-9 . _ -");
        }
        let scopes = scopes.split(',').map(str::parse).collect::<Result<Vec<Scope>, _>>();
        let scopes = scopes.map_err(|_| "the second field must name scopes: predict, rank, write, admin")?;
        let hash = Hash::parse(hash).ok_or("the third field must be sha256: and 64 hexadecimal digits")?;
        Ok(Self { name: name.into(), scopes, hash })
    }
}

impl Hash {
    fn of(key: &str) -> Self {
        Self(Sha256::digest(key).into())
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(HASH_PREFIX)?.as_bytes();
        let mut bytes = [0; 32];
        if digits.len() != 64 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("name", &self.name)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_found_by_its_line_and_by_no_other() {
        let [key, other] = [Key::random(), Key::random()];
        let line = key.line("shop", &[Scope::Predict, Scope::Rank]);
        let file =
            KeyFile::parse(&format!("# keys\n\nother admin sha256:{}\n{line} # ours\n", "0".repeat(64)));
        let file = file.unwrap();
        let caller = file.find(key.reveal()).unwrap();
        assert_eq!(caller.name.as_deref(), Some("shop"));
        assert_eq!(caller.scopes, [Scope::Predict, Scope::Rank]);
        assert_eq!(file.find(other.reveal()), None);
        assert_eq!(file.find(""), None);
        assert_eq!(file.find(&line), None);
    }

    #[test]
    fn hashes_are_sha256_of_the_key() {
        // `printf abc | sha256sum`
        let line = "n predict sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(KeyFile::parse(line).unwrap().find("abc").is_some());
    }

    #[test]
    fn new_keys_are_long_and_never_the_same() {
        let keys: std::collections::BTreeSet<String> = (0..100).map(|_| Key::random().0).collect();
        assert_eq!(keys.len(), 100);
        assert!(keys.iter().all(|key| key.len() == 47 && key.starts_with("mrk_")));
    }

    #[test]
    fn a_bad_line_is_named_and_not_repeated() {
        let secret = Key::random();
        for line in [
            format!("shop predict {}", secret.reveal()),
            format!("shop {} predict", secret.reveal()),
            format!("{} predict", secret.reveal()),
            format!("shop predict sha256:{}", "g".repeat(64)),
            format!("shop everything sha256:{}", "0".repeat(64)),
        ] {
            let error = KeyFile::parse(&format!("\n{line}\n")).unwrap_err().to_string();
            assert!(error.starts_with("line 2: "), "{error}");
            assert!(!error.contains("mrk_"), "{error}");
        }
    }

    #[test]
    fn a_key_does_not_show_itself_by_accident() {
        let key = Key::random();
        assert!(!format!("{key:?}").contains(key.reveal()));
    }
}
