//! BERT encoders (Devlin et al. 2018): any Hugging Face `BertModel` with absolute positions and the exact GELU.
//!
//! Tensor names are those of `BertModel`, or the same behind `bert.` as in models with a head. The pooler is not read.

mod weights;

pub use weights::BertWeights;

use self::weights::{Linear, Norm};
use super::{GraphBuilder, OnnxError, Value};
use crate::weights::HostTensor;

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
/// hidden states [batch, tokens, width]. Every token is of type 0. More tokens than the model has positions fail at run
/// time.
///
/// # Errors
/// A tensor is missing or has another shape, or the width is no multiple of the number of heads.
pub fn bert(
    g: &mut GraphBuilder,
    weights: BertWeights<'_>,
    architecture: BertArchitecture,
    input_ids: &Value<i64>,
    attention_mask: &Value<i64>,
) -> Result<Value<f32>, OnnxError> {
    let (width, heads) = (weights.width(), architecture.heads);
    if width == 0 || heads == 0 || !width.is_multiple_of(heads) {
        return Err(OnnxError::AttentionHeads { width, heads });
    }
    let mut encoder = Encoder { g, weights, architecture, width, input_ids };
    let padding = encoder.padding_scores(attention_mask);
    let mut x = encoder.embeddings()?;
    for layer in 0..architecture.layers {
        x = encoder.layer(&format!("encoder.layer.{layer}"), &x, &padding)?;
    }
    Ok(encoder.as_texts(&x, width))
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

/// Hidden states are [batch, tokens, width], and in int8 models [batch * tokens, width], because products of rows are what ONNX
/// Runtime has the best operators in integers for.
struct Encoder<'a> {
    g: &'a mut GraphBuilder,
    weights: BertWeights<'a>,
    architecture: BertArchitecture,
    width: usize,
    input_ids: &'a Value<i64>,
}

impl Encoder<'_> {
    /// Word, position and type embeddings summed and normalised: hidden states.
    fn embeddings(&mut self) -> Result<Value<f32>, OnnxError> {
        let words = self.rows("embeddings.word_embeddings.weight", self.weights.words()?, self.input_ids);
        let indices = self.token_positions(self.input_ids);
        let positions = self.weights.positions()?;
        let positions = self.rows("embeddings.position_embeddings.weight", &positions, &indices);
        let sum = self.g.add(&words, &positions);
        let sum = self.as_hidden(&sum);
        self.normalised("embeddings.LayerNorm", &sum)
    }

    /// [batch, tokens, width] as hidden states are.
    fn as_hidden(&mut self, x: &Value<f32>) -> Value<f32> {
        if !self.g.arithmetic.is_int8() {
            return x.clone();
        }
        self.g.reshape(x, &[-1, self.width as i64])
    }

    /// What was made of hidden states, `width` wide: [batch, tokens, width].
    fn as_texts(&mut self, x: &Value<f32>, width: usize) -> Value<f32> {
        if !self.g.arithmetic.is_int8() {
            return x.clone();
        }
        let width = self.g.integers(&[width as i64]);
        let texts: Value<i64> = self.g.node("Shape").input(self.input_ids).emit();
        let shape = self.g.concat(&[&texts, &width]);
        self.g.node("Reshape").input(x).input(&shape).emit()
    }

    fn rows(&mut self, name: &str, table: &HostTensor, indices: &Value<i64>) -> Value<f32> {
        let table = self.g.table(&self.weights.name(name), table);
        self.g.gather_rows(&table, indices)
    }

    /// 0, 1, 2, ... for each text: [batch, tokens]. Counted over `input_ids` rather than cut from a table, because the
    /// shape is then known to equal that of the words, without which ONNX Runtime fuses no sum with its normalisation
    /// (7 % of the time of a short text).
    fn token_positions(&mut self, input_ids: &Value<i64>) -> Value<i64> {
        let (zero, one, axis) = (self.g.integers(&[0]), self.g.integers(&[1]), self.g.integers(&[1]));
        let zeros = self.g.mul(input_ids, &zero);
        let ones = self.g.add(&zeros, &one);
        self.g.node("CumSum").input(&ones).input(&axis).int("exclusive", 1).emit()
    }

    /// 0 for a token and [`MASKED_SCORE`] for padding: [batch, 1, 1, tokens]; [batch, 1, tokens, tokens] in int8 models, where
    /// ONNX Runtime's `Attention` wants it so.
    fn padding_scores(&mut self, attention_mask: &Value<i64>) -> Value<f32> {
        let mask: Value<f32> = self.g.cast(attention_mask);
        let one = self.g.scalar(1.0);
        let padding = self.g.sub(&one, &mask);
        let score = self.g.scalar(MASKED_SCORE);
        let scores = self.g.mul(&padding, &score);
        let of_keys = self.g.unsqueeze(&scores, &[1, 2]);
        if !self.g.arithmetic.is_int8() {
            return of_keys;
        }
        let zero = self.g.scalar(0.0);
        let zeros = self.g.mul(&mask, &zero);
        let of_queries = self.g.unsqueeze(&zeros, &[1, 3]);
        self.g.add(&of_keys, &of_queries)
    }

    fn layer(&mut self, layer: &str, x: &Value<f32>, padding: &Value<f32>) -> Result<Value<f32>, OnnxError> {
        let width = self.width;
        let attended = self.attention(&format!("{layer}.attention"), x, padding)?;
        let sum = self.g.add(&attended, x);
        let x = self.normalised(&format!("{layer}.attention.output.LayerNorm"), &sum)?;

        let inner_width = self.weights.intermediate_width(layer)?;
        let inner = self.dense(&format!("{layer}.intermediate.dense"), [width, inner_width], &x)?;
        let inner = self.g.gelu(&inner);
        let outer = self.dense(&format!("{layer}.output.dense"), [inner_width, width], &inner)?;
        let sum = self.g.add(&outer, &x);
        self.normalised(&format!("{layer}.output.LayerNorm"), &sum)
    }

    /// `softmax(Q K' / sqrt d + padding) V` for every head and a dense layer, of hidden states to such.
    fn attention(
        &mut self,
        layer: &str,
        x: &Value<f32>,
        padding: &Value<f32>,
    ) -> Result<Value<f32>, OnnxError> {
        let width = self.width;
        let projection = format!("{layer}.self");
        let mut projections = self.weights.query_key_value(&projection, width / self.architecture.heads)?;
        let output_layer = format!("{layer}.output.dense");
        let output = self.weights.linear(&output_layer, [width, width])?;
        let name = self.weights.name(&output_layer);
        // Each channel of what comes out is one of the values': what int8 multiplies it by goes into them.
        let smoothing = self.g.smoothing(&name, &output.weight);
        if let Some(factors) = &smoothing {
            projections.scale_last_outputs(factors);
        }
        let projections = self.linear(&format!("{projection}.query_key_value"), &projections, x);
        let projections = self.as_texts(&projections, 3 * width);
        let attended = self.heads(&projections, padding);
        let attended = self.as_hidden(&attended);
        Ok(self.g.linear_of_smooth(&name, &attended, &output.weight, &output.bias, smoothing.as_deref()))
    }

    /// Queries, keys and values [batch, tokens, 3 width] of all heads to what these attend to: [batch, tokens, width].
    fn heads(&mut self, projections: &Value<f32>, padding: &Value<f32>) -> Value<f32> {
        let width = self.width;
        let heads = self.architecture.heads;
        let head_width = width / heads;
        let [query, key, value] = self.g.split(projections, [width; 3]);
        if self.g.arithmetic.is_int8() {
            // One operator for all that follows takes two thirds of its time (ONNX Runtime 1.32, 24 to 128 tokens). The scale is
            // inside the query.
            let node = self.g.node("Attention").input(&query).input(&key).input(&value).input(padding);
            let heads = heads as i64;
            return node.int("q_num_heads", heads).int("kv_num_heads", heads).float("scale", 1.0).emit();
        }

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
        self.g.reshape(&attended, &[0, 0, width as i64])
    }

    /// A dense layer from `[in, out]` features.
    fn dense(&mut self, layer: &str, features: [usize; 2], x: &Value<f32>) -> Result<Value<f32>, OnnxError> {
        let linear = self.weights.linear(layer, features)?;
        Ok(self.linear(layer, &linear, x))
    }

    fn linear(&mut self, layer: &str, linear: &Linear, x: &Value<f32>) -> Value<f32> {
        self.g.linear(&self.weights.name(layer), x, &linear.weight, &linear.bias)
    }

    fn normalised(&mut self, layer: &str, x: &Value<f32>) -> Result<Value<f32>, OnnxError> {
        let name = self.weights.name(layer);
        let Norm { gain, offset } = self.weights.norm(layer)?;
        let gain = self.g.weight(&format!("{name}.weight"), gain);
        let offset = self.g.weight(&format!("{name}.bias"), offset);
        Ok(self.g.layer_norm(x, [&gain, &offset], self.architecture.layer_norm_epsilon, self.width))
    }
}
