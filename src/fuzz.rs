//! What the fuzz targets in `fuzz/` call: every reader of bytes that come from a client or a file. Each takes any bytes: what
//! they should have been and are not is an error inside, never a panic, and the work is bounded by their length.
//!
//! `tests/http/fuzz_corpus.rs` runs each over its corpus and over changes of it.

use crate::{
    access::KeyFile,
    api::fuzz,
    artefacts::{ImageInput, Manifest},
    backup,
    config::file::ConfigFile,
    preprocess::{Detail, Letterbox, PhotoLimits, decode_photo, thumbnail},
};

/// A target's name, which is that of its corpus, and the target.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 9] = [
    ("photo", photo),
    ("multipart", fuzz::multipart),
    ("rank_request", fuzz::rank_request),
    ("ndjson", fuzz::ndjson),
    ("tensors", fuzz::tensors),
    ("manifest", manifest),
    ("key_file", key_file),
    ("config_file", config_file),
    ("backup", backup_file),
];

/// Runs the target of this name; there is nothing to run where none has it.
pub fn run(name: &str, bytes: &[u8]) {
    if let Some((_, target)) = TARGETS.iter().find(|(target, _)| *target == name) {
        target(bytes);
    }
}

/// A photo file, all the way to what a model reads.
pub fn photo(bytes: &[u8]) {
    let limits = PhotoLimits { max_pixels: 1 << 20, ..PhotoLimits::default() };
    for detail in [Detail::Full, Detail::Side(4)] {
        if let Ok(photo) = decode_photo(bytes, &limits, detail) {
            let input = ImageInput { height: 32, width: 32, letterbox: [0; 3] };
            Letterbox::new(input).apply(&photo);
            let _ = thumbnail(&photo, 32);
        }
    }
}

pub fn manifest(bytes: &[u8]) {
    let _ = Manifest::parse(bytes);
}

pub fn key_file(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = KeyFile::parse(text).map(|keys| keys.find("mrk_").is_some());
    }
}

pub fn config_file(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = ConfigFile::read("fuzz".as_ref(), text);
    }
}

pub fn backup_file(bytes: &[u8]) {
    backup::read_whole(bytes);
}
