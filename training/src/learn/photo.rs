//! The image model: the upper blocks of the photo network and its heads, fine-tuned together on cached feature maps.

use burn::{
    module::Module,
    tensor::{Device, Tensor, TensorData},
};
use half::f16;
use rand::{Rng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{
    features::Features,
    fit::{Lesson, Score},
    heads::Heads,
    losses::{contrastive_among, contrastive_towards},
    maps::Maps,
    score::class_score,
    targets::{Target, TargetBatch},
    teacher,
};
use crate::{networks::UpperBlocks, onnx::LabelCounts};

const LABEL_SMOOTHING: f32 = 0.1;
/// Share of batches that learn categories from mixed photos; the others learn the embedding too, for which a mixture of
/// two listings' photos has no anchor.
const MIXED_SHARE: f64 = 0.5;
const EMBEDDING_WEIGHT: f32 = 1.0;
/// How much of what is learnt of the classes comes from a teacher's answers to the listing's text, where there are some.
const TEACHER_SHARE: f32 = 0.5;
/// Texts of other listings that a photo's own must stand out from, beside those of its batch.
const OTHER_LISTINGS: usize = 512;

/// The trained part of the photo network and what stands on it.
#[derive(Module, Debug)]
pub struct PhotoModel {
    /// None where the whole network stays as it is.
    pub upper: Option<UpperBlocks>,
    pub heads: Heads,
}

impl PhotoModel {
    /// Maps `[channels, batch, positions]` to pooled features `[batch, features]`.
    fn features(&self, maps: Tensor<3>) -> Tensor<2> {
        match &self.upper {
            Some(upper) => upper.forward(maps),
            None => maps.mean_dim(2).squeeze_dim::<2>(2).transpose(),
        }
    }
}

/// The photos of one split.
pub struct PhotoExamples {
    /// The plain view first, then the augmented ones; a row per photo.
    pub views: Vec<Maps>,
    pub targets: Vec<Target>,
    /// Text embeddings of each photo's listing, each a set of rows to be drawn to.
    pub anchors: Vec<Features>,
    /// What a teacher answers to the text of each photo's listing.
    pub answers: Option<Features>,
}

/// Category, subcategory, that a photo lies near its listing's text, and that the photos of a listing lie together.
pub struct PhotoLesson {
    pub train: PhotoExamples,
    pub validation: PhotoExamples,
    pub labels: LabelCounts,
    pub device: Device,
    /// Names the examples.
    pub fingerprint: String,
}

impl PhotoExamples {
    /// Maps `[channels, batch, positions]` of the photos at `indices`, each in the view that `view` draws for it.
    fn maps(&self, indices: &[usize], mut view: impl FnMut(usize) -> usize, device: &Device) -> Tensor<3> {
        let photos: Vec<&[f16]> =
            indices.iter().map(|&index| self.views[view(self.views.len())].row(index)).collect();
        let [channels, positions] = self.views.first().map_or([0, 0], |maps| maps.shape());
        let mut values = Vec::with_capacity(channels * photos.len() * positions);
        for channel in 0..channels {
            for photo in &photos {
                let channel = &photo[channel * positions..(channel + 1) * positions];
                values.extend(channel.iter().map(|value| value.to_f32()));
            }
        }
        Tensor::from_data(TensorData::new(values, [channels, photos.len(), positions]), device)
    }

    fn targets(&self, indices: &[usize]) -> Vec<Target> {
        indices.iter().map(|&index| self.targets[index]).collect()
    }
}

impl Lesson for PhotoLesson {
    type Network = PhotoModel;

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    /// The photos of one listing stand beside each other: they learn to lie together.
    fn batches(&self, size: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
        let all: Vec<usize> = (0..self.train.targets.len()).collect();
        let of_listing =
            |a: &usize, b: &usize| self.train.targets[*a].listing == self.train.targets[*b].listing;
        let mut listings: Vec<&[usize]> = all.chunk_by(of_listing).collect();
        listings.shuffle(rng);
        let order: Vec<usize> = listings.concat();
        let size = size.min(order.len().max(1));
        // A last batch of a few photos would be a step as long as that of a whole one.
        order.chunks(size).filter(|batch| batch.len() * 2 > size).map(<[usize]>::to_vec).collect()
    }

    fn loss(&self, network: &PhotoModel, batch: &[usize], rng: &mut ChaCha8Rng) -> Tensor<1> {
        let device = self.device.clone().autodiff();
        let maps = self.train.maps(batch, |views| rng.random_range(0..views), &device);
        let targets = TargetBatch::new(self.train.targets(batch), &device);
        if rng.random_bool(MIXED_SHARE) {
            return self.mixed_loss(network, batch, maps, &targets, rng);
        }
        let features = network.features(maps);
        let embeddings = network.heads.embed(features.clone());
        let share = EMBEDDING_WEIGHT / (self.train.anchors.len() + 1) as f32;
        let mut loss = self.class_loss(network.heads.columns(features), batch, &targets)
            + contrastive_among(embeddings.clone(), targets.twins()) * share;
        let others = (0..OTHER_LISTINGS).map(|_| rng.random_range(0..self.train.targets.len()));
        let among: Vec<usize> = batch.iter().copied().chain(others).collect();
        let wanted = targets.wanted_among(&self.train.targets(&among));
        for anchors in &self.train.anchors {
            let all = anchors.select(&among).into_tensor(&device);
            let own = all.clone().narrow(0, 0, batch.len());
            let forth = contrastive_towards(embeddings.clone(), all, wanted.clone());
            let back = contrastive_towards(own, embeddings.clone(), targets.wanted().transpose());
            loss = loss + (forth + back) * (share / 2.0);
        }
        loss
    }

    fn validate(&self, network: &PhotoModel) -> Score {
        const TOGETHER: usize = 64;
        let all: Vec<usize> = (0..self.validation.targets.len()).collect();
        let columns: Vec<Tensor<2>> = all
            .chunks(TOGETHER)
            .map(|chunk| {
                let maps = self.validation.maps(chunk, |_| 0, &self.device);
                network.heads.columns(network.features(maps))
            })
            .collect();
        class_score(Tensor::cat(columns, 0), &self.validation.targets, self.labels)
    }
}

impl PhotoLesson {
    /// Mixup (Zhang et al. 2018) of feature maps: each photo with another one, the labels in the same shares.
    fn mixed_loss(
        &self,
        network: &PhotoModel,
        batch: &[usize],
        maps: Tensor<3>,
        targets: &TargetBatch,
        rng: &mut ChaCha8Rng,
    ) -> Tensor<1> {
        let mut others = batch.to_vec();
        others.shuffle(rng);
        let device = maps.device();
        let other_maps = self.train.maps(&others, |views| rng.random_range(0..views), &device);
        let other_targets = TargetBatch::new(self.train.targets(&others), &device);
        let share: f32 = rng.random_range(0.5..1.0);
        let columns = network.heads.columns(network.features(maps * share + other_maps * (1.0 - share)));
        self.class_loss(columns.clone(), batch, targets) * share
            + self.class_loss(columns, &others, &other_targets) * (1.0 - share)
    }

    /// The loss of columns `[batch, columns]` of these training photos, by their labels and by what a teacher answers.
    fn class_loss(&self, columns: Tensor<2>, batch: &[usize], targets: &TargetBatch) -> Tensor<1> {
        let by_labels = targets.class_loss(columns.clone(), self.labels, LABEL_SMOOTHING);
        let Some(answers) = &self.train.answers else { return by_labels };
        let wanted = answers.select(batch).into_tensor(&columns.device());
        let by_teacher = teacher::class_loss(columns, wanted, self.labels);
        by_labels * (1.0 - TEACHER_SHARE) + by_teacher * TEACHER_SHARE
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn photos(count: usize) -> PhotoExamples {
        let target =
            |listing| Target { category: 0, subcategory: None, log_price: None, listing, path: 0, branch: 1 };
        PhotoExamples {
            views: Vec::new(),
            targets: (0..count).map(target).collect(),
            anchors: Vec::new(),
            answers: None,
        }
    }

    #[test]
    fn photos_fewer_than_half_a_batch_are_learnt_from() {
        let lesson = PhotoLesson {
            train: photos(3),
            validation: photos(1),
            labels: LabelCounts { categories: 1, subcategories: 0 },
            device: Device::flex(),
            fingerprint: String::new(),
        };
        let mut batches = lesson.batches(32, &mut ChaCha8Rng::seed_from_u64(1));
        batches.iter_mut().for_each(|batch| batch.sort_unstable());
        assert_eq!(batches, [[0_usize, 1, 2]]);
    }
}
