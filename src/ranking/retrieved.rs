//! What might fit a request: found, and ready to be weighed.

use super::{
    MAX_PLACE, RankError, RankRequest, Weights, kind,
    plan::Plan,
    retrieval::{self, Found, Probes},
    signals::{Asked, Scoring},
    sources::Sources,
    spelling, taste,
};
use crate::catalogue::{CatalogueError, Filter, Index, ProductId, lexical::Terms};

/// Places that are filled from what the first, less deep look found.
pub const FIRST_PLACES: usize = 200;
/// Products that each signal brings for the first places. Nearly every request ends among them, and what it costs grows
/// with this.
const FIRST_LOOK: usize = 400;
/// Products that each signal brings for the places after them, so that `MAX_PLACE` are there to fill the last one.
const SECOND_LOOK: usize = MAX_PLACE;

/// How far each signal looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    First,
    Second,
}

/// What a request asks for, ready to be looked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    probes: Probes,
    filter: Filter,
    asked: Asked,
}

/// Products with all of their signals.
#[derive(Debug, Clone)]
pub struct Retrieved {
    found: Vec<Found>,
    asked: Asked,
}

/// A product and its score.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    pub found: Found,
    pub score: f32,
}

impl Wanted {
    pub async fn of(sources: &Sources<'_>, request: &RankRequest) -> Result<Self, RankError> {
        let liked = sources.product("query.product_id", request.query.product.as_ref()).await?;
        let disliked = sources.product("query.not.product_id", request.query.not.product.as_ref()).await?;
        let mut filter = request.filter.clone();
        filter.excluded.extend(liked.as_ref().map(|liked| liked.product.id.clone()));
        let plan = Plan::new(&request.query, liked.as_ref(), disliked.as_ref())?;
        let wanted = Terms::of_query(plan.words.as_deref().unwrap_or_default());
        let not_words = not_words(&plan, &wanted);
        let asked = Asked {
            has_query: plan.meaning.is_some(),
            words_share: plan.words_share,
            words: wanted.hashes.len(),
            not_words: not_words.as_ref().map_or(0, |words| words.hashes.len()),
            boost: request.boost,
            now: request.now,
        };
        let probes = Probes {
            words: spelled(sources.index(), plan.words.as_deref()).await?,
            not_words,
            taste: taste::taste(&sources.embeddings(&request.viewed).await?)?,
            meaning: plan.meaning,
        };
        Ok(Self { probes, filter, asked })
    }

    pub async fn found_in(&self, index: &dyn Index, look: Look) -> Result<Retrieved, CatalogueError> {
        let depth = match look {
            Look::First => FIRST_LOOK,
            Look::Second => SECOND_LOOK,
        };
        let found = retrieval::gather(index, self.probes.clone(), &self.filter, depth).await?;
        Ok(Retrieved { found, asked: self.asked })
    }
}

impl Retrieved {
    /// How these are scored by these weights.
    pub fn scoring(&self, weights: Weights) -> Scoring {
        Scoring { weights, asked: self.asked }
    }

    /// All of them, best first; what has the same score keeps the order in which it was found, which is that of browsing or
    /// of the ids.
    pub fn order(mut self, scoring: &Scoring) -> Vec<Scored> {
        let scores = self.scores(scoring);
        let scored = self.found.into_iter().zip(scores).map(|(found, score)| Scored { found, score });
        let mut order: Vec<Scored> = scored.collect();
        order.sort_by(|a, b| b.score.total_cmp(&a.score));
        order
    }

    /// The ids of the first `limit` of [`Retrieved::order`], to be asked for with one weighting after the other.
    pub fn best(&mut self, weights: Weights, limit: usize) -> Vec<&ProductId> {
        let scores = self.scores(&self.scoring(weights));
        let mut order: Vec<(usize, f32)> = scores.into_iter().enumerate().collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        order.iter().take(limit).filter_map(|(place, _)| Some(&self.found.get(*place)?.id)).collect()
    }

    fn scores(&mut self, scoring: &Scoring) -> Vec<f32> {
        if self.asked.has_query {
            kind::judge(&mut self.found, scoring);
        }
        self.found.iter().map(|found| scoring.score(&found.evidence)).collect()
    }
}

async fn spelled(index: &dyn Index, words: Option<&str>) -> Result<Option<Terms>, CatalogueError> {
    match words {
        Some(words) => spelling::terms_of(index, words).await.map(Some),
        None => Ok(None),
    }
}

/// A word that is wanted and not wanted is wanted: "bike, not a bike for children".
fn not_words(plan: &Plan, wanted: &Terms) -> Option<Terms> {
    let terms = Terms::of_query(plan.not_words.as_deref()?).hashes;
    Some(terms.into_iter().filter(|term| !wanted.hashes.contains(term)).collect())
}
