//! The catalogue's folder: whose it is, what it holds, and that no second process opens it.
//!
//! ```text
//! catalogue.json   what the folder holds: format, embedding width, space
//! lock             held while a process has the catalogue open
//! journal          acknowledged writes the engine has not flushed yet
//! engine/          qdrant-edge's own files
//! thumbnails/      one JPEG a product that has one
//! ```

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::catalogue::CatalogueError;

const DESCRIPTION_FILE: &str = "catalogue.json";
const LOCK_FILE: &str = "lock";
/// Raised when files written by an older build can no longer be read as they are, or terms are weighed differently.
const FORMAT: u32 = 3;

/// `catalogue.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Description {
    format: u32,
    embedding_width: usize,
    /// Which models made the embeddings: those of different models cannot be compared.
    space: String,
    /// While `marketrank reindex` fills it: a catalogue that cannot be served yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    filling: bool,
}

/// How a folder is to be opened.
#[derive(Debug, Clone, Copy)]
pub enum Opening<'a> {
    /// To serve embeddings of this width and space.
    Serve { embedding_width: usize, space: &'a str },
    /// To fill it with embeddings of this width and space; it cannot be served before it is declared whole.
    Fill { embedding_width: usize, space: &'a str },
    /// To read it, of whatever width and space its embeddings are. One that is still being filled is refused: what is missing
    /// in it would be missing in every copy.
    AsItIs,
}

/// A catalogue folder that this process has to itself until the value is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    description: Description,
    _lock: Lock,
}

impl Folder {
    /// Takes the folder, making it where there is none.
    ///
    /// # Errors
    /// [`CatalogueError::Unusable`] if the folder is in use, holds something else (which is left as it is), or holds
    /// embeddings of another width or space.
    pub fn open(path: &Path, opening: Opening<'_>) -> Result<Self, CatalogueError> {
        let wanted = opening.description();
        let unusable = |doing: &str, error: io::Error| {
            CatalogueError::Unusable(format!(
                "cannot {doing} the catalogue folder {}: {error}",
                path.display()
            ))
        };

        if wanted.is_some() {
            fs::create_dir_all(path).map_err(|error| unusable("create", error))?;
        }
        let described = path.join(DESCRIPTION_FILE).try_exists().map_err(|error| unusable("read", error))?;
        if !described
            && (wanted.is_none() || !holds_nothing(path).map_err(|error| unusable("read", error))?)
        {
            return Err(CatalogueError::Unusable(format!(
                "the folder {} holds no {DESCRIPTION_FILE}, so it is no marketrank catalogue; name one that is, or an empty or \
                 a new folder",
                path.display()
            )));
        }

        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(LOCK_FILE))
            .map_err(|error| unusable("write to", error))?;
        let lock = Lock::take(lock).map_err(|error| match error {
            TryLockError::WouldBlock => CatalogueError::Unusable(format!(
                "the folder {} is in use by another marketrank process; stop that one or name another folder",
                path.display()
            )),
            TryLockError::Error(error) => unusable("lock", error),
        })?;

        let description = match wanted {
            Some(wanted) if described => wanted.check(Description::read(path)?, path)?,
            Some(wanted) => {
                wanted.write(path).map_err(|error| unusable("write to", error))?;
                wanted
            }
            None => Description::read(path)?.check_whole(path)?,
        };
        Ok(Self { path: path.to_owned(), description, _lock: lock })
    }

    /// Which models made the embeddings.
    pub fn space(&self) -> &str {
        &self.description.space
    }

    pub fn embedding_width(&self) -> usize {
        self.description.embedding_width
    }

    /// From now on the folder can be served.
    pub fn declare_whole(&self) -> Result<(), CatalogueError> {
        let whole = Description { filling: false, ..self.description.clone() };
        whole.write(&self.path).map_err(|error| {
            CatalogueError::Unusable(format!("cannot write to {}: {error}", self.path.display()))
        })
    }

    pub fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    pub fn engine(&self) -> PathBuf {
        self.path.join("engine")
    }

    pub fn thumbnails(&self) -> PathBuf {
        self.path.join("thumbnails")
    }
}

/// A file that no other process can lock at the same time.
#[derive(Debug)]
struct Lock(File);

impl Lock {
    fn take(file: File) -> Result<Self, TryLockError> {
        file.try_lock()?;
        Ok(Self(file))
    }
}

impl Drop for Lock {
    /// Closing the file alone frees it only once every copy is closed, and a process that is being started holds one until it
    /// becomes another program.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Puts a file's contents, or the names in a folder, on disk.
pub fn sync_path(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// True for an empty folder, and for one that a process took and left before it described it.
fn holds_nothing(path: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        if name != LOCK_FILE && name != unfinished(DESCRIPTION_FILE).as_str() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn unfinished(name: &str) -> String {
    format!("{name}.new")
}

impl Opening<'_> {
    /// What the folder is to hold; `None` where anything will do.
    fn description(self) -> Option<Description> {
        let (embedding_width, space, filling) = match self {
            Self::Serve { embedding_width, space } => (embedding_width, space, false),
            Self::Fill { embedding_width, space } => (embedding_width, space, true),
            Self::AsItIs => return None,
        };
        Some(Description { format: FORMAT, embedding_width, space: space.to_owned(), filling })
    }
}

impl Description {
    /// Of a folder whose format this build reads.
    fn read(path: &Path) -> Result<Self, CatalogueError> {
        let file = path.join(DESCRIPTION_FILE);
        let unusable = |what: String| Err(CatalogueError::Unusable(what));
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) => return unusable(format!("cannot read {}: {error}", file.display())),
        };
        let found: Self = match serde_json::from_str(&text) {
            Ok(found) => found,
            Err(error) => {
                return unusable(format!(
                    "{} is no catalogue description ({error}); restore it from a backup or import into an empty folder",
                    file.display()
                ));
            }
        };
        if found.format != FORMAT {
            return unusable(format!(
                "the catalogue in {} has format {}, this build reads format {FORMAT}; import the listings again into an \
                 empty folder, or use the build that wrote it",
                path.display(),
                found.format
            ));
        }
        Ok(found)
    }

    /// What was found, where it is what is wanted.
    fn check(self, found: Self, path: &Path) -> Result<Self, CatalogueError> {
        if (found.embedding_width, &found.space) != (self.embedding_width, &self.space) {
            return Err(CatalogueError::Unusable(format!(
                "the catalogue in {} holds embeddings of width {} from the models {:?}, but the models in use are {:?} \
                 with width {}; embed them again with `marketrank reindex --from {} --data-dir <a new folder>`, or \
                 start with the models it was made with",
                path.display(),
                found.embedding_width,
                found.space,
                self.space,
                self.embedding_width,
                path.display()
            )));
        }
        // One that is filled once more is whole until then, and after.
        if self.filling { Ok(found) } else { found.check_whole(path) }
    }

    /// Refuses one that is still being filled.
    fn check_whole(self, path: &Path) -> Result<Self, CatalogueError> {
        if self.filling {
            return Err(CatalogueError::Unusable(format!(
                "the catalogue in {} is not whole yet; run the `marketrank reindex` that fills it to its end",
                path.display()
            )));
        }
        Ok(self)
    }

    /// Writes the description so that it is there as a whole or not at all.
    fn write(&self, path: &Path) -> io::Result<()> {
        let new = path.join(unfinished(DESCRIPTION_FILE));
        let mut file = File::create(&new)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&new, path.join(DESCRIPTION_FILE))?;
        sync_path(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_folder_is_free_even_while_a_process_that_was_started_meanwhile_still_holds_its_lock_file() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Folder::open(folder.path(), Opening::Serve { embedding_width: 3, space: "models 1" });
        let closed = open().unwrap();
        let inherited = closed._lock.0.try_clone().unwrap();
        drop(closed);
        open().unwrap();
        drop(inherited);
    }

    #[test]
    fn a_folder_that_is_being_filled_is_read_only_once_it_is_declared_whole() {
        let folder = tempfile::tempdir().unwrap();
        let fill = || Folder::open(folder.path(), Opening::Fill { embedding_width: 3, space: "models 1" });
        drop(fill().unwrap());
        let Err(CatalogueError::Unusable(message)) = Folder::open(folder.path(), Opening::AsItIs) else {
            panic!("it was opened")
        };
        assert!(message.contains("is not whole yet"), "{message}");
        fill().unwrap().declare_whole().unwrap();
        Folder::open(folder.path(), Opening::AsItIs).unwrap();
    }
}
