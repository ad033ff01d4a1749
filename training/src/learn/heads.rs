//! What is trained: category, subcategory and price heads, a projection into the shared embedding space, and a linear
//! model over the words. The tensors' names and shapes are those the graph writer reads ([`crate::onnx::listing`]).

use burn::{
    module::{Module, Param},
    nn::{Dropout, DropoutConfig, Linear, LinearConfig},
    tensor::{Device, Int, Tensor, activation::relu, module::embedding},
};

use crate::{
    onnx::lexical::BIGRAM_BUCKETS,
    weights::{HostTensor, StateDict, StateDictError},
};

/// Widths of the heads of one model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadsConfig {
    /// Features that come in.
    pub features: usize,
    /// How many of them, from the first on, are a text's: of L2 norm 1 together, while those of a photo are standardised.
    pub text_features: usize,
    /// Columns that come out: categories, subcategories and, with text, the three of the price. None where only the
    /// projection is trained.
    pub columns: Option<usize>,
    /// Width of the hidden layer before the columns; none means a linear model.
    pub hidden: Option<usize>,
    /// Width of the hidden layer of the projection; none means a linear one.
    pub projection_hidden: Option<usize>,
    /// Width of the embedding.
    pub embedding: usize,
    /// The features themselves are added to the projection: they are an embedding already.
    pub residual: bool,
    /// Size of the vocabulary where words are read.
    pub vocabulary: Option<usize>,
    /// Share of features and of words that is left out in training.
    pub dropout: f64,
}

/// The trainable part of one model.
#[derive(Module, Debug)]
pub struct Heads {
    columns: Option<Mlp>,
    projection: Mlp,
    words: Option<WordTables>,
    dropout: Dropout,
    residual: bool,
    text_features: usize,
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

/// Dense layers with ReLU between them.
#[derive(Module, Debug)]
struct Mlp {
    layers: Vec<Linear>,
}

/// One row of columns for each word piece and for each hashed pair of neighbours.
#[derive(Module, Debug)]
struct WordTables {
    unigram: Param<Tensor<2>>,
    bigram: Param<Tensor<2>>,
}

impl Heads {
    /// Random dense layers, and word tables of zeros. A residual projection starts at zero: at what the features are.
    pub fn new(config: &HeadsConfig, device: &Device) -> Self {
        let mut projection = Mlp::new(config.features, config.projection_hidden, config.embedding, device);
        if config.residual {
            projection.start_at_zero();
        }
        let table = |rows, columns| Param::from_tensor(Tensor::zeros([rows, columns], device));
        let words = config.columns.zip(config.vocabulary).map(|(columns, vocabulary)| WordTables {
            unigram: table(vocabulary, columns),
            bigram: table(BIGRAM_BUCKETS, columns),
        });
        Self {
            columns: config.columns.map(|columns| Mlp::new(config.features, config.hidden, columns, device)),
            projection,
            words,
            dropout: DropoutConfig::new(config.dropout).init(),
            residual: config.residual,
            text_features: config.text_features,
        }
    }

    /// Features `[batch, features]` and their words to columns `[batch, columns]`; none where none are trained.
    pub fn columns(&self, features: Tensor<2>, words: Option<&WordBatch>) -> Option<Tensor<2>> {
        let columns = self.columns.as_ref()?.forward(self.dropout.forward(self.scaled(features)));
        Some(match (&self.words, words) {
            (Some(tables), Some(words)) => columns + tables.forward(words, &self.dropout),
            _ => columns,
        })
    }

    /// Features `[batch, features]` to embeddings `[batch, embedding]` of L2 norm 1.
    pub fn embed(&self, features: Tensor<2>) -> Tensor<2> {
        let embedding = if self.residual {
            self.projection.forward(features.clone()) + features
        } else {
            self.projection.forward(self.dropout.forward(self.scaled(features)))
        };
        let norm = embedding.clone().square().sum_dim(1).sqrt().clamp_min(1e-12);
        embedding / norm
    }

    /// Text features brought to the size of standardised ones: a step of the optimiser then moves both alike.
    fn scaled(&self, features: Tensor<2>) -> Tensor<2> {
        let [batch, width] = features.dims();
        if self.text_features == 0 {
            return features;
        }
        let text = features.clone().narrow(1, 0, self.text_features) * self.text_scale();
        if self.text_features == width {
            return text;
        }
        let photo = features.slice([0..batch, self.text_features..width]);
        Tensor::cat(vec![text, photo], 1)
    }

    fn text_scale(&self) -> f32 {
        (self.text_features as f32).sqrt()
    }

    /// The tensors as the graph writer reads them: of unscaled features.
    pub fn state_dict(&self) -> StateDict {
        let mut tensors = StateDict::default();
        if let Some(columns) = &self.columns {
            columns.write(&mut tensors, "heads", self.text_features, self.text_scale());
        }
        let scale = if self.residual { 1.0 } else { self.text_scale() };
        self.projection.write(&mut tensors, "projection", self.text_features, scale);
        if let Some(WordTables { unigram, bigram }) = &self.words {
            tensors.insert("lexical.unigram", host(unigram.val()));
            tensors.insert("lexical.bigram", host(bigram.val()));
        }
        tensors
    }

    /// Heads with the tensors that [`Heads::state_dict`] gave, to be used rather than trained on.
    pub fn load(config: &HeadsConfig, tensors: &StateDict, device: &Device) -> Result<Self, StateDictError> {
        let mut heads = Self { text_features: 0, ..Self::new(config, device) };
        if let Some(columns) = &mut heads.columns {
            columns.read(tensors, "heads", device)?;
        }
        heads.projection.read(tensors, "projection", device)?;
        if let Some(tables) = &mut heads.words {
            tables.unigram = read(tensors, "lexical.unigram", tables.unigram.dims(), device)?;
            tables.bigram = read(tensors, "lexical.bigram", tables.bigram.dims(), device)?;
        }
        Ok(heads)
    }
}

impl Mlp {
    fn new(inputs: usize, hidden: Option<usize>, outputs: usize, device: &Device) -> Self {
        let widths: Vec<usize> = [Some(inputs), hidden, Some(outputs)].into_iter().flatten().collect();
        let layers = widths.windows(2).map(|pair| LinearConfig::new(pair[0], pair[1]).init(device));
        Self { layers: layers.collect() }
    }

    fn start_at_zero(&mut self) {
        if let Some(last) = self.layers.last_mut() {
            last.weight = last.weight.clone().map(|weight| weight.zeros_like());
            last.bias = last.bias.take().map(|bias| bias.map(|bias| bias.zeros_like()));
        }
    }

    fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        let mut layers = self.layers.iter();
        let first = layers.next().map_or(features.clone(), |layer| layer.forward(features));
        layers.fold(first, |hidden, layer| layer.forward(relu(hidden)))
    }

    /// Writes the layers; the first `rows` rows of the first one are multiplied by `scale`.
    fn write(&self, tensors: &mut StateDict, prefix: &str, rows: usize, scale: f32) {
        for (index, layer) in self.layers.iter().enumerate() {
            let mut weight = host(layer.weight.val());
            if index == 0 {
                let [_, outputs] = layer.weight.dims();
                weight.data.iter_mut().take(rows * outputs).for_each(|value| *value *= scale);
            }
            tensors.insert(format!("{prefix}.{index}.weight"), weight);
            if let Some(bias) = &layer.bias {
                tensors.insert(format!("{prefix}.{index}.bias"), host(bias.val()));
            }
        }
    }

    fn read(&mut self, tensors: &StateDict, prefix: &str, device: &Device) -> Result<(), StateDictError> {
        for (index, layer) in self.layers.iter_mut().enumerate() {
            let weight = format!("{prefix}.{index}.weight");
            layer.weight = read(tensors, &weight, layer.weight.dims(), device)?;
            if let Some(bias) = &mut layer.bias {
                *bias = read(tensors, &format!("{prefix}.{index}.bias"), bias.dims(), device)?;
            }
        }
        Ok(())
    }
}

impl WordTables {
    /// Sum of the rows over the root of their number, as [`crate::onnx::lexical::lexical_bag`] has it. Dropout leaves
    /// words out.
    fn forward(&self, words: &WordBatch, dropout: &Dropout) -> Tensor<2> {
        let sum = |table: &Param<Tensor<2>>, rows: &Tensor<2, Int>, weights: &Tensor<2>| {
            let rows = embedding(table.val(), rows.clone());
            (rows * dropout.forward(weights.clone()).unsqueeze_dim::<3>(2)).sum_dim(1).squeeze_dim::<2>(1)
        };
        let total = sum(&self.unigram, &words.unigrams, &words.unigram_weights)
            + sum(&self.bigram, &words.bigrams, &words.bigram_weights);
        total * words.scale.clone()
    }
}

fn host<const D: usize>(tensor: Tensor<D>) -> HostTensor {
    HostTensor { shape: tensor.dims().to_vec(), data: tensor.into_data().iter().collect() }
}

fn read<const D: usize>(
    tensors: &StateDict,
    name: &str,
    shape: [usize; D],
    device: &Device,
) -> Result<Param<Tensor<D>>, StateDictError> {
    let tensor = tensors.get_shaped(name, &shape)?;
    let data = burn::tensor::TensorData::new(tensor.data.clone(), shape);
    Ok(Param::from_tensor(Tensor::from_data(data, device)))
}
