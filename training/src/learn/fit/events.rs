//! Curves for TensorBoard: scalars in its event files.
//!
//! An event file is a series of TFRecords, each a `tensorflow.Event` message: the length (uint64), its checksum, the
//! message, its checksum, all little-endian. The checksum is a CRC-32C, rotated and shifted as in
//! <https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/lib/hash/crc32c.h>.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use prost::Message;

/// The part of `tensorflow.Event` (tensorflow/core/util/event.proto) that scalars need.
#[derive(Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    /// Of the first event only.
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Scalar>,
}

#[derive(Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    value: f32,
}

/// An event file that grows while a model is trained.
pub struct EventFile {
    file: File,
}

impl EventFile {
    /// Starts a file in `folder`; a resumed training has several, which TensorBoard shows as one run.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn create(folder: &Path) -> io::Result<Self> {
        let now = since_1970();
        let name = format!("events.out.tfevents.{:.6}.{}.marketrank", now, std::process::id());
        let mut events = Self { file: File::create(folder.join(name))? };
        events.write(&Event {
            wall_time: now,
            step: 0,
            file_version: Some("brain.Event:2".to_owned()),
            summary: None,
        })?;
        Ok(events)
    }

    /// Adds a point to each of the named curves.
    ///
    /// # Errors
    /// The disk refuses the write.
    pub fn scalars(&mut self, step: usize, values: &[(&str, f64)]) -> io::Result<()> {
        let values =
            values.iter().map(|&(tag, value)| Scalar { tag: tag.to_owned(), value: value as f32 }).collect();
        let summary = Some(Summary { values });
        self.write(&Event { wall_time: since_1970(), step: step as i64, file_version: None, summary })
    }

    fn write(&mut self, event: &Event) -> io::Result<()> {
        self.file.write_all(&record(&event.encode_to_vec()))
    }
}

/// A TFRecord around a message.
fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let checksum =
        |bytes: &[u8]| crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes();
    [&length[..], &checksum(&length), message, &checksum(message)].concat()
}

fn since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_framed_with_masked_checksums() {
        let expected = [
            3, 0, 0, 0, 0, 0, 0, 0, // length
            176, 153, 73, 14, // its checksum
            97, 98, 99, // message
            110, 87, 241, 33, // its checksum
        ];
        assert_eq!(record(b"abc"), expected);
    }
}
