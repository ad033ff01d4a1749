//! A folder of models under construction, beside the one whose place it takes when it is finished.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
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
    /// The folder around `target` does not exist or cannot be written to, or `target` holds anything but models.
    pub fn beside(target: &Path) -> Result<Self> {
        ensure_replaceable(target)?;
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

/// A mistyped `--models` must not delete a folder of something else.
fn ensure_replaceable(models: &Path) -> Result<()> {
    if !models.exists() || models.join(MANIFEST).is_file() {
        return Ok(());
    }
    let mut entries =
        fs::read_dir(models).with_context(|| format!("{} is in the way and no folder", models.display()))?;
    ensure!(
        entries.next().is_none(),
        "{} holds files but no {MANIFEST}, so it is no folder of models, and would be deleted: give --models another \
         folder",
        models.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_folder_or_one_of_models_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let models = folder.path().join("models");
        assert!(Staging::beside(&models).is_ok(), "it is not there");
        fs::create_dir(&models).unwrap();
        assert!(Staging::beside(&models).is_ok(), "it is empty");
        fs::write(models.join("thesis.doc"), "years of work").unwrap();
        let message = Staging::beside(&models).err().unwrap().to_string();
        assert!(message.contains(models.to_str().unwrap()) && message.contains("--models"), "{message}");
        fs::write(models.join(MANIFEST), "{}").unwrap();
        assert!(Staging::beside(&models).is_ok(), "it holds models");
    }
}
