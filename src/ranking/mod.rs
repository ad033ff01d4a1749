//! Which listings should this buyer see first? From a query to a scored, explained list.
//!
//! Pure: [`query`] is what to rank by, [`plan`] turns it into one retrieval and the weights of its signals, the catalogue
//! (or [`inline`], over candidates that came with the request) finds what might fit, [`score`] puts it in order.
//! Embeddings of texts and photos come ready-made; no model runs here.

mod bm25;
mod inline;
mod plan;
mod query;
mod score;

pub use query::{
    Candidate, MAX_CANDIDATES, MAX_WEIGHT, PhotoQuery, Query, QueryWeights, RankRequest, TextQuery,
};
pub use score::{Contribution, Explanation, Signal};

use self::{inline::Inline, plan::Plan};
use crate::catalogue::{Catalogue, CatalogueError, Hit, Product, ProductId, StoredProduct};

/// Last place in the order that a page may reach: `offset + limit`.
pub const MAX_PLACE: usize = 1_000;

/// Products fetched by each signal, whatever page is asked for. Were it smaller for early pages than for late ones, a
/// product that only the deeper retrieval finds could belong on a page already shown: a gap. With one depth every page
/// is cut from the same order, and `MAX_PLACE` products are there to fill the last one.
const DEPTH: usize = MAX_PLACE;

/// The answer to a [`RankRequest`].
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// Best first, equal scores in the order of their ids; the page that was asked for.
    pub results: Vec<Ranked>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    pub product: Product,
    /// Sum of the contributions of [`Explanation`]; 0 where there was no query to score by.
    pub score: f32,
    /// Where the request asked for it.
    pub explanation: Option<Explanation>,
}

/// Why a request cannot be ranked.
#[derive(Debug, thiserror::Error)]
pub enum RankError {
    #[error("there is no product {0} to rank by")]
    UnknownProduct(ProductId),
    #[error("the weight of {part} must lie between 0 and {MAX_WEIGHT}, it is {value}")]
    Weight { part: &'static str, value: f32 },
    #[error(
        "every given part of the query has weight 0, which leaves nothing to rank by; give one of them a weight"
    )]
    NoWeight,
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
    let RankRequest { offset, limit, .. } = *request;
    if offset.checked_add(limit).is_none_or(|last| last > MAX_PLACE) {
        return Err(RankError::Page { offset, limit });
    }
    let inline = request.candidates.as_deref().map(Inline::new).transpose()?;
    let liked = liked_product(catalogue, request).await?;
    let plan = Plan::new(request, liked, DEPTH)?;

    let hits = match &inline {
        Some(inline) => inline.retrieve(&plan.retrieval)?,
        None => catalogue.retrieve(&plan.retrieval).await?,
    };
    let page = page_of(&plan, hits, offset, limit);
    let ids: Vec<ProductId> = page.iter().map(|(hit, _)| hit.id.clone()).collect();
    let products = match &inline {
        Some(inline) => inline.products(&ids),
        None => catalogue.products(&ids).await?,
    };
    let results = page
        .into_iter()
        .zip(products)
        // One that was removed since it was found has no product any more.
        .filter_map(|((hit, score), product)| {
            let explanation = request.explain.then(|| plan.weights.explain(&hit));
            Some(Ranked { product: product?, score, explanation })
        })
        .collect();
    Ok(Ranking { results })
}

/// The product that the query names: one of the candidates, else from the catalogue.
async fn liked_product(
    catalogue: &dyn Catalogue,
    request: &RankRequest,
) -> Result<Option<Candidate>, RankError> {
    let Some(id) = &request.query.product else { return Ok(None) };
    let given = request.candidates.iter().flatten().find(|candidate| candidate.product.id == *id);
    if let Some(candidate) = given {
        return Ok(Some(candidate.clone()));
    }
    match catalogue.get(std::slice::from_ref(id)).await?.pop().flatten() {
        Some(StoredProduct { product, embedding, .. }) => Ok(Some(Candidate { product, embedding })),
        None => Err(RankError::UnknownProduct(id.clone())),
    }
}

/// Scores what was found and cuts out the page. Browsing keeps the order in which it was found.
fn page_of(plan: &Plan, hits: Vec<Hit>, offset: usize, limit: usize) -> Vec<(Hit, f32)> {
    let mut scored: Vec<(Hit, f32)> = hits
        .into_iter()
        .map(|hit| {
            let score = plan.weights.score(&hit);
            (hit, score)
        })
        .collect();
    if plan.has_query() {
        scored.sort_by(|(a, a_score), (b, b_score)| b_score.total_cmp(a_score).then_with(|| a.id.cmp(&b.id)));
    }
    scored.into_iter().skip(offset).take(limit).collect()
}
