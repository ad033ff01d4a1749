//! A BERT's tensors, checked and in the form in which the graph needs them.

use crate::weights::{HostTensor, StateDict, StateDictError};

/// The weights of one `BertModel`.
#[derive(Debug, Clone, Copy)]
pub struct BertWeights<'a> {
    weights: &'a StateDict,
    /// What stands before the names of `BertModel`: nothing, or `bert.` in models with a head.
    prefix: &'static str,
    /// What gain and offset of a normalisation are called.
    norm_fields: [&'static str; 2],
    width: usize,
}

const NORM_FIELDS: [&str; 2] = ["weight", "bias"];
/// In files converted from the first release, `bert-base-uncased` on the hub among them.
const FIRST_NORM_FIELDS: [&str; 2] = ["gamma", "beta"];

/// A dense layer: weight [in, out], the order in which `MatMul` needs it, and bias [out].
pub(super) struct Linear {
    pub weight: HostTensor,
    pub bias: HostTensor,
}

impl Linear {
    /// Multiplies the last outputs, as many as there are factors.
    pub fn scale_last_outputs(&mut self, factors: &[f32]) {
        let outputs = self.bias.data.len();
        let first = outputs.saturating_sub(factors.len());
        let rows = self.weight.data.chunks_exact_mut(outputs.max(1));
        for row in rows.chain([self.bias.data.as_mut_slice()]) {
            row[first..].iter_mut().zip(factors).for_each(|(x, factor)| *x *= factor);
        }
    }
}

/// What a layer normalisation multiplies by and then adds, each as wide as the hidden states.
pub(super) struct Norm<'a> {
    pub gain: &'a HostTensor,
    pub offset: &'a HostTensor,
}

impl<'a> BertWeights<'a> {
    /// # Errors
    /// The weights are not a BERT's.
    pub fn open(weights: &'a StateDict) -> Result<Self, StateDictError> {
        let norm = "embeddings.LayerNorm";
        let forms = [
            ("", NORM_FIELDS),
            ("bert.", NORM_FIELDS),
            ("", FIRST_NORM_FIELDS),
            ("bert.", FIRST_NORM_FIELDS),
        ];
        for (prefix, norm_fields) in forms {
            if let Ok(gain) = weights.get(&format!("{prefix}{norm}.{}", norm_fields[0])) {
                return Ok(Self { weights, prefix, norm_fields, width: gain.data.len() });
            }
        }
        Err(StateDictError::Missing { name: format!("{norm}.weight") })
    }

    /// Width of the hidden states.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Word pieces that the model knows.
    ///
    /// # Errors
    /// There are no word embeddings, or they have another width.
    pub fn vocabulary(&self) -> Result<usize, StateDictError> {
        Ok(self.words()?.shape.first().copied().unwrap_or_default())
    }

    pub(super) fn name(&self, part: &str) -> String {
        format!("{}{part}", self.prefix)
    }

    /// [vocabulary, width]
    pub(super) fn words(&self) -> Result<&'a HostTensor, StateDictError> {
        self.rows("embeddings.word_embeddings.weight")
    }

    /// Position embeddings with the embedding of type 0 added, since every token gets both: [positions, width].
    pub(super) fn positions(&self) -> Result<HostTensor, StateDictError> {
        let types = self.rows("embeddings.token_type_embeddings.weight")?;
        let mut positions = self.rows("embeddings.position_embeddings.weight")?.clone();
        let first_type = types.data.iter().take(self.width).cycle();
        for (value, offset) in positions.data.iter_mut().zip(first_type) {
            *value += offset;
        }
        Ok(positions)
    }

    /// Width of the hidden layer inside an encoder layer.
    pub(super) fn intermediate_width(&self, layer: &str) -> Result<usize, StateDictError> {
        Ok(self.weights.get(&self.name(&format!("{layer}.intermediate.dense.bias")))?.data.len())
    }

    pub(super) fn norm(&self, layer: &str) -> Result<Norm<'a>, StateDictError> {
        let name = self.name(layer);
        let [gain, offset] = self.norm_fields;
        Ok(Norm {
            gain: self.weights.get_shaped(&format!("{name}.{gain}"), &[self.width])?,
            offset: self.weights.get_shaped(&format!("{name}.{offset}"), &[self.width])?,
        })
    }

    /// A layer from `[in, out]` features, which torch keeps as [out, in].
    pub(super) fn linear(
        &self,
        layer: &str,
        [inputs, outputs]: [usize; 2],
    ) -> Result<Linear, StateDictError> {
        let name = self.name(layer);
        let weight = self.weights.get_shaped(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = self.weights.get_shaped(&format!("{name}.bias"), &[outputs])?;
        Ok(Linear { weight: transposed(&weight.data, [outputs, inputs]), bias: bias.clone() })
    }

    /// The three projections of an attention as one layer from `width` to `3 width` features, the scale of the scores,
    /// `1 / sqrt(head_width)`, inside the first.
    pub(super) fn query_key_value(&self, layer: &str, head_width: usize) -> Result<Linear, StateDictError> {
        let width = self.width;
        let mut weight = Vec::with_capacity(3 * width * width);
        let mut bias = Vec::with_capacity(3 * width);
        let scale = 1.0 / (head_width as f64).sqrt();
        for (part, scale) in [("query", scale), ("key", 1.0), ("value", 1.0)] {
            let name = self.name(&format!("{layer}.{part}"));
            let part_weight = self.weights.get_shaped(&format!("{name}.weight"), &[width, width])?;
            let part_bias = self.weights.get_shaped(&format!("{name}.bias"), &[width])?;
            weight.extend(part_weight.data.iter().map(|&value| (f64::from(value) * scale) as f32));
            bias.extend(part_bias.data.iter().map(|&value| (f64::from(value) * scale) as f32));
        }
        Ok(Linear {
            weight: transposed(&weight, [3 * width, width]),
            bias: HostTensor { shape: vec![3 * width], data: bias },
        })
    }

    /// A table of any number of rows as wide as the hidden states.
    fn rows(&self, table: &str) -> Result<&'a HostTensor, StateDictError> {
        let name = self.name(table);
        let rows = self.weights.get(&name)?.shape.first().copied().unwrap_or_default();
        self.weights.get_shaped(&name, &[rows, self.width])
    }
}

/// [rows, columns] -> [columns, rows].
fn transposed(data: &[f32], [rows, columns]: [usize; 2]) -> HostTensor {
    let data = (0..columns).flat_map(|column| data.iter().skip(column).step_by(columns).copied());
    HostTensor { shape: vec![columns, rows], data: data.collect() }
}
