#![no_main]

use std::{fs, path::PathBuf, sync::LazyLock};

// The reader alone: to instrument the whole training program takes a quarter of an hour.
#[allow(dead_code, unused_imports, reason = "the target reads, and only reads")]
#[path = "../../training/src/weights/mod.rs"]
mod weights;

/// The reader takes a file; this one lies in memory.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| format!("/dev/shm/marketrank-fuzz-{}", std::process::id()).into());

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fs::write(&*FILE, bytes).unwrap();
    let _ = weights::read(&FILE);
});
