//! How the signals of a hit become its score. The weights of the ranking are here and nowhere else.

use crate::catalogue::Hit;

/// Share of the score that words have where the query is words only; the embedding has the rest. Even, because on the
/// project's listings words alone and meaning alone rank about equally well (nDCG@10 0.484 and 0.527, see the design).
const WORDS_WEIGHT: f32 = 0.5;

/// BM25 score that counts half: two matching words, each in one listing of 400. BM25 has no upper end, so it
/// becomes `s / (s + BM25_HALF)`, 0 to 1. This depends on the product alone and not on the others that were found, so a
/// score stays the same from page to page.
const BM25_HALF: f32 = 12.0;

/// What a product is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Cosine of query and product embedding, -1 to 1.
    Semantic,
    /// BM25 of the query's words, brought to 0 to 1.
    Lexical,
}

impl Signal {
    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Semantic => "semantic",
            Self::Lexical => "lexical",
        }
    }
}

/// Why a result has its score: the contributions add up to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Explanation {
    /// One for each signal that the query has.
    pub contributions: Vec<Contribution>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contribution {
    pub signal: Signal,
    pub value: f32,
    pub weight: f32,
}

impl Contribution {
    /// What the signal adds to the score.
    pub fn points(&self) -> f32 {
        self.value * self.weight
    }
}

/// Weight of each signal for one query; they add up to 1, or are 0 for browsing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SignalWeights {
    semantic: f32,
    lexical: f32,
}

impl SignalWeights {
    /// For a query of which words are this share, 0 (a photo) to 1 (a text).
    pub fn for_words_share(share: f32) -> Self {
        let lexical = WORDS_WEIGHT * share;
        Self { semantic: 1.0 - lexical, lexical }
    }

    pub fn score(&self, hit: &Hit) -> f32 {
        self.contributions(hit).map(|contribution| contribution.points()).sum()
    }

    pub fn explain(&self, hit: &Hit) -> Explanation {
        Explanation { contributions: self.contributions(hit).collect() }
    }

    fn contributions(&self, hit: &Hit) -> impl Iterator<Item = Contribution> {
        let semantic =
            hit.semantic.map(|value| Contribution { signal: Signal::Semantic, value, weight: self.semantic });
        let lexical = hit.lexical.map(|bm25| Contribution {
            signal: Signal::Lexical,
            value: bm25 / (bm25 + BM25_HALF),
            weight: self.lexical,
        });
        semantic.into_iter().chain(lexical)
    }
}
