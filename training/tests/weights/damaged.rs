//! A bounded run, on the stable compiler, of what `cargo fuzz run weights` does without end.

use std::{fs, panic::catch_unwind, path::Path};

use marketrank_train::weights::read;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

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
            let bytes = damage(seed.clone(), &mut ChaCha8Rng::seed_from_u64(number));
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

/// A few bytes changed, cut out, doubled or put in.
fn damage(mut bytes: Vec<u8>, random: &mut ChaCha8Rng) -> Vec<u8> {
    for _ in 0..random.random_range(1..6) {
        if bytes.is_empty() {
            break;
        }
        let start = random.random_range(0..bytes.len());
        let end = (start + random.random_range(0..32)).min(bytes.len());
        match random.random_range(0..4) {
            0 => bytes[start] ^= 1 << random.random_range(0..8),
            1 => drop(bytes.drain(start..end)),
            2 => {
                let piece = bytes[start..end].to_vec();
                bytes.splice(start..start, piece);
            }
            _ => bytes.insert(start, random.random()),
        }
    }
    bytes
}
