//! The body of a ranking request, as clients send it.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    api::{listing::ProductInput, photos::PhotoSource},
    catalogue::ProductId,
};

/// What to rank by, what to rank, and which part of the order to give.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"query": {"text": "oak dining table", "not": {"text": "chairs"}}, "filter": {"price": {"max": 200}},
    "boost": {"recency_half_life_days": 14}, "facets": ["category"], "limit": 5, "explain": true}))]
pub struct RankBody {
    /// Left out or empty, the newest listings come first.
    #[serde(default)]
    pub query: QueryBody,
    /// Rank these instead of the catalogue.
    #[schema(max_items = 200)]
    pub candidates: Option<Vec<ProductInput>>,
    #[serde(default)]
    pub filter: FilterBody,
    #[serde(default)]
    pub boost: BoostBody,
    #[serde(default)]
    pub user: UserBody,
    /// 0 ranks by score alone, 1 by being unlike what stands before. Above 0, listings with the same photo do not stand
    /// next to each other, and scores need not fall from place to place.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1, default = 0)]
    pub diversity: f32,
    #[schema(minimum = 1, maximum = 100, default = 20)]
    pub limit: Option<usize>,
    /// `offset + limit` may reach 1000.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 999)]
    pub offset: usize,
    /// Count the products that pass the filter, by these fields.
    #[serde(default)]
    pub facets: Vec<Facet>,
    /// Say of each result how its score came about.
    #[serde(default)]
    pub explain: bool,
}

/// A field whose values can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Facet {
    Category,
}

/// Any mix of a text, a photo and a product.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryBody {
    #[schema(max_length = 1000)]
    pub text: Option<String>,
    pub image: Option<PhotoSource>,
    /// A product of the catalogue (or of the candidates) that the results should resemble.
    pub product_id: Option<ProductId>,
    #[serde(default)]
    pub weights: WeightsBody,
    /// What the results should not be like.
    pub not: Option<NotBody>,
}

/// How much the parts count against each other: 0 to 10, not all given ones 0.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightsBody {
    #[serde(default = "one")]
    #[schema(minimum = 0, maximum = 10, default = 1)]
    pub text: f32,
    #[serde(default = "one")]
    #[schema(minimum = 0, maximum = 10, default = 1)]
    pub image: f32,
    #[serde(default = "one")]
    #[schema(minimum = 0, maximum = 10, default = 1)]
    pub product: f32,
}

fn one() -> f32 {
    1.0
}

impl Default for WeightsBody {
    fn default() -> Self {
        Self { text: one(), image: one(), product: one() }
    }
}

/// Any mix of a text, a photo and a product; its words count against a listing too.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NotBody {
    #[schema(max_length = 1000)]
    pub text: Option<String>,
    pub image: Option<PhotoSource>,
    pub product_id: Option<ProductId>,
}

/// Conditions that every result meets.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FilterBody {
    /// Any of these.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub category: Vec<String>,
    #[serde(default)]
    pub price: PriceBounds,
    pub near: Option<NearBody>,
    /// RFC 3339, inclusive; a product without a date does not meet it.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub listed_after: Option<String>,
}

/// Inclusive; a product without a price meets no bound.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceBounds {
    #[schema(minimum = 0)]
    pub min: Option<f64>,
    #[schema(minimum = 0)]
    pub max: Option<f64>,
}

/// Where the buyer is. With a radius, only products with coordinates inside it are found.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NearBody {
    #[schema(minimum = -90, maximum = 90)]
    pub lat: f64,
    #[schema(minimum = -180, maximum = 180)]
    pub lon: f64,
    #[schema(exclusive_minimum = 0, maximum = 20_100)]
    pub radius_km: Option<f64>,
}

/// What raises a listing beside the query.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BoostBody {
    /// Days after which being new counts half. Age is counted to the hour.
    #[schema(exclusive_minimum = 0)]
    pub recency_half_life_days: Option<f64>,
    /// Kilometres after which being near counts half; needs `filter.near`.
    #[schema(exclusive_minimum = 0)]
    pub distance_half_life_km: Option<f64>,
    /// The nearer a price is to it, in proportion, the better.
    #[schema(exclusive_minimum = 0)]
    pub price_target: Option<f64>,
}

/// Whom to rank for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserBody {
    /// Products this buyer looked at, the latest last; those that are gone by now do not count.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub viewed: Vec<ProductId>,
}
