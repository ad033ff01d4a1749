//! What is to be learnt of listings, as tensors.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::losses::{cross_entropy, pinball};
use crate::onnx::{LabelCounts, quantiles::QUANTILES};

/// How much a listing of the same category path is wanted as an embedding's neighbour, against 1 for the listing itself.
const SAME_PATH: f32 = 0.1;
/// The same where listings of a kind are looked for, and how much one of the same first two parts of the path is.
const SAME_KIND: f32 = 0.1;
const SAME_BRANCH: f32 = 0.03;

/// Weights of the losses beside the category's, which has 1.
pub(super) const SUBCATEGORY_WEIGHT: f32 = 0.5;
pub(super) const PRICE_WEIGHT: f32 = 0.3;

/// What is to be learnt of one listing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    pub category: usize,
    pub subcategory: Option<usize>,
    /// Natural logarithm of the price; none where it is unknown or free.
    pub log_price: Option<f32>,
    /// Number of the listing: photos of one listing belong together.
    pub listing: usize,
    /// Number of the listing's whole category path.
    pub path: usize,
    /// Number of the first two parts of the path.
    pub branch: usize,
}

impl Target {
    /// How relevant another listing is to whoever looks for this one: 2 for the same whole category path, 1 for the same
    /// first two parts.
    pub fn relevance(&self, other: &Self) -> u32 {
        u32::from(self.path == other.path) + u32::from(self.branch == other.branch)
    }
}

/// The targets of a batch.
#[derive(Debug, Clone)]
pub struct TargetBatch {
    targets: Vec<Target>,
    category: Tensor<1, Int>,
    subcategory: Tensor<1, Int>,
    /// 1 where the subcategory is a label.
    has_subcategory: Tensor<1>,
    log_price: Tensor<1>,
    /// 1 where the price is known.
    has_price: Tensor<1>,
}

impl TargetBatch {
    pub fn new(targets: Vec<Target>, device: &Device) -> Self {
        let known = |known: bool| f32::from(u8::from(known));
        let all = || targets.iter();
        Self {
            category: labels(all().map(|t| t.category), device),
            subcategory: labels(all().map(|t| t.subcategory.unwrap_or(0)), device),
            has_subcategory: vector(all().map(|t| known(t.subcategory.is_some())), device),
            log_price: vector(all().map(|t| t.log_price.unwrap_or(0.0)), device),
            has_price: vector(all().map(|t| known(t.log_price.is_some())), device),
            targets,
        }
    }

    /// The loss of columns `[batch, columns]`, category first: cross-entropy of category and subcategory with label
    /// smoothing and, where there are columns for it, the pinball loss of the price.
    pub fn loss(&self, columns: Tensor<2>, labels: LabelCounts, smoothing: f32) -> Tensor<1> {
        let mut loss = self.class_loss(columns.clone(), labels, smoothing);
        if columns.dims()[1] == labels.classes_and_price() {
            loss = loss + self.price_loss(columns.narrow(1, labels.classes(), QUANTILES)) * PRICE_WEIGHT;
        }
        loss
    }

    /// The cross-entropies alone, of columns of which categories and subcategories come first.
    pub fn class_loss(&self, columns: Tensor<2>, labels: LabelCounts, smoothing: f32) -> Tensor<1> {
        let category = columns.clone().narrow(1, 0, labels.categories);
        let everywhere = self.has_price.ones_like();
        let loss = cross_entropy(category, self.category.clone(), everywhere, smoothing);
        if labels.subcategories == 0 {
            return loss;
        }
        let subcategory = columns.narrow(1, labels.categories, labels.subcategories);
        let of_known =
            cross_entropy(subcategory, self.subcategory.clone(), self.has_subcategory.clone(), smoothing);
        loss + of_known * SUBCATEGORY_WEIGHT
    }

    /// The pinball loss of raw price columns `[batch, 3]`.
    pub fn price_loss(&self, columns: Tensor<2>) -> Tensor<1> {
        pinball(columns, self.log_price.clone(), self.has_price.clone())
    }

    /// `[batch, batch]`: how much each listing (column) is wanted as a neighbour by each (row): by itself, and somewhat by
    /// those of the same category path.
    pub fn wanted(&self) -> Tensor<2> {
        self.degrees(&self.targets, wanted)
    }

    /// `[batch, batch]`: each listing is wanted by itself alone.
    pub fn own(&self) -> Tensor<2> {
        Tensor::eye(self.targets.len(), &self.log_price.device())
    }

    /// `[batch, batch]`: how much each listing (column) is wanted by whoever looks for listings like one (row).
    pub fn kinds(&self) -> Tensor<2> {
        self.degrees(&self.targets, |a, b| match a.relevance(b) {
            _ if a.listing == b.listing => 1.0,
            2 => SAME_KIND,
            1 => SAME_BRANCH,
            _ => 0.0,
        })
    }

    /// `[batch, others]`: the same of other listings.
    pub fn wanted_among(&self, others: &[Target]) -> Tensor<2> {
        self.degrees(others, wanted)
    }

    /// `[batch, batch]`: 1 for two different rows of one listing.
    pub fn twins(&self) -> Tensor<2> {
        let same = self.degrees(&self.targets, |a, b| f32::from(u8::from(a.listing == b.listing)));
        same - self.own()
    }

    fn degrees(&self, others: &[Target], degree: impl Fn(&Target, &Target) -> f32) -> Tensor<2> {
        let row = |a| others.iter().map(|b| degree(a, b)).collect::<Vec<f32>>();
        let degrees: Vec<f32> = self.targets.iter().flat_map(row).collect();
        let shape = [self.targets.len(), others.len()];
        Tensor::from_data(TensorData::new(degrees, shape), &self.log_price.device())
    }
}

fn wanted(a: &Target, b: &Target) -> f32 {
    if a.listing == b.listing {
        1.0
    } else if a.path == b.path {
        SAME_PATH
    } else {
        0.0
    }
}

fn vector(values: impl Iterator<Item = f32>, device: &Device) -> Tensor<1> {
    let values: Vec<f32> = values.collect();
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), device)
}

fn labels(values: impl Iterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values.map(|label| label as i32).collect();
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), device)
}
