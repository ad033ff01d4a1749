//! Reading a backup: first all of it against its hashes, then its products.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;

use super::{
    Description, FORMAT,
    archive::{self, Sums},
};
use crate::catalogue::{ProductRecord, StoredProduct};

/// Largest entry that is read, in bytes: 256 products with 1 MiB each.
const LARGEST_ENTRY: u64 = 256 << 20;

/// Most bytes that are read behind the last entry: tar pads its end with zeros to 10 KiB.
const LARGEST_END: u64 = 64 << 10;

/// A backup whose every entry has the hash it should have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verified {
    pub description: Description,
    pub products: u64,
}

/// Why a file is no backup that can be restored.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    #[error("{path} cannot be read: {error}")]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{path} is no whole backup: {reason}; take another one")]
    Broken { path: PathBuf, reason: String },
    #[error(
        "{path} is a backup of format {found}, this build reads {FORMAT}; restore it with the build that made it"
    )]
    Format { path: PathBuf, found: u64 },
}

pub(super) fn open_verified(path: &Path) -> Result<Verified, ContentError> {
    verify(path, entries(path)?)
}

/// Reads all of an unpacked backup, for [`crate::fuzz`].
pub fn read_whole(tar: &[u8]) {
    let entries = || {
        let mut blocks = Blocks(tar);
        std::iter::from_fn(move || blocks.next_entry().transpose())
    };
    let _ = verify("fuzz".as_ref(), entries());
    for (_, bytes) in entries().map_while(Result::ok) {
        let _ = parse(&bytes);
    }
}

fn verify(
    path: &Path,
    entries: impl Iterator<Item = io::Result<(String, Vec<u8>)>>,
) -> Result<Verified, ContentError> {
    let broken = |reason: String| ContentError::Broken { path: path.to_owned(), reason };
    let mut hashes = BTreeMap::new();
    let mut description = None;
    let mut sums: Option<Sums> = None;
    for entry in entries {
        let (name, bytes) = entry.map_err(|error| broken(error.to_string()))?;
        if sums.is_some() {
            return Err(broken(format!("{name} stands behind {}", archive::SUMS)));
        }
        if name == archive::SUMS {
            sums = Some(serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?);
            continue;
        }
        if name == archive::DESCRIPTION {
            description = Some(bytes.clone());
        }
        if hashes.insert(name.clone(), archive::hash(&bytes)).is_some() {
            return Err(broken(format!("{name} is in it twice")));
        }
    }
    // The format before the rest: another one may have other entries.
    let description = description.ok_or_else(|| broken(format!("it has no {}", archive::DESCRIPTION)))?;
    let stated: serde_json::Value =
        serde_json::from_slice(&description).map_err(|error| broken(error.to_string()))?;
    match stated["format"].as_u64() {
        Some(found) if found != u64::from(FORMAT) => {
            return Err(ContentError::Format { path: path.to_owned(), found });
        }
        _ => {}
    }
    let sums = sums.ok_or_else(|| broken("it ends too early".into()))?;
    if let Some((name, _)) = hashes.iter().find(|(name, hash)| sums.sha256.get(*name) != Some(*hash)) {
        return Err(broken(format!("{name} does not have the hash it should have")));
    }
    if let Some(name) = sums.sha256.keys().find(|name| !hashes.contains_key(*name)) {
        return Err(broken(format!("{name} is missing")));
    }
    let description = serde_json::from_slice(&description).map_err(|error| broken(error.to_string()))?;
    Ok(Verified { description, products: sums.products })
}

/// The products, an entry at a time.
pub(super) fn products_in(
    path: &Path,
) -> Result<impl Iterator<Item = Result<Vec<StoredProduct>, ContentError>> + use<>, ContentError> {
    let path = path.to_owned();
    Ok(entries(&path)?.filter_map(move |entry| {
        let broken = |reason: String| ContentError::Broken { path: path.clone(), reason };
        match entry {
            Ok((name, bytes)) if archive::is_products(&name) => {
                Some(parse(&bytes).ok_or_else(|| broken(format!("{name} holds a line that is no product"))))
            }
            Ok(_) => None,
            Err(error) => Some(Err(broken(error.to_string()))),
        }
    }))
}

fn parse(lines: &[u8]) -> Option<Vec<StoredProduct>> {
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice::<ProductRecord<'_>>(line).ok()?.into_stored()).collect()
}

/// Names and bytes of the entries.
fn entries(path: &Path) -> Result<impl Iterator<Item = io::Result<(String, Vec<u8>)>> + use<>, ContentError> {
    let file = File::open(path).map_err(|error| ContentError::Unreadable { path: path.to_owned(), error })?;
    let mut blocks = Blocks(GzDecoder::new(BufReader::new(file)));
    Ok(std::iter::from_fn(move || blocks.next_entry().transpose()))
}

/// `tar::Archive` borrows itself while it is iterated, so the few lines of its format stand here.
struct Blocks<R>(R);

impl<R: Read> Blocks<R> {
    fn next_entry(&mut self) -> io::Result<Option<(String, Vec<u8>)>> {
        let mut header = tar::Header::new_ustar();
        self.0.read_exact(header.as_mut_bytes())?;
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            // To the last byte, where gzip has its checksum: it covers what no entry's hash does, such as headers.
            let behind = io::copy(&mut (&mut self.0).take(LARGEST_END), &mut io::sink())?;
            return if behind < LARGEST_END {
                Ok(None)
            } else {
                Err(io::Error::other("something stands behind its end"))
            };
        }
        let stated: u32 = header.cksum()?;
        let mut copy = header.clone();
        copy.set_cksum();
        if copy.cksum()? != stated {
            return Err(io::Error::other("an entry's header is damaged"));
        }
        let (name, size) = (header.path()?.to_string_lossy().into_owned(), header.size()?);
        if size > LARGEST_ENTRY {
            return Err(io::Error::other(format!("{name} has {size} bytes, more than an entry has")));
        }
        let mut bytes = Vec::new();
        if (&mut self.0).take(size).read_to_end(&mut bytes)? as u64 != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let padding = size.next_multiple_of(512) - size;
        io::copy(&mut (&mut self.0).take(padding), &mut io::sink())?;
        Ok(Some((name, bytes)))
    }
}
