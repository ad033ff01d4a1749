//! BERT: a bidirectional transformer over word pieces, of any size that a `config.json` describes.
//!
//! Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", <https://arxiv.org/abs/1810.04805>.

mod config;
mod layer;

use std::borrow::Cow;

use burn::module::{Initializer, Module};
use burn::nn::{
    Dropout, DropoutConfig, Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig,
};
use burn::tensor::{Device, Int, Tensor};

pub use config::{BertConfig, BertConfigError};
use layer::Layer;

use super::published;
use crate::weights::{StateDict, StateDictError};

/// Hugging Face's `BertModel`.
#[derive(Module, Debug)]
pub struct Bert {
    word_embeddings: Embedding,
    position_embeddings: Embedding,
    token_type_embeddings: Embedding,
    embeddings_norm: LayerNorm,
    layers: Vec<Layer>,
    /// Of the embeddings, in training.
    dropout: Dropout,
    /// Plays no part here. It is carried so that what is written is still a whole `BertModel` to others.
    pooler: Option<Linear>,
}

impl Bert {
    /// A network with random weights, drawn as BERT's were, and no pooler.
    pub fn new(config: &BertConfig, device: &Device) -> Self {
        let embedding = |entries| {
            EmbeddingConfig::new(entries, config.width).with_initializer(initializer()).init(device)
        };
        Self {
            word_embeddings: embedding(config.vocabulary),
            position_embeddings: embedding(config.positions),
            token_type_embeddings: embedding(config.token_types),
            embeddings_norm: LayerNormConfig::new(config.width)
                .with_epsilon(config.layer_norm_eps)
                .init(device),
            layers: (0..config.layers).map(|_| Layer::new(config, device)).collect(),
            dropout: DropoutConfig::new(config.dropout).init(),
            pooler: None,
        }
    }

    /// A network with published weights, under the names of Hugging Face's `BertModel`, or of a model made around one
    /// (`bert.` before each name, as in `bert-base-uncased`).
    ///
    /// # Errors
    /// Names the first tensor that is missing or of another shape than the config says.
    pub fn load(config: &BertConfig, weights: &StateDict, device: &Device) -> Result<Self, StateDictError> {
        let weights = bare_model(weights);
        let mut network = Self::new(config, device);
        if weights.contains("pooler.dense.weight") {
            network.pooler = Some(LinearConfig::new(config.width, config.width).init(device));
        }
        published::load(network, &weights, published_field)
    }

    /// The weights under the names of Hugging Face's `BertModel`.
    pub fn state_dict(&self) -> StateDict {
        published::state_dict(self, published_field)
    }

    /// Token ids and attention mask (1 for a token, 0 for padding), both `[batch, tokens]`, to the last hidden state
    /// `[batch, tokens, width]`. All tokens are of the first type.
    ///
    /// # Panics
    /// If there are more tokens than the config has positions: the tokenizer cuts the text before.
    pub fn forward(&self, input_ids: Tensor<2, Int>, attention_mask: Tensor<2, Int>) -> Tensor<3> {
        let embedded = self.forward_to(0, input_ids, attention_mask.clone());
        self.forward_from(0, embedded, attention_mask)
    }

    /// The embeddings and the first `layers` layers: the part whose output `[batch, tokens, width]` can be kept while only
    /// what follows is trained.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_to(
        &self,
        layers: usize,
        input_ids: Tensor<2, Int>,
        attention_mask: Tensor<2, Int>,
    ) -> Tensor<3> {
        let [_, tokens] = input_ids.dims();
        let [_, width] = self.word_embeddings.weight.val().dims();
        let positions = self.position_embeddings.weight.val().narrow(0, 0, tokens);
        let first_type = self.token_type_embeddings.weight.val().narrow(0, 0, 1);
        let shared = (positions + first_type).reshape([1, tokens, width]);
        let embedded = self.embeddings_norm.forward(self.word_embeddings.forward(input_ids) + shared);
        run(self.layers.iter().take(layers), self.dropout.forward(embedded), attention_mask)
    }

    /// The output of [`forward_to`](Self::forward_to) of as many layers, to the last hidden state.
    pub fn forward_from(
        &self,
        layers: usize,
        hidden: Tensor<3>,
        attention_mask: Tensor<2, Int>,
    ) -> Tensor<3> {
        run(self.layers.iter().skip(layers), hidden, attention_mask)
    }

    /// The network with everything below layer number `layers` as it is: training moves what is above only.
    pub fn with_frozen(mut self, layers: usize) -> Self {
        self.word_embeddings = self.word_embeddings.no_grad();
        self.position_embeddings = self.position_embeddings.no_grad();
        self.token_type_embeddings = self.token_type_embeddings.no_grad();
        self.embeddings_norm = self.embeddings_norm.no_grad();
        let freeze = |(index, layer): (usize, Layer)| if index < layers { layer.no_grad() } else { layer };
        self.layers = self.layers.into_iter().enumerate().map(freeze).collect();
        self.pooler = self.pooler.map(Module::no_grad);
        self
    }

    /// The mean of the last hidden state over the tokens that are not padding: `[batch, width]`.
    pub fn features(&self, input_ids: Tensor<2, Int>, attention_mask: Tensor<2, Int>) -> Tensor<2> {
        mean_pool(self.forward(input_ids, attention_mask.clone()), attention_mask)
    }
}

fn run<'a>(
    layers: impl Iterator<Item = &'a Layer>,
    hidden: Tensor<3>,
    attention_mask: Tensor<2, Int>,
) -> Tensor<3> {
    let [batch, tokens] = attention_mask.dims();
    let padding = attention_mask.equal_elem(0).reshape([batch, 1, 1, tokens]);
    layers.fold(hidden, |hidden, layer| layer.forward(hidden, padding.clone()))
}

/// The mean of hidden states `[batch, tokens, width]` over the tokens whose mask `[batch, tokens]` is 1:
/// `[batch, width]`. Zero where no token is.
pub fn mean_pool(hidden: Tensor<3>, attention_mask: Tensor<2, Int>) -> Tensor<2> {
    let mask = attention_mask.float().unsqueeze_dim::<3>(2);
    let tokens = mask.clone().sum_dim(1).clamp_min(1);
    ((hidden * mask).sum_dim(1) / tokens).squeeze_dim(1)
}

/// Weights without what surrounds the model in published checkpoints: the `bert.` of models with a head, and the names
/// that normalisations had in the first TensorFlow release.
fn bare_model(weights: &StateDict) -> Cow<'_, StateDict> {
    if !weights.iter().any(|(name, _)| name.starts_with("bert.")) {
        return Cow::Borrowed(weights);
    }
    let renamed = weights.iter().filter_map(|(name, tensor)| {
        let name = name.strip_prefix("bert.")?;
        let name =
            name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias");
        Some((name, tensor.clone()))
    });
    Cow::Owned(renamed.collect())
}

fn published_field(field: &str) -> &str {
    match field {
        "word_embeddings" => "embeddings.word_embeddings",
        "position_embeddings" => "embeddings.position_embeddings",
        "token_type_embeddings" => "embeddings.token_type_embeddings",
        "embeddings_norm" => "embeddings.LayerNorm",
        "layers" => "encoder.layer",
        "query" => "attention.self.query",
        "key" => "attention.self.key",
        "value" => "attention.self.value",
        "attention_output" => "attention.output.dense",
        "attention_norm" => "attention.output.LayerNorm",
        "intermediate" => "intermediate.dense",
        "output" => "output.dense",
        "output_norm" => "output.LayerNorm",
        "pooler" => "pooler.dense",
        other => other,
    }
}

fn initializer() -> Initializer {
    Initializer::Normal { mean: 0.0, std: 0.02 }
}
