//! What to rank by, in the field's terms: parsed, checked for shape, embeddings computed.

use crate::catalogue::{Filter, Product, ProductId};

/// Largest weight of a part of the query; the smallest is 0.
pub const MAX_WEIGHT: f32 = 10.0;
/// Products a request may bring to be ranked instead of the catalogue.
pub const MAX_CANDIDATES: usize = 200;

/// One question to the ranking.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RankRequest {
    pub query: Query,
    pub filter: Filter,
    /// Rank these instead of the catalogue.
    pub candidates: Option<Vec<Candidate>>,
    /// Places to leave out at the start of the order.
    pub offset: usize,
    /// Results to give, at most.
    pub limit: usize,
    /// Say of each result how its score came about.
    pub explain: bool,
}

/// What the buyer asks for: any of the parts, or none of them to browse.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    pub text: Option<TextQuery>,
    pub photo: Option<PhotoQuery>,
    /// A listing that the results should resemble. It is not among the results. Its title counts as words where there is
    /// no text; it weighs as much as a part of weight 1.
    pub product: Option<ProductId>,
    pub weights: QueryWeights,
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

/// How much text and photo count against each other, 0 to [`MAX_WEIGHT`] each. Only their proportion matters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QueryWeights {
    pub text: f32,
    pub image: f32,
}

impl Default for QueryWeights {
    fn default() -> Self {
        Self { text: 1.0, image: 1.0 }
    }
}

/// A product to be ranked that need not be in the catalogue.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    pub product: Product,
    /// Of the combined model (of the text model where there is no photo), L2 norm 1.
    pub embedding: Vec<f32>,
}
