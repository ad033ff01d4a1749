//! The fuzz targets over their corpus, and over changes of it: a bounded run of what `cargo fuzz` runs without end.

use std::{
    fs,
    panic::catch_unwind,
    time::{Duration, Instant},
};

use marketrank::fuzz::TARGETS;

use crate::{random::Random, server::repository};

/// Changes of each file of a corpus in `make test`.
const CHANGES: u64 = 150;

/// Seconds for each target where somebody wants more: `MARKETRANK_FUZZ_SECONDS=600`.
fn seconds() -> Option<u64> {
    std::env::var("MARKETRANK_FUZZ_SECONDS").ok().map(|text| text.parse().unwrap())
}

#[test]
fn no_bytes_bring_a_reader_down() {
    for (name, target) in TARGETS {
        let mut seeds: Vec<Vec<u8>> = fs::read_dir(repository("fuzz/corpus").join(name))
            .unwrap_or_else(|error| panic!("fuzz/corpus/{name}: {error}"))
            .map(|entry| fs::read(entry.unwrap().path()).unwrap())
            .collect();
        assert!(!seeds.is_empty(), "fuzz/corpus/{name} is empty");
        seeds.push(Vec::new());
        for seed in &seeds {
            run(name, target, seed);
        }
        let start = Instant::now();
        let whole = seconds().map(Duration::from_secs);
        let mut number = 0;
        loop {
            match whole {
                Some(time) if start.elapsed() >= time => break,
                None if number >= CHANGES * seeds.len() as u64 => break,
                _ => {}
            }
            let mut random = Random(number);
            let seed = &seeds[random.below(seeds.len())];
            run(name, target, &random.mutate(seed.clone()));
            number += 1;
        }
        println!("{name}: {number} inputs");
    }
}

/// What brings it down is kept, to be added to the corpus.
fn run(name: &str, target: fn(&[u8]), bytes: &[u8]) {
    if catch_unwind(|| target(bytes)).is_err() {
        let kept = std::env::temp_dir().join(format!("marketrank-fuzz-{name}"));
        fs::write(&kept, bytes).unwrap();
        panic!("{name} panics on {}", kept.display());
    }
}
