//! A linear model over words and pairs of words: what BERT forgets, brand names and model numbers, it knows by heart.
//!
//! It is trained apart from BERT and multiplied with it afterwards ([`super::fusion`]): trained together, it fits the
//! training listings before BERT has learnt anything from them.

use burn::{
    module::{Module, Param},
    nn::{Dropout, DropoutConfig},
    tensor::{Device, Int, Tensor, TensorData, module::embedding},
};
use rand_chacha::ChaCha8Rng;

use super::{
    fit::{Lesson, Score, shuffled_batches},
    heads::host,
    score::class_score,
    targets::{Target, TargetBatch},
    words::{Idf, Words},
};
use crate::{
    onnx::{LabelCounts, lexical::BIGRAM_BUCKETS},
    weights::{StateDict, StateDictError},
};

const LABEL_SMOOTHING: f32 = 0.05;
/// Share of words that is left out in training.
const DROPOUT: f64 = 0.5;

/// One row of columns for each word piece and for each hashed pair of neighbours, and what every text has.
#[derive(Module, Debug)]
pub struct WordModel {
    unigram: Param<Tensor<2>>,
    bigram: Param<Tensor<2>>,
    bias: Param<Tensor<2>>,
    dropout: Dropout,
}

/// Words of a batch of texts, positions that hold none at weight 0.
#[derive(Debug, Clone)]
pub struct WordBatch {
    /// `[batch, tokens]`
    pub unigrams: Tensor<2, Int>,
    /// `[batch, tokens]`, how much each word counts.
    pub unigram_weights: Tensor<2>,
    /// Rows of the table of pairs, `[batch, tokens]`.
    pub bigrams: Tensor<2, Int>,
    /// `[batch, tokens]`, how much each pair counts.
    pub bigram_weights: Tensor<2>,
    /// `[batch, 1]`, one over the root of the number of words and pairs.
    pub scale: Tensor<2>,
}

/// Category, subcategory and price band from words alone.
pub struct WordLesson {
    pub train: Vec<(Words, Target)>,
    pub validation: Vec<(Words, Target)>,
    /// Of the training texts.
    pub idf: Idf,
    pub labels: LabelCounts,
    pub device: Device,
    /// Names the examples.
    pub fingerprint: String,
}

impl WordModel {
    /// Tables of zeros: a word that was never seen says nothing.
    pub fn new(vocabulary: usize, columns: usize, device: &Device) -> Self {
        let table = |rows| Param::from_tensor(Tensor::zeros([rows, columns], device));
        Self {
            unigram: table(vocabulary),
            bigram: table(BIGRAM_BUCKETS),
            bias: table(1),
            dropout: DropoutConfig::new(DROPOUT).init(),
        }
    }

    /// The same model with another column: a weight for each row of the table of words, then of pairs, and the bias.
    pub fn with_column(mut self, column: usize, weights: &[f32], bias: f32) -> Self {
        let (unigram, bigram) = weights.split_at(self.unigram.dims()[0]);
        for (table, values) in
            [(&mut self.unigram, unigram), (&mut self.bigram, bigram), (&mut self.bias, &[bias])]
        {
            let rows = table.dims()[0];
            let values = Tensor::from_data(TensorData::new(values.to_vec(), [rows, 1]), &table.device());
            *table = Param::from_tensor(table.val().slice_assign([0..rows, column..column + 1], values));
        }
        self
    }

    /// A model with the tensors that [`WordModel::state_dict`] gave, to be used with uniform frequencies.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn load(tensors: &StateDict, device: &Device) -> Result<Self, StateDictError> {
        let columns = tensors.get("lexical.bias")?.data.len();
        let vocabulary = tensors.get("lexical.unigram")?.data.len() / columns.max(1);
        let mut model = Self::new(vocabulary, columns, device);
        for (name, table) in [
            ("lexical.unigram", &mut model.unigram),
            ("lexical.bigram", &mut model.bigram),
            ("lexical.bias", &mut model.bias),
        ] {
            let tensor = tensors.get_shaped(name, &table.dims())?;
            let values = TensorData::new(tensor.data.clone(), table.dims());
            *table = Param::from_tensor(Tensor::from_data(values, device));
        }
        Ok(model)
    }

    /// Columns `[batch, columns]`: the sum of the rows over the root of their number, as
    /// [`crate::onnx::lexical::lexical_bag`] has it, and the bias.
    pub fn columns(&self, words: &WordBatch) -> Tensor<2> {
        let sum = |table: &Param<Tensor<2>>, rows: &Tensor<2, Int>, weights: &Tensor<2>| {
            let rows = embedding(table.val(), rows.clone());
            (rows * self.dropout.forward(weights.clone()).unsqueeze_dim::<3>(2))
                .sum_dim(1)
                .squeeze_dim::<2>(1)
        };
        let total = sum(&self.unigram, &words.unigrams, &words.unigram_weights)
            + sum(&self.bigram, &words.bigrams, &words.bigram_weights);
        total * words.scale.clone() + self.bias.val()
    }

    /// The tables, the word frequencies folded in, as the graph writer reads them, and `lexical.bias` [1, columns].
    pub fn state_dict(&self, idf: &Idf) -> StateDict {
        let mut tensors = StateDict::default();
        tensors.insert("lexical.unigram", host(self.unigram.val()));
        tensors.insert("lexical.bigram", host(self.bigram.val()));
        tensors.insert("lexical.bias", host(self.bias.val()));
        idf.fold(tensors)
    }
}

impl WordLesson {
    /// The columns of texts by a model at rest.
    pub fn columns(&self, network: &WordModel, examples: &[(Words, Target)]) -> Tensor<2> {
        const TOGETHER: usize = 128;
        let chunks = examples.chunks(TOGETHER).map(|chunk| {
            let words: Vec<&Words> = chunk.iter().map(|(words, _)| words).collect();
            network.columns(&self.idf.batch(&words, &self.device))
        });
        Tensor::cat(chunks.collect(), 0)
    }
}

impl Lesson for WordLesson {
    type Network = WordModel;

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn batches(&self, size: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
        shuffled_batches(self.train.len(), size, rng)
    }

    fn loss(&self, network: &WordModel, batch: &[usize], _rng: &mut ChaCha8Rng) -> Tensor<1> {
        let device = self.device.clone().autodiff();
        let (words, targets): (Vec<&Words>, Vec<Target>) =
            batch.iter().map(|&index| (&self.train[index].0, self.train[index].1)).unzip();
        let columns = network.columns(&self.idf.batch(&words, &device));
        TargetBatch::new(targets, &device).loss(columns, self.labels, LABEL_SMOOTHING)
    }

    fn validate(&self, network: &WordModel) -> Score {
        let targets: Vec<Target> = self.validation.iter().map(|(_, target)| *target).collect();
        class_score(self.columns(network, &self.validation), &targets, self.labels)
    }
}
