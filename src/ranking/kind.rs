//! Of what kind the leading results are: what a query asks for without saying it.
//!
//! A query such as "double bed frame" names no category, but the listings that fit it best have one, and the others of
//! that category are worth more than those that merely share a word. This is relevance feedback from the first results
//! (Rocchio 1971; "pseudo", because nobody has judged them) over the labels that sellers filed their listings under.

use std::collections::HashMap;

use super::{retrieval::Found, signals::Scoring};
use crate::catalogue::{KindTag, Kinds};

/// Results that are asked.
const LEADERS: usize = 10;
/// Gives each of what was found the share of the leaders that are of its kind: the mean over the levels of kind that any
/// leader has. Nothing is given where no leader has a kind.
pub fn judge(found: &mut [Found], scoring: &Scoring) {
    let mut leaders: Vec<(f32, Kinds)> =
        found.iter().map(|found| (scoring.fit(&found.evidence), found.evidence.facts.kinds)).collect();
    // Stable: of equal ones those with the smaller id lead.
    leaders.sort_by(|a, b| b.0.total_cmp(&a.0));
    leaders.truncate(LEADERS);
    let best = leaders.first().map_or(0.0, |(fit, _)| *fit);
    let voices: Vec<(f32, Kinds)> = leaders
        .into_iter()
        .map(|(fit, kinds)| ((scoring.weights.kind_sharpness * (fit - best)).exp(), kinds))
        .collect();
    let total: f32 = voices.iter().map(|(voice, _)| voice).sum();

    let mut shares: HashMap<KindTag, f32> = HashMap::new();
    for (voice, kinds) in &voices {
        kinds.known().for_each(|kind| *shares.entry(kind).or_default() += voice / total);
    }
    let is_known = |level: &usize| voices.iter().any(|(_, kinds)| kinds.0[*level].is_some());
    let levels = (0..Kinds::default().0.len()).filter(is_known).count();
    if levels == 0 {
        return;
    }
    for Found { evidence, .. } in found {
        let share: f32 = evidence.facts.kinds.known().filter_map(|kind| shares.get(&kind)).sum();
        evidence.kind = Some(share / levels as f32);
    }
}
