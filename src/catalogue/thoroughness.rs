//! How hard every engine looks, so that all of them find the same.

/// Candidates beyond those wanted that int8 embeddings choose, before the exact embeddings put them in order. Each is read
/// from where it lies on disk.
const SPARE: usize = 100;

/// Share of a dimension's values that the 8 bits are spread over; the few beyond are clipped.
pub const QUANTILE: f32 = 0.995;

/// Links of a point in the graph; twice as many in the lowest layer. With 16 instead, the same search of 100,000 listings
/// misses twice as many of the nearest, and the graph is built no sooner.
pub const LINKS: usize = 32;

/// Neighbours weighed when a point is linked. Of 100,000 listings a search with 512 in view misses none of the ten nearest; with
/// half as many neighbours it misses 1.5 %, and everything until then takes 64 instead of 82 s of CPU.
pub const EF_CONSTRUCT: usize = 256;

/// Points that a search of the graph keeps in view, at least. Of the ten nearest among a million made-up listings, which lie as real ones
/// do, all are found, of 1,000 asked for; with a quarter as many in view 99.8 %.
pub const BEAM: usize = 512;

/// Filters that keep fewer embeddings of a segment than this, in kB of float16, are scanned even where there is a graph: 60,000
/// listings of width 509. Of a million, a query with a filter that keeps 4.5 % takes 19 ms so, and 28 by the graph, where few of a
/// point's neighbours pass; with one that keeps 10 % it would take 38 and takes 23.
pub const SCAN_BELOW_KB: usize = 60_000;

/// Filters that keep fewer listings of a segment than this have each looked up in the lists of the query's words, instead of the
/// lists gone through and every listing in them held against the filter. Of a million, with a filter that keeps 1 %, the words take
/// 6 instead of 10 ms so (at the 95th percentile 11 instead of 20); from 4 % on it is the other way round.
pub const LOOK_UP_WORDS_BELOW: usize = 30_000;

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

/// An engine cuts a run of equal scores where it likes. So more than wanted are asked for; where the last of them is equal to the
/// last one wanted, the run goes on beyond what was found, and this is how many to ask for next. `scores` are those found, best
/// first, when `asked` of `stored` products were asked for.
pub fn deeper(scores: &[f32], wanted: usize, asked: usize, stored: usize) -> Option<usize> {
    let run_is_cut = scores.len() == asked && scores.last() == scores.get(wanted.saturating_sub(1));
    (run_is_cut && asked <= stored.min(LONGEST_RUN)).then(|| asked.saturating_mul(DEEPER))
}
