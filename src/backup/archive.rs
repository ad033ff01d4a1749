//! The file of a backup: a gzipped tar (POSIX ustar) whose last entry holds the SHA-256 of every other one.
//!
//! ```text
//! backup.json             what it is of
//! products/000000.ndjson  a product a line, as the catalogue's journal has them
//! ...
//! sha256.json             the hashes and the number of products; where it is missing, the backup is not whole
//! ```

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use flate2::{Compression, write::GzEncoder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub(super) const DESCRIPTION: &str = "backup.json";
pub(super) const SUMS: &str = "sha256.json";
const PRODUCTS: &str = "products/";
/// Entries fill blocks of this many bytes.
const BLOCK: usize = 512;

/// The last entry.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sums {
    pub products: u64,
    /// Lower-case hexadecimal SHA-256 of each entry's bytes, by its name.
    pub sha256: BTreeMap<String, String>,
}

/// Packs entries one after the other and hands out what is packed.
pub(super) struct ArchiveWriter {
    packed: GzEncoder<Vec<u8>>,
    sums: Sums,
}

impl Default for ArchiveWriter {
    fn default() -> Self {
        // Most of the bytes are JPEG and numbers: packing harder takes time and saves little.
        Self { packed: GzEncoder::new(Vec::new(), Compression::fast()), sums: Sums::default() }
    }
}

impl ArchiveWriter {
    /// Adds an entry. Gives the bytes that are ready.
    pub fn entry(&mut self, name: &str, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.sums.sha256.insert(name.to_owned(), hash(bytes));
        self.append(name, bytes)?;
        Ok(std::mem::take(self.packed.get_mut()))
    }

    /// Adds the hashes and ends the file. Gives its last bytes.
    pub fn finish(&mut self, products: u64) -> io::Result<Vec<u8>> {
        self.sums.products = products;
        let json = serde_json::to_vec_pretty(&self.sums)?;
        self.append(SUMS, &json)?;
        self.packed.write_all(&[0; 2 * BLOCK])?;
        self.packed.try_finish()?;
        Ok(std::mem::take(self.packed.get_mut()))
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_path(name)?;
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.set_cksum();
        self.packed.write_all(header.as_bytes())?;
        self.packed.write_all(bytes)?;
        self.packed.write_all(&[0; BLOCK][..bytes.len().next_multiple_of(BLOCK) - bytes.len()])
    }
}

/// Name of an entry of products.
pub(super) fn products(number: usize) -> String {
    format!("{PRODUCTS}{number:06}.ndjson")
}

pub(super) fn is_products(name: &str) -> bool {
    name.starts_with(PRODUCTS)
}

pub(super) fn hash(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}
