//! A folder of models under construction, beside the one whose place it takes when it is finished.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use marketrank::artefacts::{FileEntry, MANIFEST, Manifest, sha256_of_file};
use tempfile::TempDir;

use crate::onnx::file;

/// Removed when dropped before [`publish`](Self::publish).
pub struct Staging {
    folder: TempDir,
    target: PathBuf,
}

impl Staging {
    /// # Errors
    /// The folder around `target` does not exist or cannot be written to.
    pub fn beside(target: &Path) -> Result<Self> {
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let folder = tempfile::Builder::new()
            .prefix(".models-")
            .tempdir_in(parent)
            .with_context(|| format!("cannot write beside {}", target.display()))?;
        Ok(Self { folder, target: target.to_owned() })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a model and returns its entry.
    pub fn model(&self, name: &str, model: &[u8]) -> Result<FileEntry> {
        let path = self.path().join(name);
        file::write(&path, model).with_context(|| format!("cannot write {}", path.display()))?;
        self.entry(name)
    }

    /// Copies a file of another folder under its own or a new name, and returns its entry.
    pub fn copy(&self, from: &Path, name: &str) -> Result<FileEntry> {
        fs::copy(from, self.path().join(name)).with_context(|| format!("cannot copy {}", from.display()))?;
        self.entry(name)
    }

    pub fn manifest(&self, manifest: &Manifest) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(manifest)?;
        json.push(b'\n');
        fs::write(self.path().join(MANIFEST), json).context("cannot write the manifest")
    }

    fn entry(&self, name: &str) -> Result<FileEntry> {
        let sha256 =
            sha256_of_file(&self.path().join(name)).with_context(|| format!("cannot read {name}"))?;
        Ok(FileEntry { file: name.to_owned(), sha256 })
    }

    /// Puts the finished folder in the place of the old one, which stays where that fails.
    pub fn publish(self) -> Result<()> {
        let (finished, models) = (self.folder.path(), &self.target);
        let context = || format!("cannot put the new models in the place of {}", models.display());
        // A temporary folder is its owner's alone; models are for everyone who may run the server.
        fs::set_permissions(finished, fs::Permissions::from_mode(0o755)).with_context(context)?;
        let old = finished.with_extension("old");
        let replaces = models.exists();
        if replaces {
            fs::rename(models, &old).with_context(context)?;
        }
        if let Err(error) = fs::rename(finished, models) {
            if replaces {
                fs::rename(&old, models).with_context(context)?;
            }
            return Err(error).with_context(context);
        }
        if replaces {
            fs::remove_dir_all(&old).with_context(|| format!("cannot remove {}", old.display()))?;
        }
        Ok(())
    }
}
