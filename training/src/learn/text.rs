//! The text model: the layers of BERT and its heads, fine-tuned together.
//!
//! The token embeddings under them stay as they were pretrained: four thousand listings say little of thirty thousand tokens.
//! They are looked up once.

use burn::{
    module::Module,
    tensor::{Device, Int, Tensor, TensorData},
};
use half::f16;
use marketrank::preprocess::Tokens;
use rand::{
    Rng,
    seq::{IndexedRandom, SliceRandom},
};
use rand_chacha::ChaCha8Rng;

use super::{
    fit::{Lesson, Score, shuffled_batches},
    heads::{Heads, l2_normalised},
    losses::contrastive,
    score::class_score,
    targets::{Target, TargetBatch},
    teacher::Teacher,
};
use crate::{
    networks::{Bert, mean_pool},
    onnx::LabelCounts,
};

const LABEL_SMOOTHING: f32 = 0.1;
const EMBEDDING_WEIGHT: f32 = 0.5;
/// How much of what is learnt comes from the teacher, where there is one; the labels have the rest.
const TEACHER_SHARE: f32 = 0.7;
/// How often one of a listing's other texts that a teacher has answered to is shown in the place of the whole.
const VIEW_SHARE: f64 = 0.5;
/// Batches whose texts are sorted by length together, so that little is spent on padding and batches still differ from
/// epoch to epoch.
const SORTED_TOGETHER: usize = 16;

/// A BERT and what stands on it.
#[derive(Module, Debug)]
pub struct TextModel {
    pub bert: Bert,
    pub heads: Heads,
}

/// Layers of BERT, from the lowest, that stay as they are. With three of six the training takes half as long and ends, together
/// with the words, at a validation loss of 0.597 instead of 0.575.
pub const FROZEN_LAYERS: usize = 0;

/// One listing's text.
#[derive(Debug, Clone)]
pub struct TextExample {
    pub whole: HiddenText,
    pub title: HiddenText,
    pub tokens: Tokens,
    pub target: Target,
    /// Other texts made of it, each with the row of a teacher's answer.
    pub views: Vec<(HiddenText, usize)>,
}

/// What the frozen layers make of a text: hidden states `[tokens, width]`.
#[derive(Debug, Clone, Default)]
pub struct HiddenText {
    width: usize,
    values: Vec<f16>,
}

/// Category, subcategory, price band, and that a title finds its listing.
pub struct TextLesson {
    pub train: Vec<TextExample>,
    pub validation: Vec<TextExample>,
    /// Its listings are those of `train`.
    pub teacher: Option<Teacher>,
    pub labels: LabelCounts,
    pub device: Device,
    /// Names the examples.
    pub fingerprint: String,
}

/// A text, and the row of a teacher's answer to it where there is one.
struct Shown<'a> {
    text: &'a HiddenText,
    answer: usize,
}

impl HiddenText {
    /// Runs the first `layers` layers of a BERT at rest over texts, neighbours in length together.
    pub fn of(bert: &Bert, layers: usize, texts: &[&Tokens], device: &Device) -> Vec<Self> {
        const TOGETHER: usize = 32;
        let mut by_length: Vec<usize> = (0..texts.len()).collect();
        by_length.sort_by_key(|&index| texts[index].ids().len());
        let mut hidden = vec![Self::default(); texts.len()];
        for chunk in by_length.chunks(TOGETHER) {
            let batch: Vec<&Tokens> = chunk.iter().map(|&index| texts[index]).collect();
            let (ids, mask) = padded_ids(&batch, device);
            let states = bert.forward_to(layers, ids, mask);
            let [_, longest, width] = states.dims();
            let values: Vec<f32> = states.into_data().iter().collect();
            for (&index, rows) in chunk.iter().zip(values.chunks_exact(longest * width)) {
                let own = &rows[..texts[index].ids().len() * width];
                hidden[index] =
                    Self { width, values: own.iter().map(|&value| f16::from_f32(value)).collect() };
            }
        }
        hidden
    }

    /// How many tokens it has.
    pub fn len(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Hidden states `[batch, longest, width]` and mask `[batch, longest]`.
    pub fn batch(texts: &[&Self], device: &Device) -> (Tensor<3>, Tensor<2, Int>) {
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or(1);
        let width = texts.first().map_or(1, |text| text.width);
        let mut values = Vec::with_capacity(texts.len() * longest * width);
        for text in texts {
            values.extend(text.values.iter().map(|value| value.to_f32()));
            values.resize(values.len() + (longest - text.len()) * width, 0.0);
        }
        let values = TensorData::new(values, [texts.len(), longest, width]);
        (Tensor::from_data(values, device), mask(texts.iter().map(|text| text.len()), longest, device))
    }
}

impl TextModel {
    /// Texts to pooled features `[batch, width]`, L2 norm 1, as the listing models see them.
    pub fn features(&self, texts: &[&HiddenText], device: &Device) -> Tensor<2> {
        let (hidden, mask) = HiddenText::batch(texts, device);
        let hidden = self.bert.forward_from(FROZEN_LAYERS, hidden, mask.clone());
        l2_normalised(mean_pool(hidden, mask))
    }
}

impl Lesson for TextLesson {
    type Network = TextModel;

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn batches(&self, size: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
        let mut batches: Vec<Vec<usize>> = shuffled_batches(self.train.len(), size * SORTED_TOGETHER, rng)
            .into_iter()
            .flat_map(|mut together| {
                together.sort_by_key(|&index| self.train[index].whole.len());
                together.chunks(size).map(<[usize]>::to_vec).collect::<Vec<_>>()
            })
            .collect();
        batches.shuffle(rng);
        batches
    }

    fn loss(&self, network: &TextModel, batch: &[usize], rng: &mut ChaCha8Rng) -> Tensor<1> {
        let device = self.device.clone().autodiff();
        let examples = || batch.iter().map(|&index| &self.train[index]);
        let targets = TargetBatch::new(examples().map(|example| example.target).collect(), &device);
        let shown: Vec<Shown<'_>> = batch.iter().map(|&index| self.show(index, rng)).collect();
        let text = network.features(&shown.iter().map(|shown| shown.text).collect::<Vec<_>>(), &device);
        let title = network.features(&examples().map(|example| &example.title).collect::<Vec<_>>(), &device);
        let found = contrastive(
            network.heads.embed(title.clone()),
            network.heads.embed(text.clone()),
            targets.wanted(),
        );
        let columns = network.heads.columns(text);
        let by_labels = targets.loss(columns.clone(), self.labels, LABEL_SMOOTHING);
        let learnt = match &self.teacher {
            None => by_labels,
            Some(teacher) => {
                let rows: Vec<usize> = shown.iter().map(|shown| shown.answer).collect();
                let titles: Vec<usize> = batch.iter().map(|&index| teacher.listings[index].title).collect();
                let of_titles = network.heads.columns(title);
                let by_teacher = teacher.loss((columns, &rows), (of_titles, &titles), self.labels);
                by_labels * (1.0 - TEACHER_SHARE) + by_teacher * TEACHER_SHARE
            }
        };
        learnt + found * EMBEDDING_WEIGHT
    }

    fn validate(&self, network: &TextModel) -> Score {
        let targets: Vec<Target> = self.validation.iter().map(|example| example.target).collect();
        class_score(self.columns(network, &self.validation), &targets, self.labels)
    }
}

impl TextLesson {
    /// The text of a listing that is learnt from this time: the whole, or one of those that a teacher has answered to.
    fn show(&self, index: usize, rng: &mut ChaCha8Rng) -> Shown<'_> {
        let example = &self.train[index];
        match example.views.choose(rng) {
            Some((text, answer)) if rng.random_bool(VIEW_SHARE) => Shown { text, answer: *answer },
            _ => {
                let answer = self.teacher.as_ref().map_or(0, |teacher| teacher.listings[index].whole);
                Shown { text: &example.whole, answer }
            }
        }
    }

    /// The columns of texts by a model at rest.
    pub fn columns(&self, network: &TextModel, examples: &[TextExample]) -> Tensor<2> {
        const TOGETHER: usize = 32;
        let chunks = examples.chunks(TOGETHER).map(|chunk| {
            let texts: Vec<&HiddenText> = chunk.iter().map(|example| &example.whole).collect();
            network.heads.columns(network.features(&texts, &self.device))
        });
        Tensor::cat(chunks.collect(), 0)
    }
}

/// Ids and mask `[batch, longest]`.
fn padded_ids(texts: &[&Tokens], device: &Device) -> (Tensor<2, Int>, Tensor<2, Int>) {
    let longest = texts.iter().map(|text| text.ids().len()).max().unwrap_or(1);
    let mut ids = Vec::with_capacity(texts.len() * longest);
    for text in texts {
        ids.extend(text.ids().iter().map(|&id| id as i32));
        ids.resize(ids.len() + longest - text.ids().len(), 0);
    }
    let ids = Tensor::from_data(TensorData::new(ids, [texts.len(), longest]), device);
    (ids, mask(texts.iter().map(|text| text.ids().len()), longest, device))
}

/// 1 for a token, 0 for padding: `[batch, longest]`.
fn mask(lengths: impl ExactSizeIterator<Item = usize>, longest: usize, device: &Device) -> Tensor<2, Int> {
    let batch = lengths.len();
    let values: Vec<i32> =
        lengths.flat_map(|length| (0..longest).map(move |position| i32::from(position < length))).collect();
    Tensor::from_data(TensorData::new(values, [batch, longest]), device)
}
