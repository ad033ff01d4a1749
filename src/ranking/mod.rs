//! Which listings should this buyer see first? From a query to a scored, explained list.
//!
//! Pure: [`query`] is what to rank by, [`plan`] and [`spelling`] turn it into what products are compared with, an index
//! (the catalogue, or [`inline`] over candidates that came with the request) finds in [`retrieval`] what might fit,
//! [`signals`] become scores, [`diversity`] sets like apart from like. Recency, distance and price are scored here and
//! not by an engine's formula, so that every engine gives the same score and the explanation is the score's own sum.
//! Embeddings of texts and photos come ready-made; no model runs here.

mod bm25;
mod diversity;
mod inline;
mod plan;
mod query;
mod retrieval;
mod signals;
mod spelling;
mod taste;

pub use bm25::Bm25;
pub use query::{
    Boost, DistanceBoost, MAX_CANDIDATES, MAX_VIEWED, MAX_WEIGHT, Not, PhotoQuery, Query, QueryWeights,
    RankRequest, TextQuery,
};
pub use signals::{Contribution, Explanation, Signal};

use self::{
    inline::Inline,
    plan::Plan,
    retrieval::{Found, Probes},
    signals::Scoring,
};
use crate::catalogue::{
    Catalogue, CatalogueError, FacetCount, Index, Product, ProductId, StoredProduct, lexical::Terms,
};

/// Last place in the order that a page may reach: `offset + limit`.
pub const MAX_PLACE: usize = 1_000;

/// Products fetched by each signal, whatever page is asked for. Were it smaller for early pages than for late ones, a
/// product that only the deeper retrieval finds could belong on a page already shown: a gap. With one depth every page
/// is cut from the same order, and `MAX_PLACE` products are there to fill the last one.
const DEPTH: usize = MAX_PLACE;

/// The answer to a [`RankRequest`].
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// Best first, equal scores in the order of their ids (browsing: newest first); the page that was asked for.
    pub results: Vec<Ranked>,
    /// How many products that pass the filter each category has, where the request asked for it.
    pub categories: Option<Vec<FacetCount>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    pub product: Product,
    /// Whether the catalogue has a photo of it; never of a candidate that came with the request.
    pub pictured: bool,
    /// Sum of the contributions of [`Explanation`]; 0 where there was nothing to score by.
    pub score: f32,
    /// Where the request asked for it.
    pub explanation: Option<Explanation>,
}

/// Why a request cannot be ranked.
#[derive(Debug, thiserror::Error)]
pub enum RankError {
    /// `field` of a request names it: `query.product_id` or `query.not.product_id`.
    #[error("there is no product {id} to rank by")]
    UnknownProduct { field: &'static str, id: ProductId },
    #[error("the weight of {part} must lie between 0 and {MAX_WEIGHT}, it is {value}")]
    Weight { part: &'static str, value: f32 },
    #[error(
        "every given part of the query has weight 0, which leaves nothing to rank by; give one of them a weight"
    )]
    NoWeight,
    #[error("there is nothing but what is not wanted; give a text, a photo or a product beside it")]
    OnlyNot,
    #[error("diversity must lie between 0 and 1, it is {0}")]
    Diversity(f32),
    #[error("at most {MAX_VIEWED} viewed products are taken, there are {0}; send the latest")]
    TooManyViewed(usize),
    #[error("the weighted parts of the query cancel each other out; change their weights")]
    Cancelled,
    #[error("a page may reach place {MAX_PLACE} at most, offset {offset} and limit {limit} reach beyond it")]
    Page { offset: usize, limit: usize },
    #[error("at most {MAX_CANDIDATES} candidates can be ranked at once, there are {0}")]
    TooManyCandidates(usize),
    #[error("candidate {0} is given twice")]
    RepeatedCandidate(ProductId),
    #[error("the embedding of {whose} has width {width}, the query's has {expected}")]
    Width { whose: String, width: usize, expected: usize },
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

/// Ranks the catalogue, or the request's own candidates, and gives the page that was asked for.
///
/// The same request over the same products gives the same order. Without a query it gives the newest first.
///
/// # Errors
/// See [`RankError`]; all but `Catalogue` are the request's fault.
pub async fn rank(catalogue: &dyn Catalogue, request: &RankRequest) -> Result<Ranking, RankError> {
    let RankRequest { offset, limit, diversity, .. } = *request;
    if offset.checked_add(limit).is_none_or(|last| last > MAX_PLACE) {
        return Err(RankError::Page { offset, limit });
    }
    if !(0.0..=1.0).contains(&diversity) {
        return Err(RankError::Diversity(diversity));
    }
    let inline = request.candidates.as_deref().map(Inline::new).transpose()?;
    let known = Known { inline: inline.as_ref(), catalogue };
    let index: &dyn Index = match &inline {
        Some(inline) => inline,
        None => catalogue,
    };

    let liked = known.product("query.product_id", request.query.product.as_ref()).await?;
    let disliked = known.product("query.not.product_id", request.query.not.product.as_ref()).await?;
    let mut filter = request.filter.clone();
    filter.excluded.extend(liked.as_ref().map(|liked| liked.product.id.clone()));
    let plan = Plan::new(&request.query, liked.as_ref(), disliked.as_ref())?;
    let probes = Probes {
        words: spelled(index, plan.words.as_deref()).await?,
        not_words: not_words(&plan),
        taste: taste::taste(&known.embeddings(&request.viewed).await?)?,
        meaning: plan.meaning,
    };

    let scoring = Scoring { words_share: plan.words_share, boost: request.boost, now: request.now };
    let found = retrieval::gather(index, probes, &filter, DEPTH).await?;
    let mut order: Vec<Scored> =
        found.into_iter().map(|found| Scored { score: scoring.score(&found.evidence), found }).collect();
    // Stable: what has the same score keeps the order in which it was found, which is that of browsing or of the ids.
    order.sort_by(|a, b| b.score.total_cmp(&a.score));
    if diversity > 0.0 {
        order = diversity::diversify(index, order, diversity).await?;
    }

    let page: Vec<Scored> = order.into_iter().skip(offset).take(limit).collect();
    let ids: Vec<ProductId> = page.iter().map(|scored| scored.found.id.clone()).collect();
    let results = page
        .into_iter()
        .zip(index.products(&ids).await?)
        // One that was removed since it was found has no product any more.
        .filter_map(|(Scored { found, score }, product)| {
            let explanation = request.explain.then(|| scoring.explain(&found.evidence));
            let pictured = request.candidates.is_none() && found.evidence.facts.photo.is_some();
            Some(Ranked { product: product?, pictured, score, explanation })
        })
        .collect();
    let categories =
        if request.count_categories { Some(index.categories(&request.filter).await?) } else { None };
    Ok(Ranking { results, categories })
}

/// A product and its score.
#[derive(Debug, Clone, PartialEq)]
struct Scored {
    found: Found,
    score: f32,
}

async fn spelled(index: &dyn Index, words: Option<&str>) -> Result<Option<Terms>, CatalogueError> {
    match words {
        Some(words) => spelling::terms_of(index, words).await.map(Some),
        None => Ok(None),
    }
}

/// A word that is wanted and not wanted is wanted: "bike, not a bike for children".
fn not_words(plan: &Plan) -> Option<Terms> {
    let wanted = Terms::of_query(plan.words.as_deref().unwrap_or_default());
    let terms = Terms::of_query(plan.not_words.as_deref()?).hashes;
    Some(terms.into_iter().filter(|term| !wanted.hashes.contains(term)).collect())
}

/// Where a product that the request names is looked up: among its candidates, then in the catalogue.
struct Known<'a> {
    inline: Option<&'a Inline<'a>>,
    catalogue: &'a dyn Catalogue,
}

impl Known<'_> {
    async fn product(
        &self,
        field: &'static str,
        id: Option<&ProductId>,
    ) -> Result<Option<StoredProduct>, RankError> {
        let Some(id) = id else { return Ok(None) };
        if let Some(candidate) = self.inline.and_then(|inline| inline.get(id)) {
            return Ok(Some(candidate.clone()));
        }
        let stored = self.catalogue.get(std::slice::from_ref(id)).await?.pop().flatten();
        stored.map(Some).ok_or_else(|| RankError::UnknownProduct { field, id: id.clone() })
    }

    /// Of those that exist.
    async fn embeddings(&self, ids: &[ProductId]) -> Result<Vec<Vec<f32>>, RankError> {
        if ids.len() > MAX_VIEWED {
            return Err(RankError::TooManyViewed(ids.len()));
        }
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let stored = self.catalogue.embeddings(ids).await?;
        let candidate = |id| Some(self.inline?.get(id)?.embedding.clone());
        Ok(ids.iter().zip(stored).filter_map(|(id, stored)| candidate(id).or(stored)).collect())
    }
}
