#![no_main]

use std::{fs, path::PathBuf, sync::LazyLock};

use marketrank_train::weights;

/// The reader takes a file; this one lies in memory.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| format!("/dev/shm/marketrank-fuzz-{}", std::process::id()).into());

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fs::write(&*FILE, bytes).unwrap();
    let _ = weights::read(&FILE);
});
