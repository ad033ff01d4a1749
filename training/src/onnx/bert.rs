//! BERT encoders (Devlin et al. 2018): any Hugging Face `BertModel` with absolute positions and the exact GELU.
//!
//! Tensor names are those of `BertModel`, or the same behind `bert.` as in models with a head. The pooler is not read.

use super::{GraphBuilder, OnnxError, Value};
use crate::weights::{HostTensor, StateDict, StateDictError};

/// What the shapes of the weights do not tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BertArchitecture {
    /// `num_hidden_layers` of `config.json`
    pub layers: usize,
    /// `num_attention_heads`
    pub heads: usize,
    /// `layer_norm_eps`
    pub layer_norm_epsilon: f32,
}

/// Added to the attention score of a padded position: far enough below any score that its share is exactly zero, and
/// still within float16 for runtimes that compute in it.
const MASKED_SCORE: f32 = -10_000.0;

/// Emits the encoder: `input_ids` and `attention_mask` (1 for a token, 0 for padding), both [batch, tokens] -> last
/// hidden states [batch, tokens, width]. Every token is of type 0. More tokens than the model has positions for fail
/// at run time.
///
/// # Errors
/// A tensor is missing or has another shape, or the width is no multiple of the number of heads.
pub fn bert(
    g: &mut GraphBuilder,
    weights: &StateDict,
    architecture: BertArchitecture,
    input_ids: &Value<i64>,
    attention_mask: &Value<i64>,
) -> Result<Value<f32>, OnnxError> {
    let width = hidden_width(weights)?;
    let heads = architecture.heads;
    if heads == 0 || !width.is_multiple_of(heads) {
        return Err(OnnxError::AttentionHeads { width, heads });
    }
    let mut encoder = Encoder { g, weights, prefix: prefix(weights), architecture, width };
    let padding = encoder.padding_scores(attention_mask);
    let mut x = encoder.embeddings(input_ids)?;
    for layer in 0..architecture.layers {
        x = encoder.layer(&format!("encoder.layer.{layer}"), &x, &padding)?;
    }
    Ok(x)
}

/// The mean of the hidden states [batch, tokens, width] over the tokens of each text, without padding ->
/// [batch, width]. A text without tokens gives zeros.
pub fn mean_pool(g: &mut GraphBuilder, hidden: &Value<f32>, attention_mask: &Value<i64>) -> Value<f32> {
    let mask: Value<f32> = g.cast(attention_mask);
    let sum = g.weighted_sum(&mask, hidden);
    let tokens = g.sum_last(&mask);
    let one = g.scalar(1.0);
    let tokens = g.max(&tokens, &one);
    g.div(&sum, &tokens)
}

/// Width of the hidden states.
///
/// # Errors
/// The weights are not a BERT's.
pub fn hidden_width(weights: &StateDict) -> Result<usize, StateDictError> {
    let gain = weights.get(&format!("{}embeddings.LayerNorm.weight", prefix(weights)))?;
    Ok(gain.data.len())
}

/// Word pieces that the model knows.
///
/// # Errors
/// The weights are not a BERT's.
pub fn vocabulary(weights: &StateDict) -> Result<usize, StateDictError> {
    let words = weights.get(&format!("{}embeddings.word_embeddings.weight", prefix(weights)))?;
    Ok(words.shape.first().copied().unwrap_or_default())
}

fn prefix(weights: &StateDict) -> &'static str {
    match weights.get("bert.embeddings.LayerNorm.weight") {
        Ok(_) => "bert.",
        Err(_) => "",
    }
}

struct Encoder<'a> {
    g: &'a mut GraphBuilder,
    weights: &'a StateDict,
    prefix: &'static str,
    architecture: BertArchitecture,
    width: usize,
}

/// A dense layer as torch keeps it: weight [out, in], bias [out].
struct Linear<'a> {
    weight: &'a HostTensor,
    bias: &'a HostTensor,
}

impl<'a> Encoder<'a> {
    fn name(&self, part: &str) -> String {
        format!("{}{part}", self.prefix)
    }

    /// Word, position and type embeddings summed and normalised: [batch, tokens, width].
    fn embeddings(&mut self, input_ids: &Value<i64>) -> Result<Value<f32>, OnnxError> {
        let words = self.rows("embeddings.word_embeddings.weight")?;
        let words = self.g.table(&self.name("embeddings.word_embeddings.weight"), words);
        let words = self.g.gather_rows(&words, input_ids);

        let positions = self.positions()?;
        let positions = self.g.weight(&self.name("embeddings.position_embeddings.weight"), &positions);
        let (start, axis) = (self.g.integers(&[0]), self.g.integers(&[0]));
        let tokens: Value<i64> = self.g.node("Shape").input(input_ids).int("start", 1).emit();
        let positions =
            self.g.node("Slice").input(&positions).input(&start).input(&tokens).input(&axis).emit();

        let sum = self.g.add(&words, &positions);
        self.normalised("embeddings.LayerNorm", &sum)
    }

    /// Position embeddings with the embedding of type 0 added, since every token gets both.
    fn positions(&self) -> Result<HostTensor, StateDictError> {
        let types = self.rows("embeddings.token_type_embeddings.weight")?;
        let mut positions = self.rows("embeddings.position_embeddings.weight")?.clone();
        for row in positions.data.chunks_exact_mut(self.width) {
            for (value, offset) in row.iter_mut().zip(&types.data) {
                *value += offset;
            }
        }
        Ok(positions)
    }

    /// 0 for a token and [`MASKED_SCORE`] for padding: [batch, 1, 1, tokens].
    fn padding_scores(&mut self, attention_mask: &Value<i64>) -> Value<f32> {
        let mask: Value<f32> = self.g.cast(attention_mask);
        let one = self.g.scalar(1.0);
        let padding = self.g.sub(&one, &mask);
        let score = self.g.scalar(MASKED_SCORE);
        let scores = self.g.mul(&padding, &score);
        self.g.unsqueeze(&scores, &[1, 2])
    }

    fn layer(&mut self, layer: &str, x: &Value<f32>, padding: &Value<f32>) -> Result<Value<f32>, OnnxError> {
        let attended = self.attention(layer, x, padding)?;
        let width = self.width;
        let attended = self.dense(&format!("{layer}.attention.output.dense"), [width, width], &attended)?;
        let sum = self.g.add(&attended, x);
        let x = self.normalised(&format!("{layer}.attention.output.LayerNorm"), &sum)?;

        let bias = self.weights.get(&self.name(&format!("{layer}.intermediate.dense.bias")))?;
        let inner_width = bias.data.len();
        let inner = self.dense(&format!("{layer}.intermediate.dense"), [width, inner_width], &x)?;
        let inner = self.g.gelu(&inner);
        let outer = self.dense(&format!("{layer}.output.dense"), [inner_width, width], &inner)?;
        let sum = self.g.add(&outer, &x);
        self.normalised(&format!("{layer}.output.LayerNorm"), &sum)
    }

    /// `softmax(Q K' / sqrt d + padding) V` for every head: [batch, tokens, width] -> the same.
    fn attention(
        &mut self,
        layer: &str,
        x: &Value<f32>,
        padding: &Value<f32>,
    ) -> Result<Value<f32>, OnnxError> {
        let width = self.width;
        let heads = self.architecture.heads;
        let head_width = width / heads;
        let projections = self.dense_qkv(layer, head_width, x)?;
        let [query, key, value] = self.g.split(&projections, [width; 3]);

        let per_head = [0, 0, heads as i64, head_width as i64];
        let query = self.g.reshape(&query, &per_head);
        let query = self.g.transpose(&query, &[0, 2, 1, 3]);
        let key = self.g.reshape(&key, &per_head);
        let key = self.g.transpose(&key, &[0, 2, 3, 1]);
        let value = self.g.reshape(&value, &per_head);
        let value = self.g.transpose(&value, &[0, 2, 1, 3]);

        let scores = self.g.matmul(&query, &key);
        let scores = self.g.add(&scores, padding);
        let shares = self.g.softmax(&scores);
        let attended = self.g.matmul(&shares, &value);
        let attended = self.g.transpose(&attended, &[0, 2, 1, 3]);
        Ok(self.g.reshape(&attended, &[0, 0, width as i64]))
    }

    /// Queries, keys and values in one product [batch, tokens, 3 width], the scale of the scores inside the queries.
    fn dense_qkv(&mut self, layer: &str, head_width: usize, x: &Value<f32>) -> Result<Value<f32>, OnnxError> {
        let width = self.width;
        let mut weight = Vec::with_capacity(3 * width * width);
        let mut bias = Vec::with_capacity(3 * width);
        let scale = 1.0 / (head_width as f64).sqrt();
        for (part, scale) in [("query", scale), ("key", 1.0), ("value", 1.0)] {
            let linear = self.linear(&format!("{layer}.attention.self.{part}"), [width, width])?;
            weight.extend(linear.weight.data.iter().map(|&value| (f64::from(value) * scale) as f32));
            bias.extend(linear.bias.data.iter().map(|&value| (f64::from(value) * scale) as f32));
        }
        let weight = HostTensor { shape: vec![3 * width, width], data: weight };
        let bias = HostTensor { shape: vec![3 * width], data: bias };
        let name = format!("{layer}.attention.self.query_key_value");
        Ok(self.emit_linear(&name, &Linear { weight: &weight, bias: &bias }, x))
    }

    /// A dense layer from `[in, out]` features.
    fn dense(&mut self, layer: &str, features: [usize; 2], x: &Value<f32>) -> Result<Value<f32>, OnnxError> {
        let linear = self.linear(layer, features)?;
        Ok(self.emit_linear(layer, &linear, x))
    }

    fn linear(&self, layer: &str, [inputs, outputs]: [usize; 2]) -> Result<Linear<'a>, StateDictError> {
        let name = self.name(layer);
        Ok(Linear {
            weight: self.weights.get_shaped(&format!("{name}.weight"), &[outputs, inputs])?,
            bias: self.weights.get_shaped(&format!("{name}.bias"), &[outputs])?,
        })
    }

    fn emit_linear(&mut self, layer: &str, linear: &Linear<'_>, x: &Value<f32>) -> Value<f32> {
        let name = self.name(layer);
        let weight = self.g.weight(&format!("{name}.weight"), &transposed(linear.weight));
        let bias = self.g.weight(&format!("{name}.bias"), linear.bias);
        self.g.dense(x, &weight, &bias)
    }

    fn normalised(&mut self, layer: &str, x: &Value<f32>) -> Result<Value<f32>, OnnxError> {
        let name = self.name(layer);
        let parameter = |field: &str| self.weights.get_shaped(&format!("{name}.{field}"), &[self.width]);
        let (gain, offset) = (parameter("weight")?, parameter("bias")?);
        let gain = self.g.weight(&format!("{name}.weight"), gain);
        let offset = self.g.weight(&format!("{name}.bias"), offset);
        Ok(self.g.layer_norm(x, &gain, &offset, self.architecture.layer_norm_epsilon))
    }

    /// A table of any number of rows as wide as the hidden states.
    fn rows(&self, table: &str) -> Result<&'a HostTensor, StateDictError> {
        let name = self.name(table);
        let rows = self.weights.get(&name)?.shape.first().copied().unwrap_or_default();
        self.weights.get_shaped(&name, &[rows, self.width])
    }
}

/// [out, in] -> [in, out], the order in which `MatMul` needs weights.
fn transposed(weight: &HostTensor) -> HostTensor {
    let inputs = weight.shape.get(1).copied().unwrap_or_default();
    let data = (0..inputs).flat_map(|input| weight.data.iter().skip(input).step_by(inputs).copied());
    HostTensor {
        shape: vec![inputs, weight.shape.first().copied().unwrap_or_default()],
        data: data.collect(),
    }
}
