//! Which listings should this buyer see first? From a query to a scored, explained list.
//!
//! Pure: [`query`] is what to rank by, [`plan`] and [`spelling`] turn it into what products are compared with, an index
//! (the catalogue, or [`inline`] over candidates that came with the request; [`sources`] says which) finds in [`retrieval`]
//! what might fit, [`kind`] sees of what kind the leading ones are, [`signals`] become scores ([`retrieved`]), [`diversity`]
//! sets like apart from like. Recency, distance and price are scored here and
//! not by an engine's formula, so that every engine gives the same score and the explanation is the score's own sum.
//! Embeddings of texts and photos come ready-made; no model runs here.

mod bm25;
mod diversity;
mod inline;
mod kind;
mod plan;
mod query;
mod retrieval;
mod retrieved;
mod signals;
mod sources;
mod spelling;
mod taste;

pub use bm25::Bm25;
pub use query::{
    Boost, DistanceBoost, MAX_CANDIDATES, MAX_VIEWED, MAX_WEIGHT, Not, PhotoQuery, Query, QueryWeights,
    RankRequest, TextQuery,
};
pub use retrieved::Retrieved;
pub use signals::{Contribution, Explanation, Signal, Weights};

use std::collections::HashSet;

use self::{
    retrieved::{FIRST_PLACES, Look, Scored, Wanted},
    signals::Scoring,
    sources::Sources,
};
use crate::catalogue::{Catalogue, CatalogueError, FacetCount, Index, Product, ProductId};

/// Last place in the order that a page may reach: `offset + limit`.
pub const MAX_PLACE: usize = 1_000;

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

/// The first half of [`rank`]: what might fit the first places, each product with its signals, before they are weighed.
///
/// # Errors
/// See [`RankError`]; all but `Catalogue` are the request's fault.
pub async fn retrieve(catalogue: &dyn Catalogue, request: &RankRequest) -> Result<Retrieved, RankError> {
    let sources = Sources::of(catalogue, request)?;
    Ok(Wanted::of(&sources, request).await?.found_in(sources.index(), Look::First).await?)
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
    let sources = Sources::of(catalogue, request)?;
    let index = sources.index();
    let wanted = Wanted::of(&sources, request).await?;
    // What is set apart may change its place with any other.
    let look = if diversity > 0.0 { Look::Second } else { Look::First };
    let first = wanted.found_in(index, look).await?;
    let scoring = first.scoring(Weights::TUNED);
    let mut order = first.order(&scoring);
    if diversity > 0.0 {
        order = diversity::diversify(index, order, diversity).await?;
    } else if offset + limit > FIRST_PLACES {
        order = further(index, &wanted, &scoring, order).await?;
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

/// The first places as they are, and after them what a second look finds, in its order. A page is the same whether it is asked
/// for alone or with those before it: which look fills a place depends on the place.
async fn further(
    index: &dyn Index,
    wanted: &Wanted,
    scoring: &Scoring,
    mut order: Vec<Scored>,
) -> Result<Vec<Scored>, CatalogueError> {
    order.truncate(FIRST_PLACES);
    let placed: HashSet<ProductId> = order.iter().map(|scored| scored.found.id.clone()).collect();
    let others = wanted.found_in(index, Look::Second).await?.order(scoring);
    order.extend(others.into_iter().filter(|scored| !placed.contains(&scored.found.id)));
    Ok(order)
}
