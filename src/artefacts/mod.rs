//! The artefact folder (`models/`): the manifest and the files it vouches for, verified before anything uses them.

mod manifest;
mod precision;
mod self_test;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

pub use manifest::{
    FORMAT, FileEntry, ImageInput, Manifest, Metrics, ModelEntry, Models, Subcategory, TextInput, Variant,
};
pub use precision::{Precision, PrecisionChoice};
pub use self_test::SelfTest;

/// Name of the manifest inside the artefact folder.
pub const MANIFEST: &str = "manifest.json";

/// A folder whose manifest was read and whose files all have the hashes it states.
#[derive(Debug, Clone)]
pub struct Artefacts {
    folder: PathBuf,
    manifest: Manifest,
}

/// Why an artefact folder cannot be used. Every message names the file and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ArtefactError {
    #[error("cannot read {path}: {error}; give the folder of the models with --models")]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{path} is no manifest this build understands: {reason}; export the models again")]
    Manifest { path: PathBuf, reason: String },
    #[error(
        "{path} was altered: its SHA-256 is {found}, the manifest says {expected}; restore the file or export the models again"
    )]
    Altered { path: PathBuf, found: String, expected: String },
}

impl Artefacts {
    /// Reads the manifest and checks the hash of every file it names.
    pub fn load(folder: impl Into<PathBuf>) -> Result<Self, ArtefactError> {
        let folder = folder.into();
        let path = folder.join(MANIFEST);
        let json =
            std::fs::read(&path).map_err(|error| ArtefactError::Unreadable { path: path.clone(), error })?;
        let refuse = |reason: String| ArtefactError::Manifest { path: path.clone(), reason };
        let manifest = Manifest::parse(&json).map_err(refuse)?;

        let artefacts = Self { folder, manifest };
        artefacts.manifest.files().try_for_each(|entry| artefacts.verify(entry))?;
        Ok(artefacts)
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where a file of the manifest lies.
    pub fn path(&self, entry: &FileEntry) -> PathBuf {
        self.folder.join(&entry.file)
    }

    fn verify(&self, entry: &FileEntry) -> Result<(), ArtefactError> {
        let path = self.path(entry);
        match sha256_of_file(&path) {
            Ok(found) if found == entry.sha256 => Ok(()),
            Ok(found) => Err(ArtefactError::Altered { path, found, expected: entry.sha256.clone() }),
            Err(error) => Err(ArtefactError::Unreadable { path, error }),
        }
    }
}

/// Lower-case hexadecimal SHA-256 of a file, read in pieces.
pub fn sha256_of_file(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(format!("{:x}", hasher.finalize()))
}
