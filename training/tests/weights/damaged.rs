//! A bounded run, on the stable compiler, of what `cargo fuzz run weights` does without end.

use std::{fs, panic::catch_unwind, path::Path};

use marketrank_train::weights::read;

use crate::random::Random;

/// Damaged copies of each file of the corpus.
const COPIES: u64 = 400;

#[test]
fn no_damage_brings_the_reader_down() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.pth");
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/weights");
    let mut files = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let seed = fs::read(entry.unwrap().path()).unwrap();
        files += 1;
        for number in 0..COPIES {
            let bytes = Random(number).mutate(seed.clone());
            fs::write(&path, &bytes).unwrap();
            if catch_unwind(|| drop(read(&path))).is_err() {
                let kept = std::env::temp_dir().join("marketrank-damaged.pth");
                fs::write(&kept, &bytes).unwrap();
                panic!("the reader panics on {}", kept.display());
            }
        }
    }
    assert!(files > 4, "the corpus has {files} files");
}
