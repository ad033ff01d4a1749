//! Thumbnails: files beside the engine, so that reading a product's payload does not read its picture.
//!
//! A file is named after product and content and written before the engine learns of it, so whoever reads a product
//! finds the thumbnail that belongs to it. Durable are the files after [`Thumbnails::sync`]; until then the journal is.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::folder::sync_path;
use crate::catalogue::PhotoTag;

/// Files that are waited for at the same time.
const SYNCING_AT_ONCE: usize = 16;

#[derive(Debug)]
pub struct Thumbnails {
    folder: PathBuf,
    /// Written since the last sync.
    unsynced: BTreeSet<PathBuf>,
}

impl Thumbnails {
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned(), unsynced: BTreeSet::new() })
    }

    /// `tag` is that of `jpeg`.
    pub fn write(&mut self, point: Uuid, tag: PhotoTag, jpeg: &[u8]) -> io::Result<()> {
        let path = file(&self.folder, point, tag);
        if let Some(shelf) = path.parent() {
            fs::create_dir_all(shelf)?;
        }
        fs::write(&path, jpeg)?;
        self.unsynced.insert(path);
        Ok(())
    }

    /// Removes a thumbnail that no product has any more. One that stays behind wastes space and nothing else.
    pub fn remove(&mut self, point: Uuid, tag: PhotoTag) {
        let path = file(&self.folder, point, tag);
        self.unsynced.remove(&path);
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "cannot remove a thumbnail that is no longer used");
        }
    }

    /// Puts every thumbnail written since the last call on disk.
    pub fn sync(&mut self) -> io::Result<()> {
        let files: Vec<&PathBuf> = self.unsynced.iter().collect();
        let shelves: BTreeSet<&Path> = files.iter().filter_map(|file| file.parent()).collect();
        sync_together(&files)?;
        sync_together(&shelves.into_iter().collect::<Vec<_>>())?;
        sync_path(&self.folder)?;
        self.unsynced.clear();
        Ok(())
    }
}

/// Waits for many files or folders at once: a file system takes all that wait into one commit of its own journal, which
/// is 30 times as fast as one after the other (measured on ext4: 0.12 ms a file instead of 3.7).
fn sync_together(paths: &[impl AsRef<Path> + Sync]) -> io::Result<()> {
    std::thread::scope(|scope| {
        let share = paths.len().div_ceil(SYNCING_AT_ONCE).max(1);
        let sync = |paths: &[_]| paths.iter().try_for_each(|path: &_| sync_path(AsRef::as_ref(path)));
        let waiting: Vec<_> = paths.chunks(share).map(|share| scope.spawn(move || sync(share))).collect();
        waiting.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread that syncs files panicked")))
        })
    })
}

/// The thumbnail, or `None` where it is gone because the product was replaced or removed in the meantime.
pub fn read(folder: &Path, point: Uuid, tag: PhotoTag) -> io::Result<Option<Vec<u8>>> {
    match fs::read(file(folder, point, tag)) {
        Ok(jpeg) => Ok(Some(jpeg)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// 256 shelves keep the folders short where there are a million products.
fn file(folder: &Path, point: Uuid, tag: PhotoTag) -> PathBuf {
    let point = point.simple().to_string();
    folder.join(&point[..2]).join(format!("{point}-{:08x}.jpg", tag.0))
}
