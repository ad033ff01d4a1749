//! One space for texts and photos: two projections, trained together on what the fine-tuned networks see.
//!
//! The networks stay as they are, so that a step costs next to nothing and a batch can hold a thousand listings: a
//! contrastive loss lives on how many others the right one hides among. A title shall find the photos of its listing, and
//! the listings of its kind.

use burn::{
    module::Module,
    nn::{Dropout, DropoutConfig},
    tensor::{Device, Tensor},
};
use rand::{Rng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{
    features::Features,
    fit::{Lesson, Score},
    heads::l2_normalised,
    losses::contrastive,
    projection::{Projection, ProjectionConfig},
    targets::{Target, TargetBatch},
};
use crate::{
    evaluate::retrieval::{nearest, recall},
    weights::StateDict,
};

/// Share of a photo's features that is left out in training.
const DROPOUT: f64 = 0.4;
/// The weight of a photo beside its text where a title looks for listings.
const PHOTO_WEIGHT: f32 = 0.5;
/// The weight of the loss that a title finds the listings of its kind, beside that it finds its own photo. The embedding's first
/// part says the kind already.
const KINDS_WEIGHT: f32 = 0.25;

/// Both projections.
#[derive(Module, Debug)]
pub struct SpaceModel {
    text: Projection,
    photo: Projection,
    dropout: Dropout,
}

/// Listings of one split that have a photo, as the networks see them.
pub struct SpaceExamples {
    /// A row per listing.
    pub titles: Features,
    /// Titles and descriptions, a row per listing.
    pub texts: Features,
    /// A row per photo, those of one listing together and in the order of the listings.
    pub photos: Features,
    /// The same photos in augmented views.
    pub views: Vec<Features>,
    /// First and last photo of each listing.
    pub photos_of: Vec<std::ops::Range<usize>>,
    pub targets: Vec<Target>,
}

/// That titles, descriptions and photos of a listing lie together, and listings of a kind near each other.
pub struct SpaceLesson {
    pub train: SpaceExamples,
    pub validation: SpaceExamples,
    pub device: Device,
    /// Names the examples.
    pub fingerprint: String,
}

/// Widths of the two projections.
#[derive(Debug, Clone, Copy)]
pub struct SpaceConfig {
    pub text: ProjectionConfig,
    pub photo: ProjectionConfig,
}

impl SpaceModel {
    pub fn new(config: &SpaceConfig, device: &Device) -> Self {
        Self {
            text: Projection::new(&config.text, device),
            photo: Projection::new(&config.photo, device),
            dropout: DropoutConfig::new(DROPOUT).init(),
        }
    }

    /// Photo features `[batch, features]` to embeddings of L2 norm 1.
    fn embed_photos(&self, photos: Tensor<2>) -> Tensor<2> {
        self.photo.forward(self.dropout.forward(photos))
    }

    /// The text's projection, as the graph writer reads it.
    pub fn text_tensors(&self) -> StateDict {
        let mut tensors = StateDict::default();
        self.text.write(&mut tensors, "projection");
        tensors
    }

    /// The photo's projection of features before they were scaled, as the graph writer reads it.
    pub fn photo_tensors(&self, scale: &PhotoScale) -> StateDict {
        let mut tensors = StateDict::default();
        self.photo.write(&mut tensors, "projection");
        scale.fold(tensors, "projection")
    }
}

impl SpaceExamples {
    fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }
}

impl Lesson for SpaceLesson {
    type Network = SpaceModel;

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    /// A last batch of a few listings would have too few others to hide among.
    fn batches(&self, size: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..self.train.targets.len()).collect();
        order.shuffle(rng);
        let size = size.min(order.len().max(1));
        order.chunks_exact(size).map(<[usize]>::to_vec).collect()
    }

    fn loss(&self, network: &SpaceModel, batch: &[usize], rng: &mut ChaCha8Rng) -> Tensor<1> {
        let device = self.device.clone().autodiff();
        let SpaceExamples { photos, views, photos_of, .. } = &self.train;
        let one_photo = batch.iter().map(|&listing| {
            let view = rng.random_range(0..=views.len());
            let view = view.checked_sub(1).map_or(photos, |augmented| &views[augmented]);
            view.row(rng.random_range(photos_of[listing].clone()))
        });
        let photos = Features::of_rows(photos.width(), one_photo).into_tensor(&device);
        let targets =
            TargetBatch::new(batch.iter().map(|&listing| self.train.targets[listing]).collect(), &device);
        let rows = |features: &Features, rows: &[usize]| features.select(rows).into_tensor(&device);
        let photos = network.embed_photos(photos);
        let titles = network.text.forward(rows(&self.train.titles, batch));
        let texts = network.text.forward(rows(&self.train.texts, batch));
        let listings = l2_normalised(texts.clone() + photos.clone() * PHOTO_WEIGHT);
        // Its own photo only: where others of the same category path were wanted too, a tenth as much, titles of validation
        // listings found their own one less often (48 % instead of 52 % among ten).
        contrastive(photos.clone(), titles.clone(), targets.own())
            + contrastive(photos, texts, targets.own())
            + contrastive(titles, listings, targets.kinds()) * KINDS_WEIGHT
    }

    /// The share of titles that find a photo of their listing among the first ten.
    fn validate(&self, network: &SpaceModel) -> Score {
        let SpaceExamples { titles, photos, photos_of, .. } = &self.validation;
        let titles = titles.map(&self.device, |rows| network.text.forward(rows));
        let photos = photos.map(&self.device, |rows| network.embed_photos(rows));
        let found: Vec<Vec<usize>> = titles.rows().map(|title| nearest(title, &photos, |_| false)).collect();
        let recall = recall(&found, |title, photo| photos_of[title].contains(&photo));
        Score { loss: 1.0 - recall, accuracy: recall }
    }
}

impl SpaceLesson {
    /// # Errors
    /// A split has no listing with a photo.
    pub fn ensure_examples(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            !self.train.is_empty() && !self.validation.is_empty(),
            "no listing of the training or of the validation split has a photo"
        );
        Ok(())
    }
}

/// Brings photo features, which differ in size from layer to layer, to mean 0 and deviation 1: each layer's by one factor,
/// so that what varies little within a layer stays small.
#[derive(Debug, Clone, PartialEq)]
pub struct PhotoScale {
    mean: Vec<f32>,
    factor: Vec<f32>,
}

impl PhotoScale {
    /// Fitted on rows of which the layers stand beside each other in these widths.
    pub fn fit(photos: &Features, layers: &[usize]) -> Self {
        let count = photos.len().max(1) as f64;
        let mut mean = vec![0.0_f64; photos.width()];
        for row in photos.rows() {
            mean.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / count);
        }
        let mut variance = vec![0.0_f64; photos.width()];
        for row in photos.rows() {
            let squares = row.iter().zip(&mean).map(|(&x, mean)| (f64::from(x) - mean).powi(2) / count);
            variance.iter_mut().zip(squares).for_each(|(variance, square)| *variance += square);
        }
        let mut rest = variance.as_slice();
        let mut factor = Vec::with_capacity(photos.width());
        for &width in layers {
            let (layer, others) = rest.split_at(width.min(rest.len()));
            let of_layer = layer.iter().sum::<f64>() / width.max(1) as f64;
            factor.extend(std::iter::repeat_n((1.0 / of_layer.sqrt().max(1e-6)) as f32, layer.len()));
            rest = others;
        }
        Self { mean: mean.into_iter().map(|x| x as f32).collect(), factor }
    }

    pub fn apply(&self, photos: &Features) -> Features {
        let scaled = |row: &[f32]| -> Vec<f32> {
            row.iter()
                .zip(&self.mean)
                .zip(&self.factor)
                .map(|((x, mean), factor)| (x - mean) * factor)
                .collect()
        };
        Features::new(photos.width(), photos.rows().flat_map(scaled).collect())
    }

    /// The layers `{name}.0` and so on, so that they take features before they are scaled.
    fn fold(&self, mut tensors: StateDict, name: &str) -> StateDict {
        let (weight, bias) = (format!("{name}.0.weight"), format!("{name}.0.bias"));
        let (Ok(weights), Ok(offsets)) = (tensors.get(&weight), tensors.get(&bias)) else { return tensors };
        let (mut weights, mut offsets) = (weights.clone(), offsets.clone());
        let outputs = offsets.data.len().max(1);
        for ((row, mean), factor) in weights.data.chunks_exact_mut(outputs).zip(&self.mean).zip(&self.factor)
        {
            for (x, offset) in row.iter_mut().zip(&mut offsets.data) {
                *x *= factor;
                *offset -= *x * mean;
            }
        }
        tensors.insert(weight, weights);
        tensors.insert(bias, offsets);
        tensors
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::HostTensor;

    #[test]
    fn a_folded_layer_makes_of_features_what_it_made_of_scaled_ones() {
        let photos = Features::new(3, vec![1.0, 2.0, 30.0, 3.0, 2.0, 10.0, 5.0, 8.0, 20.0]);
        let scale = PhotoScale::fit(&photos, &[2, 1]);
        let mut layer = StateDict::default();
        let weight = vec![1.0, -1.0, 0.5, 2.0, 3.0, 0.25];
        layer.insert("p.0.weight", HostTensor { shape: vec![3, 2], data: weight });
        layer.insert("p.0.bias", HostTensor { shape: vec![2], data: vec![0.5, -0.5] });
        let outputs = |layer: &StateDict, row: &[f32]| -> Vec<f32> {
            let (weight, bias) = (layer.get("p.0.weight").unwrap(), layer.get("p.0.bias").unwrap());
            (0..2)
                .map(|j| {
                    row.iter().enumerate().map(|(i, x)| x * weight.data[i * 2 + j]).sum::<f32>()
                        + bias.data[j]
                })
                .collect()
        };
        let folded = scale.fold(layer.clone(), "p");
        let scaled = scale.apply(&photos);
        for (raw, scaled) in photos.rows().zip(scaled.rows()) {
            for (found, expected) in outputs(&folded, raw).iter().zip(outputs(&layer, scaled)) {
                assert!((found - expected).abs() < 1e-4, "{found} {expected}");
            }
        }
        // One factor for the first layer: the second feature varies more than the first and still does.
        assert!(scaled.row(2)[1] - scaled.row(0)[1] > scaled.row(2)[0] - scaled.row(0)[0]);
    }
}
