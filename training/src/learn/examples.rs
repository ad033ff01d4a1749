//! Examples as arrays: features, words, labels and anchors, cut into batches of tensors.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{
    features::Features,
    heads::WordBatch,
    words::{Idf, Words},
};

/// How much a listing of the same category path is wanted as an embedding's neighbour, against 1 for the listing itself.
const SAME_PATH: f32 = 0.1;

/// What is to be learnt of one listing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    pub category: usize,
    pub subcategory: Option<usize>,
    /// Natural logarithm of the price; none where it is unknown or free.
    pub log_price: Option<f32>,
    /// Number of the listing: rows of one listing belong together.
    pub listing: usize,
    /// Number of the listing's whole category path.
    pub path: usize,
}

/// Embeddings that a row's own is drawn to.
#[derive(Debug, Clone)]
pub enum Anchors {
    /// Of another model that is trained already: each set has a row for each example.
    Fixed(Vec<Features>),
    /// Other features of the same listing, to be projected by the same heads.
    SameProjection(Features),
}

/// The examples of one split.
pub struct Examples {
    /// One row of features per example, or several variants of it (views of a photo), of which a batch takes any.
    pub features: Vec<Features>,
    pub words: Option<(Vec<Words>, Idf)>,
    pub targets: Vec<Target>,
    pub anchors: Anchors,
}

/// Some examples as tensors.
pub struct Batch {
    /// `[batch, features]`
    pub features: Tensor<2>,
    pub words: Option<WordBatch>,
    pub category: Tensor<1, Int>,
    pub subcategory: Tensor<1, Int>,
    /// 1 where the subcategory is a label.
    pub has_subcategory: Tensor<1>,
    pub log_price: Tensor<1>,
    /// 1 where the price is known.
    pub has_price: Tensor<1>,
    /// `[batch, width]` each, embeddings or (to be projected) features.
    pub anchors: Vec<Tensor<2>>,
    /// True where the anchors are features still.
    pub project_anchors: bool,
    /// `[batch, batch]`: how much each anchor is wanted by each example.
    pub wanted: Tensor<2>,
}

impl Examples {
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// The examples at `indices`, each in the variant that `variant` draws for it.
    pub fn batch(
        &self,
        indices: &[usize],
        mut variant: impl FnMut(usize) -> usize,
        device: &Device,
    ) -> Batch {
        let variants = self.features.len();
        let rows = indices.iter().flat_map(|&index| self.features[variant(variants)].row(index));
        let width = self.features.first().map_or(0, Features::width);
        let features = matrix(rows.copied().collect(), [indices.len(), width], device);
        let targets: Vec<Target> = indices.iter().map(|&index| self.targets[index]).collect();
        let gather = |anchors: &Features| {
            let rows = indices.iter().flat_map(|&index| anchors.row(index).iter().copied());
            matrix(rows.collect(), [indices.len(), anchors.width()], device)
        };
        let (anchors, project_anchors) = match &self.anchors {
            Anchors::Fixed(sets) => (sets.iter().map(gather).collect(), false),
            Anchors::SameProjection(features) => (vec![gather(features)], true),
        };
        let known = |known: bool| f32::from(u8::from(known));
        Batch {
            features,
            words: self.words.as_ref().map(|(words, idf)| {
                idf.batch(&indices.iter().map(|&index| &words[index]).collect::<Vec<_>>(), device)
            }),
            category: labels(targets.iter().map(|t| t.category), device),
            subcategory: labels(targets.iter().map(|t| t.subcategory.unwrap_or(0)), device),
            has_subcategory: vector(targets.iter().map(|t| known(t.subcategory.is_some())), device),
            log_price: vector(targets.iter().map(|t| t.log_price.unwrap_or(0.0)), device),
            has_price: vector(targets.iter().map(|t| known(t.log_price.is_some())), device),
            anchors,
            project_anchors,
            wanted: wanted(&targets, device),
        }
    }
}

fn wanted(targets: &[Target], device: &Device) -> Tensor<2> {
    let degree = |a: &Target, b: &Target| {
        if a.listing == b.listing {
            1.0
        } else if a.path == b.path {
            SAME_PATH
        } else {
            0.0
        }
    };
    let degrees = targets.iter().flat_map(|a| targets.iter().map(move |b| degree(a, b))).collect();
    matrix(degrees, [targets.len(), targets.len()], device)
}

fn matrix(values: Vec<f32>, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), device)
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
