//! Files that every query reads are brought into the system's cache before the first one asks.

use std::{
    collections::HashSet,
    ffi::OsString,
    fs::{self, File},
    io,
    path::Path,
    thread,
};

use tracing::{debug, warn};

/// Folders of a segment, as the engine names them, whose files a query reads page by page, in hundreds of places: the words' lists, what
/// filters look at, and the exact embeddings of what the graph found.
const READ_BY_EVERY_QUERY: [&str; 3] = ["vector_index-lexical", "payload_index", "vector_storage-semantic"];

/// The names of the segments that are there; none where they cannot be told.
pub fn segments(engine: &Path) -> HashSet<OsString> {
    let entries = fs::read_dir(engine.join("segments")).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect()
}

/// Reads the files of all segments but those that are `known`, in the background. The system keeps them as long as it has memory to
/// spare. The engine has it forget the exact embeddings of every segment that it opens.
pub fn begin(engine: &Path, known: HashSet<OsString>) {
    let segments = engine.join("segments");
    let reader = thread::Builder::new().name("readahead".to_owned()).spawn(move || {
        match read_ahead(&segments, &known) {
            Ok(bytes) => debug!(bytes, "read ahead"),
            // A segment may be merged into another meanwhile. What is missing is read when a query asks for it.
            Err(error) => debug!(%error, "read ahead, in part"),
        }
    });
    if let Err(error) = reader {
        warn!(%error, "cannot read ahead: the first queries will wait for the disk");
    }
}

/// Bytes that were read.
fn read_ahead(segments: &Path, known: &HashSet<OsString>) -> io::Result<u64> {
    let mut bytes = 0;
    for segment in fs::read_dir(segments)? {
        let segment = segment?;
        if known.contains(&segment.file_name()) {
            continue;
        }
        for part in READ_BY_EVERY_QUERY.map(|part| segment.path().join(part)) {
            if part.try_exists()? {
                bytes += read_all(&part)?;
            }
        }
    }
    Ok(bytes)
}

fn read_all(path: &Path) -> io::Result<u64> {
    if path.is_dir() {
        return fs::read_dir(path)?.map(|entry| read_all(&entry?.path())).sum();
    }
    io::copy(&mut File::open(path)?, &mut io::sink())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_query_reads_is_read_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let segment = folder.path().join("1b4e");
        for (file, bytes) in [
            ("vector_index-lexical/inverted_index.dat", 70_000),
            ("payload_index/price-numeric/data.bin", 300),
            ("vector_storage-semantic/matrix.dat", 9_000),
            ("vector_storage-lexical/store/page_0.dat", 40_000),
            ("segment.json", 20),
        ] {
            let file = segment.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, vec![7; bytes]).unwrap();
        }
        assert_eq!(read_ahead(folder.path(), &HashSet::new()).unwrap(), 79_300);
        let known = HashSet::from(["1b4e".into()]);
        assert_eq!(read_ahead(folder.path(), &known).unwrap(), 0);
    }
}
