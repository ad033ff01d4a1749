//! The engine's write-ahead log, kept from growing for ever.
//!
//! qdrant-edge 0.7.2 writes one, takes the numbers of its operations from it, and neither reads it back nor shortens it.
//! Its `closed-N` files, in which nothing is written any more, can go while the engine is not open; the newest of them
//! stays, because the number of the next operation is counted from it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Removes the log's old files. The engine must not be open.
pub fn drop_closed(engine_folder: &Path) -> io::Result<()> {
    let mut closed: Vec<(u64, PathBuf)> = files(engine_folder)?
        .into_iter()
        .filter_map(|(path, _)| {
            let start = path.file_name()?.to_str()?.strip_prefix("closed-")?.parse().ok()?;
            Some((start, path))
        })
        .collect();
    closed.sort();
    closed.pop();
    closed.iter().try_for_each(|(_, path)| fs::remove_file(path))
}

/// Bytes the log takes on disk.
pub fn size(engine_folder: &Path) -> io::Result<u64> {
    Ok(files(engine_folder)?.iter().map(|(_, bytes)| bytes).sum())
}

fn files(engine_folder: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let log = engine_folder.join("wal");
    if !log.try_exists()? {
        return Ok(Vec::new());
    }
    fs::read_dir(log)?
        .map(|entry| {
            let entry = entry?;
            Ok((entry.path(), entry.metadata()?.len()))
        })
        .collect()
}
