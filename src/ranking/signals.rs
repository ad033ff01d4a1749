//! How the signals of a product become its score. The weights of the ranking are here and nowhere else.

use time::OffsetDateTime;

use super::Boost;
use crate::catalogue::Facts;

/// How much each signal counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Share of the score that words have where the query is words only, 0 to 1; the embedding has the rest.
    pub words: f32,
    /// BM25 score that counts half, for each word of the query, greater than 0. BM25 has no upper end and grows with the query, so
    /// it becomes `s / (s + words * bm25_half)`, 0 to 1: a listing that holds all of two words counts as much as one that holds all of
    /// ten. This depends on the query and the product and not on the others that were found, so a score stays the same from page to
    /// page.
    pub bm25_half: f32,
    /// Being of the kind that the leading results are of.
    pub kind: f32,
    /// How much more the better fitting of two leading results says of the kind: `exp(kind_sharpness * difference)`.
    pub kind_sharpness: f32,
    /// Being all that was not wanted.
    pub not: f32,
    pub taste: f32,
    /// Each boost that was asked for.
    pub boost: f32,
}

impl Weights {
    /// What the server ranks by. Words and kind lie where `marketrank-train evaluate --ranking --tune` finds the validation split
    /// ranked best, within what it can tell apart; for the others there are no judgements, and they are reasoned.
    pub const TUNED: Self = Self {
        // With less, or with words that count half sooner, validation titles are ranked as well, but a model number that was asked
        // for hardly outweighs what is nearer in meaning.
        words: 0.5,
        bm25_half: 15.0,
        kind: 0.5,
        kind_sharpness: 24.0,
        // A listing that is all that was not wanted loses what most of a match in words is worth.
        not: -0.4,
        // Taste leans: two listings that fit the query about equally change places, a good match and a bad one do not.
        taste: 0.3,
        // About the difference between the first and the tenth result of a query.
        boost: 0.2,
    };
}

/// What a product is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Cosine of query and product embedding, -1 to 1; the query's is moved away from what is not wanted.
    Semantic,
    /// BM25 of the query's words, brought to 0 to 1.
    Lexical,
    /// Share of the leading results that are of the product's kind, 0 to 1.
    Kind,
    /// BM25 of the words that are not wanted, brought to 0 to 1.
    Not,
    /// Cosine of the product's embedding and the mean of what was viewed, -1 to 1.
    Taste,
    /// `0.5^(age / half-life)`, 0 to 1; 0 without a date.
    Recency,
    /// `0.5^(distance / half-life)`, 0 to 1; 0 without coordinates.
    Distance,
    /// The smaller of price and target over the larger, 0 to 1; 0 without a price.
    Price,
}

impl Signal {
    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Semantic => "semantic",
            Self::Lexical => "lexical",
            Self::Kind => "kind",
            Self::Not => "not",
            Self::Taste => "taste",
            Self::Recency => "recency",
            Self::Distance => "distance",
            Self::Price => "price",
        }
    }
}

/// Why a result has its score: the contributions add up to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Explanation {
    /// One for each signal that the request has.
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

/// What retrieval measured of a product; `None` where the request has no such signal.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Evidence {
    /// Cosine.
    pub semantic: Option<f32>,
    /// BM25.
    pub lexical: Option<f32>,
    /// BM25.
    pub not: Option<f32>,
    /// Cosine.
    pub taste: Option<f32>,
    /// Share.
    pub kind: Option<f32>,
    pub facts: Facts,
}

/// How the signals of one request are weighed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scoring {
    pub weights: Weights,
    pub asked: Asked,
}

/// What the weighing of the signals has to know of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Asked {
    /// Whether anything was asked for, and not only browsed.
    pub has_query: bool,
    /// Share of the query that is words, 0 (a photo) to 1 (a text).
    pub words_share: f32,
    /// How many words those are.
    pub words: usize,
    /// How many words name what is not wanted.
    pub not_words: usize,
    pub boost: Boost,
    pub now: OffsetDateTime,
}

impl Scoring {
    pub fn score(&self, evidence: &Evidence) -> f32 {
        self.contributions(evidence).map(|contribution| contribution.points()).sum()
    }

    /// How well a product fits the query, whatever else is wished for.
    pub fn fit(&self, evidence: &Evidence) -> f32 {
        let of_query = |signal| matches!(signal, Signal::Semantic | Signal::Lexical | Signal::Not);
        let contributions = self.contributions(evidence);
        contributions.filter(|contribution| of_query(contribution.signal)).map(|c| c.points()).sum()
    }

    pub fn explain(&self, evidence: &Evidence) -> Explanation {
        Explanation { contributions: self.contributions(evidence).collect() }
    }

    fn contributions(&self, evidence: &Evidence) -> impl Iterator<Item = Contribution> {
        let Evidence { semantic, lexical, not, taste, kind, facts } = *evidence;
        let Self { weights, asked } = *self;
        let saturated = |bm25: f32, words: usize| bm25 / (bm25 + weights.bm25_half * words.max(1) as f32);
        let Boost { recency_half_life_days, distance, price_target } = asked.boost;
        let words = weights.words * asked.words_share;
        let recency = recency_half_life_days.map(|half_life| recency(&facts, asked.now, half_life));
        let distance = distance.map(|near| {
            facts.place.map_or(0.0, |place| 0.5_f64.powf(place.distance_km(near.from) / near.half_life_km))
        });
        let price = price_target.map(|target| {
            facts.price.filter(|price| *price > 0.0).map_or(0.0, |price| (price / target).min(target / price))
        });
        [
            (Signal::Semantic, semantic, 1.0 - words),
            (Signal::Lexical, lexical.map(|bm25| saturated(bm25, asked.words)), words),
            (Signal::Kind, kind, weights.kind),
            (Signal::Not, not.map(|bm25| saturated(bm25, asked.not_words)), weights.not),
            (Signal::Taste, taste, weights.taste),
            (Signal::Recency, recency.map(|value| value as f32), weights.boost),
            (Signal::Distance, distance.map(|value| value as f32), weights.boost),
            (Signal::Price, price.map(|value| value as f32), weights.boost),
        ]
        .into_iter()
        .filter_map(|(signal, value, weight)| Some(Contribution { signal, value: value?, weight }))
    }
}

/// A date in the future counts as now.
fn recency(facts: &Facts, now: OffsetDateTime, half_life_days: f64) -> f64 {
    facts.listed_at.map_or(0.0, |listed| {
        let days = (now - listed).as_seconds_f64().max(0.0) / 86_400.0;
        0.5_f64.powf(days / half_life_days)
    })
}
