//! How hard every engine looks, so that all of them find the same.

/// Candidates beyond those wanted that int8 embeddings choose, before the exact embeddings put them in order. Each is read
/// from where it lies on disk.
const SPARE: usize = 100;

/// Points that a search of the graph keeps in view, at least. Of the ten nearest among a million listings 93.8 % are found, and
/// 97.2 % where a filter keeps a tenth of them; with half as many in view 93.1 and 92.9 %. A query takes as long, within what can
/// be measured.
pub const BEAM: usize = 1_536;

/// A run of equal scores is read to its end within this many products. Where it goes on, which of the equal ones are found
/// is the engine's choice, though the same one every time.
const LONGEST_RUN: usize = 4_000;
/// How many times as much is asked for where a run was cut: every time the engine searches from the start.
const DEEPER: usize = 4;

/// What an engine calls oversampling: candidates that int8 embeddings choose, for each of those wanted, of which there is one
/// at least.
pub fn oversampling(wanted: usize) -> f64 {
    1.0 + SPARE as f64 / wanted as f64
}

/// How many to ask for next, where a run of equal scores goes on beyond the `asked` that were found of `stored` products.
pub fn deeper(asked: usize, stored: usize) -> Option<usize> {
    (asked <= stored.min(LONGEST_RUN)).then(|| asked.saturating_mul(DEEPER))
}
