//! A finished model on disk.

use std::{
    fs::{File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use tempfile::Builder;

/// Puts `model` at `path`, whole or not at all: it is written beside, flushed to the disk, and renamed, so that a server
/// that starts meanwhile finds either the old file or the new one.
///
/// # Errors
/// The folder does not exist or cannot be written to, or the disk is full.
pub fn write(path: &Path, model: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut beside =
        Builder::new().prefix(".onnx-").permissions(Permissions::from_mode(0o644)).tempfile_in(folder)?;
    beside.write_all(model)?;
    beside.as_file().sync_all()?;
    beside.persist(path)?;
    File::open(folder)?.sync_all()
}
