//! The journal: where a write is made durable before it is acknowledged.
//!
//! qdrant-edge 0.7.2 has a write-ahead log, but never reads it back: `EdgeShard::load` opens the segments as they were
//! last flushed. It also replaces the vectors of a known point in place, in memory that reaches the disk whenever the
//! kernel likes, and its payload only at a flush. After a crash a replaced product could be half old and half new. So
//! every change since the last flush is kept here and applied again at the next start; applying one twice is harmless.
//!
//! Form: one record after another, `length: u32 LE, crc32 of the body: u32 LE, body`, the body as
//! [`Change::to_bytes`] writes it. A tail that was torn by a crash was never acknowledged and is cut off. A whole record that
//! cannot be read was acknowledged, and the journal is left as it is.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::{change::Change, folder::sync_path};

const HEADER: usize = 8;
/// Disk space that writes leave free. The engine writes through mapped memory into files that are longer than what is in
/// them (a chunk of embeddings, a page of payloads and a piece of its log have 32 MiB each), and where the disk is full the
/// kernel kills whoever does that. So changes are refused while there is still room for those that were taken.
const RESERVE_BYTES: u64 = 128 << 20;
/// What a change takes on disk at most, as a multiple of its record: in the journal, the engine's log, its vectors and payload.
const COPIES: u64 = 4;

#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    /// Bytes of whole, durable records.
    length: u64,
}

/// Why changes could not be made durable.
#[derive(Debug)]
pub enum AppendError {
    /// The journal is as it was before.
    Refused(io::Error),
    /// What the journal holds is no longer known.
    Broken(io::Error),
}

impl Journal {
    /// Opens the journal, or begins one, and gives the changes it holds in the order in which they were made.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] where it holds a whole record that this build cannot read.
    pub fn open(path: &Path) -> io::Result<(Self, Vec<Change>)> {
        let is_new = !path.try_exists()?;
        let mut file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        if is_new && let Some(folder) = path.parent() {
            sync_path(folder)?;
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;

        let mut changes = Vec::new();
        let mut whole = 0;
        while let Some(body) = first_body(&bytes[whole..]) {
            changes.push(Change::from_bytes(body).ok_or_else(|| unreadable(path, whole))?);
            whole += HEADER + body.len();
        }
        if whole < bytes.len() {
            tracing::warn!(
                bytes = bytes.len() - whole,
                path = %path.display(),
                "the journal ends in a record that was never completed; dropping it"
            );
        }
        let mut journal = Self { file, path: path.to_owned(), length: 0 };
        journal.cut(whole as u64)?;
        Ok((journal, changes))
    }

    /// Bytes the journal takes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Adds the changes and waits until they are on disk: one wait, however many there are.
    pub fn append<'a>(&mut self, changes: impl IntoIterator<Item = &'a Change>) -> Result<(), AppendError> {
        let mut records = Vec::new();
        for change in changes {
            push_record(&mut records, change).map_err(AppendError::Refused)?;
        }
        self.check_room(records.len() as u64).map_err(AppendError::Refused)?;
        if let Err(error) = self.file.write_all(&records) {
            // A full disk all the same: what was written of the records must not stand before the next one.
            return Err(match self.cut(self.length) {
                Ok(()) => AppendError::Refused(error),
                Err(_) => AppendError::Broken(error),
            });
        }
        // After a failed sync the kernel may have dropped the pages and report success the next time.
        self.file.sync_data().map_err(AppendError::Broken)?;
        self.length += records.len() as u64;
        Ok(())
    }

    /// Forgets every change: the engine has them on disk.
    pub fn clear(&mut self) -> io::Result<()> {
        self.cut(0)
    }

    fn check_room(&self, records: u64) -> io::Result<()> {
        let wanted = RESERVE_BYTES.saturating_add(records.saturating_mul(COPIES));
        if fs4::available_space(&self.path)? < wanted {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.file.seek(SeekFrom::Start(length))?;
        self.file.sync_all()?;
        self.length = length;
        Ok(())
    }
}

fn push_record(records: &mut Vec<u8>, change: &Change) -> io::Result<()> {
    let body = change.to_bytes()?;
    let length = u32::try_from(body.len()).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, "a single write of 4 GiB or more; send smaller batches")
    })?;
    records.extend_from_slice(&length.to_le_bytes());
    records.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    records.extend_from_slice(&body);
    Ok(())
}

fn unreadable(path: &Path, place: usize) -> io::Error {
    let what = format!(
        "{} holds at byte {place} a whole write that this build cannot read, so another version wrote it; the file is as it \
         was: open the catalogue with the version that wrote it, or move this file away, which gives up the writes in it",
        path.display()
    );
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The body of the record at the start of the bytes; `None` where no whole one stands there.
fn first_body(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let body = rest.get(..u32::from_le_bytes(*length) as usize)?;
    // No change is empty: after a crash a file may end in zeros, and the checksum of nothing is zero.
    let whole = !body.is_empty() && crc32fast::hash(body) == u32::from_le_bytes(*checksum);
    whole.then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{ContentHash, Product, StoredProduct};

    fn changes() -> Vec<Change> {
        let product: Product = serde_json::from_value(serde_json::json!({
            "id": "a", "title": "Lamp", "price": 12.34, "attributes": {"colour": ["red", null], "n": 0.1},
        }))
        .unwrap();
        vec![
            Change::Upsert(vec![StoredProduct {
                embedding: vec![0.1, -1.0, f32::MIN_POSITIVE],
                content: ContentHash::of(&product, &[[1, 2]]),
                product,
                thumbnail: Some(vec![0xff, 0xd8, 0]),
            }]),
            Change::Delete("b".parse().unwrap()),
        ]
    }

    fn journal_of(changes: &[Change], folder: &Path) -> std::path::PathBuf {
        let path = folder.join("journal");
        let (mut journal, held) = Journal::open(&path).unwrap();
        assert_eq!(held, []);
        journal.append(changes).unwrap();
        path
    }

    #[test]
    fn changes_come_back_as_they_were_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = journal_of(&changes(), folder.path());
        assert_eq!(Journal::open(&path).unwrap().1, changes());
    }

    #[test]
    fn a_journal_cut_anywhere_gives_the_whole_records_before_the_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = journal_of(&changes(), folder.path());
        let whole = std::fs::read(&path).unwrap();
        let first = HEADER + first_body(&whole).unwrap().len();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let held = Journal::open(&path).unwrap().1;
            assert_eq!(held.len(), usize::from(cut >= first), "cut at {cut}");
        }
    }

    #[test]
    fn a_flipped_bit_ends_the_journal_before_its_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = journal_of(&changes(), folder.path());
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(Journal::open(&path).unwrap().1, changes()[..1]);
    }

    #[test]
    fn what_follows_a_torn_tail_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = journal_of(&changes()[..1], folder.path());
        File::options().append(true).open(&path).unwrap().write_all(&[9, 9, 9]).unwrap();
        Journal::open(&path).unwrap().0.append(&changes()[1..]).unwrap();
        assert_eq!(Journal::open(&path).unwrap().1, changes());
    }

    #[test]
    fn zeros_that_a_crash_left_at_the_end_are_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = journal_of(&changes(), folder.path());
        let whole = std::fs::read(&path).unwrap();
        File::options().append(true).open(&path).unwrap().write_all(&[0; 4_096]).unwrap();
        assert_eq!(Journal::open(&path).unwrap().1, changes());
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn a_whole_record_that_cannot_be_read_is_an_error_that_leaves_the_journal_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = journal_of(&changes(), folder.path());
        let body = br#"{"merge":[]}"#;
        let header = [(body.len() as u32).to_le_bytes(), crc32fast::hash(body).to_le_bytes()].concat();
        // And behind it the start of a record that was torn.
        let later = [&header[..], body, &[9, 9, 9]].concat();
        File::options().append(true).open(&path).unwrap().write_all(&later).unwrap();
        let before = std::fs::read(&path).unwrap();
        let error = Journal::open(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("open the catalogue with the version that wrote it"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn attributes_nested_as_deep_as_they_are_taken_come_back() {
        let deep = (1..32).fold(serde_json::json!(1), |inner, _| serde_json::json!([inner]));
        let mut changes = changes();
        let Change::Upsert(products) = &mut changes[0] else { panic!("the first one stores") };
        products[0].product.attributes.insert("deep".to_owned(), deep);
        let folder = tempfile::tempdir().unwrap();
        let path = journal_of(&changes, folder.path());
        assert_eq!(Journal::open(&path).unwrap().1, changes);
    }

    #[test]
    fn a_cleared_journal_holds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = journal_of(&changes(), folder.path());
        Journal::open(&path).unwrap().0.clear().unwrap();
        assert_eq!(Journal::open(&path).unwrap().1, []);
    }
}
