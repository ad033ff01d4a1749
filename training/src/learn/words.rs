//! Words of texts as rows of the two word tables, and how much each row counts.

use burn::tensor::{Device, Int, Tensor, TensorData};
use marketrank::preprocess::Tokens;

use super::word_model::WordBatch;
use crate::{
    onnx::lexical::{BIGRAM_BUCKETS, SPECIAL_TOKENS, bigram_bucket},
    weights::{HostTensor, StateDict},
};

/// Words of one text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Words {
    unigrams: Vec<i32>,
    bigrams: Vec<i32>,
}

/// Inverse document frequencies of the rows, `1 + ln((1 + texts) / (1 + texts with it))` (Sparck Jones 1972, smoothed).
///
/// Training multiplies each row by its own, so that the words that tell most move first: 78 % instead of 71 % on the
/// validation split for a linear model over the same sums. [`Idf::fold`] then writes it into the tables.
#[derive(Debug, Clone)]
pub struct Idf {
    unigram: Vec<f32>,
    bigram: Vec<f32>,
}

impl Words {
    /// The rows of a text's words and pairs, as the graph finds them.
    pub fn of(tokens: &Tokens) -> Self {
        Self::of_ids(tokens.ids())
    }

    /// [`Words::of`] token ids without padding.
    pub fn of_ids(ids: &[i64]) -> Self {
        let is_word = |id: &i64| !SPECIAL_TOKENS.contains(id);
        let pairs = ids.windows(2).filter(|pair| pair.iter().all(is_word));
        Self {
            unigrams: ids.iter().copied().filter(is_word).map(|id| id as i32).collect(),
            bigrams: pairs.map(|pair| bigram_bucket(pair[0] as u32, pair[1] as u32) as i32).collect(),
        }
    }
}

impl Idf {
    /// All rows count the same.
    pub fn uniform(vocabulary: usize) -> Self {
        Self { unigram: vec![1.0; vocabulary], bigram: vec![1.0; BIGRAM_BUCKETS] }
    }

    /// Rows of both tables: those of words, then those of pairs.
    pub fn rows(&self) -> usize {
        self.unigram.len() + self.bigram.len()
    }

    /// What a linear model multiplies the rows of one text by, as [`Self::batch`] has it: rows as [`Self::rows`] counts them.
    /// A word that comes twice is there twice.
    pub fn sparse(&self, words: &Words) -> Vec<(usize, f64)> {
        let scale = f64::from(scale(words));
        let weighted = |rows: &[i32], idf: &[f32], first: usize| -> Vec<(usize, f64)> {
            let weight = |&row: &i32| (first + row as usize, f64::from(idf[row as usize]) * scale);
            rows.iter().map(weight).collect()
        };
        let mut sparse = weighted(&words.unigrams, &self.unigram, 0);
        sparse.extend(weighted(&words.bigrams, &self.bigram, self.unigram.len()));
        sparse
    }

    /// As many rows that all count the same: for tables with the frequencies folded in.
    pub fn folded(&self) -> Self {
        Self::uniform(self.unigram.len())
    }

    /// Counted over the training texts.
    pub fn over<'a>(texts: impl Iterator<Item = &'a Words>, vocabulary: usize) -> Self {
        let (mut unigram, mut bigram) = (vec![0_u32; vocabulary], vec![0_u32; BIGRAM_BUCKETS]);
        let mut total = 0_u32;
        for words in texts {
            total += 1;
            for (rows, counts) in [(&words.unigrams, &mut unigram), (&words.bigrams, &mut bigram)] {
                let mut distinct = rows.clone();
                distinct.sort_unstable();
                distinct.dedup();
                distinct.iter().for_each(|&row| counts[row as usize] += 1);
            }
        }
        let idf = |counts: Vec<u32>| -> Vec<f32> {
            counts.iter().map(|&with| 1.0 + ((1 + total) as f32 / (1 + with) as f32).ln()).collect()
        };
        Self { unigram: idf(unigram), bigram: idf(bigram) }
    }

    /// Multiplies the trained tables, so that the graph need not know of it.
    pub fn fold(&self, tensors: StateDict) -> StateDict {
        let scaled = |(name, tensor): (String, HostTensor)| {
            let factors = match name.as_str() {
                "lexical.unigram" => &self.unigram,
                "lexical.bigram" => &self.bigram,
                _ => return (name, tensor),
            };
            let columns = tensor.data.len() / factors.len().max(1);
            let rows = tensor.data.chunks_exact(columns.max(1)).zip(factors);
            let data = rows.flat_map(|(row, factor)| row.iter().map(move |x| x * factor)).collect();
            (name, HostTensor { data, ..tensor })
        };
        tensors.into_iter().map(scaled).collect()
    }

    /// The texts as tensors, rows padded to the longest text.
    pub fn batch(&self, texts: &[&Words], device: &Device) -> WordBatch {
        let (unigrams, unigram_weights) =
            padded(texts.iter().map(|words| &words.unigrams), &self.unigram, device);
        let (bigrams, bigram_weights) =
            padded(texts.iter().map(|words| &words.bigrams), &self.bigram, device);
        let scale: Vec<f32> = texts.iter().map(|words| scale(words)).collect();
        let scale = Tensor::from_data(TensorData::new(scale, [texts.len(), 1]), device);
        WordBatch { unigrams, unigram_weights, bigrams, bigram_weights, scale }
    }
}

/// One over the root of the number of words and pairs.
fn scale(words: &Words) -> f32 {
    1.0 / ((words.unigrams.len() + words.bigrams.len()).max(1) as f32).sqrt()
}

fn padded<'a>(
    texts: impl ExactSizeIterator<Item = &'a Vec<i32>> + Clone,
    idf: &[f32],
    device: &Device,
) -> (Tensor<2, Int>, Tensor<2>) {
    let shape = [texts.len(), texts.clone().map(Vec::len).max().unwrap_or(0).max(1)];
    let mut rows = Vec::with_capacity(shape[0] * shape[1]);
    let mut weights = Vec::with_capacity(shape[0] * shape[1]);
    for text in texts {
        let padding = shape[1] - text.len();
        rows.extend(text.iter().copied().chain(std::iter::repeat_n(0, padding)));
        weights.extend(text.iter().map(|&row| idf[row as usize]).chain(std::iter::repeat_n(0.0, padding)));
    }
    (
        Tensor::from_data(TensorData::new(rows, shape), device),
        Tensor::from_data(TensorData::new(weights, shape), device),
    )
}
