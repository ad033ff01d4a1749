//! What to rank by, in the field's terms: parsed, checked for shape, embeddings computed.

use time::OffsetDateTime;

use crate::catalogue::{Filter, Place, ProductId, StoredProduct};

/// Largest weight of a part of the query; the smallest is 0.
pub const MAX_WEIGHT: f32 = 10.0;
/// Products a request may bring to be ranked instead of the catalogue.
pub const MAX_CANDIDATES: usize = 200;
/// Viewed products a request may name.
pub const MAX_VIEWED: usize = 100;

/// One question to the ranking.
#[derive(Debug, Clone, PartialEq)]
pub struct RankRequest {
    pub query: Query,
    pub filter: Filter,
    /// Rank these instead of the catalogue.
    pub candidates: Option<Vec<StoredProduct>>,
    pub boost: Boost,
    /// What this buyer looked at, the latest last. Those that are gone by now do not count.
    pub viewed: Vec<ProductId>,
    /// 0 ranks by score alone, 1 by being unlike what stands before.
    pub diversity: f32,
    /// Count the products that pass the filter by category.
    pub count_categories: bool,
    /// Places to leave out at the start of the order.
    pub offset: usize,
    /// Results to give, at most.
    pub limit: usize,
    /// Say of each result how its score came about.
    pub explain: bool,
    /// What a listing's age is counted to. Whoever rounds it gets the same order for as long as it stays the same.
    pub now: OffsetDateTime,
}

impl Default for RankRequest {
    fn default() -> Self {
        Self {
            query: Query::default(),
            filter: Filter::default(),
            candidates: None,
            boost: Boost::default(),
            viewed: Vec::new(),
            diversity: 0.0,
            count_categories: false,
            offset: 0,
            limit: 20,
            explain: false,
            now: OffsetDateTime::UNIX_EPOCH,
        }
    }
}

/// What the buyer asks for: any of the parts, or none of them to browse.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    pub text: Option<TextQuery>,
    pub photo: Option<PhotoQuery>,
    /// A listing that the results should resemble. It is not among the results. Its title counts as words where there is
    /// no text.
    pub product: Option<ProductId>,
    pub weights: QueryWeights,
    pub not: Not,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TextQuery {
    pub words: String,
    /// Of the text model, L2 norm 1.
    pub embedding: Vec<f32>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PhotoQuery {
    /// Of the image model, L2 norm 1.
    pub embedding: Vec<f32>,
}

/// What the results should not be like.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Not {
    pub text: Option<TextQuery>,
    pub photo: Option<PhotoQuery>,
    pub product: Option<ProductId>,
}

/// How much the parts count against each other, 0 to [`MAX_WEIGHT`] each. Only their proportion matters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QueryWeights {
    pub text: f32,
    pub image: f32,
    pub product: f32,
}

impl Default for QueryWeights {
    fn default() -> Self {
        Self { text: 1.0, image: 1.0, product: 1.0 }
    }
}

/// What raises a listing beside the query. All half-lives are greater than 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Boost {
    /// Days after which being new counts half.
    pub recency_half_life_days: Option<f64>,
    pub distance: Option<DistanceBoost>,
    /// Greater than 0: the nearer a price is to it, in proportion, the better.
    pub price_target: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DistanceBoost {
    pub from: Place,
    /// Kilometres after which being near counts half.
    pub half_life_km: f64,
}
