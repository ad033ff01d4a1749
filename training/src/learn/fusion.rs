//! Models of several experts: each is trained apart, then their logits are added (a product of experts, Hinton 2002).
//!
//! Trained jointly from scratch, the one that fits its training listings soonest leaves the others nothing to learn: text
//! and photo together gave 71 % on validation, less than the text alone. Experts that were trained apart keep what each
//! knows. Only their weights are fitted, on the validation split, by the log-likelihood: the accuracy of a few hundred
//! listings would be a coin toss between neighbouring weights.

use burn::tensor::{Device, Tensor, TensorData};

use super::{
    features::Features,
    fit::Score,
    score::class_score,
    targets::{Target, TargetBatch},
};
use crate::{
    onnx::{LabelCounts, quantiles::QUANTILES},
    weights::{HostTensor, StateDict, StateDictError},
};

/// Weights that are tried, against 1 for the first expert, in twentieths.
const WEIGHTS: std::ops::RangeInclusive<u32> = 0..=40;
/// Shares that are tried, in twentieths.
const SHARES: std::ops::RangeInclusive<u32> = 0..=20;

/// The weight of a second expert's columns beside a first one's, and what both are worth together. Columns are
/// `[examples, columns]`, categories first.
pub fn weight_of(
    second: &Tensor<2>,
    first: &Tensor<2>,
    targets: &[Target],
    labels: LabelCounts,
) -> (f32, Score) {
    let worth = |weight: f32| class_score(first.clone() + second.clone() * weight, targets, labels);
    WEIGHTS
        .map(|twentieths| twentieths as f32 / 20.0)
        .map(|weight| (weight, worth(weight)))
        .reduce(|best, tried| if tried.1.loss < best.1.loss { tried } else { best })
        .unwrap_or_else(|| (0.0, worth(0.0)))
}

/// Classes of photos to those of their listings: the mean over the photos of each. `of_photo` is the listing of each photo,
/// those of one listing together; returned with each listing once.
pub fn mean_of_listings(photos: &Features, of_photo: &[usize]) -> (Features, Vec<usize>) {
    let mut means = Vec::new();
    let mut first = 0;
    for same in of_photo.chunk_by(|a, b| a == b) {
        let rows = (first..first + same.len()).map(|row| photos.row(row));
        let sum = |column: usize| rows.clone().map(|photo| photo[column]).sum::<f32>();
        means.extend((0..photos.width()).map(|column| sum(column) / same.len() as f32));
        first += same.len();
    }
    let mut listings = of_photo.to_vec();
    listings.dedup();
    (Features::new(photos.width(), means), listings)
}

/// How much the words count in the text model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WordWeights {
    /// Their category and subcategory logits, against 1 for BERT's.
    pub class: f32,
    /// Their median of the price, 0 to 1; BERT's has the rest.
    pub median: f32,
    /// The two half widths of their price band, 0 to 1; BERT's have the rest.
    pub width: f32,
    labels: LabelCounts,
}

/// BERT and words as one, on the validation split.
pub struct FusedText {
    pub weights: WordWeights,
    /// `[examples, columns]`
    pub columns: Tensor<2>,
    pub score: Score,
}

/// Fits the weights of BERT and words on columns `[examples, columns]` of the validation listings.
pub fn fuse_text(bert: &Tensor<2>, words: &Tensor<2>, targets: &[Target], labels: LabelCounts) -> FusedText {
    let (class, score) = weight_of(words, bert, targets, labels);
    let batch = TargetBatch::new(targets.to_vec(), &bert.device());
    let mixed = |weights: WordWeights| {
        let device = bert.device();
        bert.clone() * row(weights.of_bert(), &device) + words.clone() * row(weights.of_words(), &device)
    };
    let price_loss = |median: f32, width: f32| {
        let columns = mixed(WordWeights { class, median, width, labels });
        batch.price_loss(columns.narrow(1, labels.classes(), QUANTILES)).into_scalar::<f32>()
    };
    let [median, width, _] = SHARES
        .flat_map(|median| {
            SHARES.map(move |width| [median, width].map(|twentieths| twentieths as f32 / 20.0))
        })
        .map(|[median, width]| [median, width, price_loss(median, width)])
        .fold([0.0, 0.0, f32::INFINITY], |best, tried| if tried[2] < best[2] { tried } else { best });
    let weights = WordWeights { class, median, width, labels };
    FusedText { weights, columns: mixed(weights), score }
}

impl WordWeights {
    /// The text model's heads: BERT's linear ones, the words' bias added, and the word tables, each column at its weight;
    /// and BERT's projection.
    ///
    /// # Errors
    /// A tensor is missing.
    pub fn heads(&self, bert: &StateDict, words: &StateDict) -> Result<StateDict, StateDictError> {
        let (of_bert, of_words) = (self.of_bert(), self.of_words());
        let scaled = |tensor: &HostTensor, factors: &[f32]| -> HostTensor {
            let rows = tensor.data.chunks_exact(factors.len());
            let data = rows.flat_map(|row| row.iter().zip(factors).map(|(x, factor)| x * factor)).collect();
            HostTensor { shape: tensor.shape.clone(), data }
        };
        let mut heads: StateDict = bert
            .iter()
            .map(|(name, tensor)| {
                let is_column = name.starts_with("heads.");
                (name.to_owned(), if is_column { scaled(tensor, &of_bert) } else { tensor.clone() })
            })
            .collect();
        let mut bias = heads.get("heads.0.bias")?.clone();
        let words_bias = scaled(words.get("lexical.bias")?, &of_words);
        bias.data.iter_mut().zip(words_bias.data).for_each(|(bias, more)| *bias += more);
        heads.insert("heads.0.bias", bias);
        for table in ["lexical.unigram", "lexical.bigram"] {
            heads.insert(table, scaled(words.get(table)?, &of_words));
        }
        Ok(heads)
    }

    fn per_column(&self, class: f32, median: f32, width: f32) -> Vec<f32> {
        let classes = std::iter::repeat_n(class, self.labels.classes());
        classes.chain([width, median, width]).collect()
    }

    /// What BERT's columns are multiplied by.
    fn of_bert(&self) -> Vec<f32> {
        self.per_column(1.0, 1.0 - self.median, 1.0 - self.width)
    }

    /// What the words' columns are multiplied by.
    fn of_words(&self) -> Vec<f32> {
        self.per_column(self.class, self.median, self.width)
    }
}

fn row(values: Vec<f32>, device: &Device) -> Tensor<2> {
    let width = values.len();
    Tensor::from_data(TensorData::new(values, [1, width]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: LabelCounts = LabelCounts { categories: 2, subcategories: 0 };

    fn target(category: usize) -> Target {
        Target { category, subcategory: None, log_price: None, listing: 0, path: 0, branch: 0 }
    }

    fn logits(log_odds: Vec<f32>) -> Tensor<2> {
        let rows: Vec<f32> = log_odds.iter().flat_map(|&odds| [0.0, odds]).collect();
        Tensor::from_data(TensorData::new(rows, [log_odds.len(), 2]), &Device::flex())
    }

    #[test]
    fn an_expert_that_is_twice_too_sure_gets_half_the_weight() {
        // The first is right three times in four and says so, the second nine times in ten and says the square of its odds;
        // each whether the other is right or not.
        let (first, second) = (3.0_f32.ln(), 2.0 * 9.0_f32.ln());
        let (mut of_first, mut of_second, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for (category, towards) in [(1, 1.0), (0, -1.0)] {
            for (signs, listings) in [([1.0, 1.0], 27), ([1.0, -1.0], 3), ([-1.0, 1.0], 9), ([-1.0, -1.0], 1)]
            {
                for _ in 0..listings {
                    of_first.push(signs[0] * towards * first);
                    of_second.push(signs[1] * towards * second);
                    targets.push(target(category));
                }
            }
        }
        let (weight, score) = weight_of(&logits(of_second), &logits(of_first), &targets, LABELS);
        assert_eq!((weight, score.accuracy), (0.5, 0.9));
    }

    #[test]
    fn a_listing_has_the_mean_of_its_photos() {
        let photos = Features::new(2, vec![1.0, 0.0, 3.0, 1.0, 5.0, 5.0]);
        let (means, listings) = mean_of_listings(&photos, &[7, 7, 9]);
        assert_eq!((means.row(0), means.row(1)), (&[2.0, 0.5][..], &[5.0, 5.0][..]));
        assert_eq!(listings, [7, 9]);
    }
}
