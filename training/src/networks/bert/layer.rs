use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::gelu;
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Device, Tensor};

use super::{BertConfig, initializer};

/// One layer of the encoder: attention, then a feed-forward block, each added to its input and then normalised.
#[derive(Module, Debug)]
pub(super) struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
    /// Of what is added to the input, in training.
    dropout: Dropout,
    heads: usize,
}

impl Layer {
    pub(super) fn new(config: &BertConfig, device: &Device) -> Self {
        let linear =
            |input, output| LinearConfig::new(input, output).with_initializer(initializer()).init(device);
        let norm = || LayerNormConfig::new(config.width).with_epsilon(config.layer_norm_eps).init(device);
        Self {
            query: linear(config.width, config.width),
            key: linear(config.width, config.width),
            value: linear(config.width, config.width),
            attention_output: linear(config.width, config.width),
            attention_norm: norm(),
            intermediate: linear(config.width, config.intermediate_width),
            output: linear(config.intermediate_width, config.width),
            output_norm: norm(),
            dropout: DropoutConfig::new(config.dropout).init(),
            heads: config.heads,
        }
    }

    /// Hidden states `[batch, tokens, width]` to the same; `padding` `[batch, 1, 1, tokens]` is true where no token is.
    pub(super) fn forward(&self, hidden: Tensor<3>, padding: Tensor<4, Bool>) -> Tensor<3> {
        let attended = self.attention_output.forward(self.attend(hidden.clone(), padding));
        let hidden = self.attention_norm.forward(hidden + self.dropout.forward(attended));
        let transformed = self.output.forward(gelu(self.intermediate.forward(hidden.clone())));
        self.output_norm.forward(hidden + self.dropout.forward(transformed))
    }

    fn attend(&self, hidden: Tensor<3>, padding: Tensor<4, Bool>) -> Tensor<3> {
        let [batch, tokens, width] = hidden.dims();
        let heads = |projected: Tensor<3>| {
            projected.reshape([batch, tokens, self.heads, width / self.heads]).swap_dims(1, 2)
        };
        let context = attention(
            heads(self.query.forward(hidden.clone())),
            heads(self.key.forward(hidden.clone())),
            heads(self.value.forward(hidden)),
            Some(padding.expand([batch, self.heads, tokens, tokens])),
            None,
            AttentionModuleOptions::default(),
        );
        context.swap_dims(1, 2).reshape([batch, tokens, width])
    }
}
