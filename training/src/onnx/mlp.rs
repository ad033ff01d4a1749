//! A trained stack of dense layers with ReLU between them, under one prefix of a state dict.

use super::{GraphBuilder, Value};
use crate::weights::{HostTensor, StateDict, StateDictError};

/// Layers `{prefix}.0`, `{prefix}.1`, ...: `weight` [in, out] and `bias` [out] each.
#[derive(Debug)]
pub struct Mlp<'a> {
    prefix: &'a str,
    /// Weight and bias; never empty.
    layers: Vec<(&'a HostTensor, &'a HostTensor)>,
    outputs: usize,
}

impl<'a> Mlp<'a> {
    /// Reads as many layers as there are under `prefix`, of which the first takes `inputs` features.
    ///
    /// # Errors
    /// There is none, a bias is missing, or a layer does not fit onto the one before it.
    pub fn read(weights: &'a StateDict, prefix: &'a str, inputs: usize) -> Result<Self, StateDictError> {
        let mut layers = Vec::new();
        let mut width = inputs;
        while layers.is_empty() || Self::has_layer(weights, prefix, layers.len()) {
            let layer = format!("{prefix}.{}", layers.len());
            let bias = weights.get(&format!("{layer}.bias"))?;
            let outputs = bias.data.len();
            layers.push((weights.get_shaped(&format!("{layer}.weight"), &[width, outputs])?, bias));
            width = outputs;
        }
        Ok(Self { prefix, layers, outputs: width })
    }

    fn has_layer(weights: &StateDict, prefix: &str, layer: usize) -> bool {
        weights.get(&format!("{prefix}.{layer}.weight")).is_ok()
    }

    /// The same, refused unless it gives `outputs` features.
    ///
    /// # Errors
    /// The last layer is of another width; the error names its bias.
    pub fn with_outputs(self, outputs: usize) -> Result<Self, StateDictError> {
        if self.outputs == outputs {
            return Ok(self);
        }
        Err(StateDictError::Shape {
            name: format!("{}.{}.bias", self.prefix, self.layers.len() - 1),
            found: vec![self.outputs],
            expected: vec![outputs],
        })
    }

    /// Features that come out.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// `x` [batch, inputs] -> [batch, outputs].
    pub fn emit(&self, g: &mut GraphBuilder, x: &Value<f32>) -> Value<f32> {
        self.emit_with_weights(g, x).0
    }

    /// The same with layers that int8 rounds: for those so wide that reading their weights takes its time. Their inputs are
    /// activations of the names of the layers.
    pub fn emit_rounded(&self, g: &mut GraphBuilder, x: &Value<f32>) -> Value<f32> {
        // Of a Gemm and a Relu ONNX Runtime makes one operator before it looks for what can be computed in integers.
        let relu = |g: &mut GraphBuilder, x: &Value<f32>| {
            let zero = g.scalar(0.0);
            g.max(x, &zero)
        };
        self.emit_layers(g, x, relu, |g, name, x, weight, bias| g.linear(name, x, weight, bias))
    }

    /// The same as [`Mlp::emit`], and the weight [in, out] of each layer with what it is in the graph.
    pub fn emit_with_weights(
        &self,
        g: &mut GraphBuilder,
        x: &Value<f32>,
    ) -> (Value<f32>, Vec<(&'a HostTensor, Value<f32>)>) {
        let mut weights = Vec::with_capacity(self.layers.len());
        let x = self.emit_layers(g, x, GraphBuilder::relu, |g, name, x, tensor, bias| {
            let weight = g.weight(&format!("{name}.weight"), tensor);
            let bias = g.weight(&format!("{name}.bias"), bias);
            let x = g.dense(x, &weight, &bias);
            weights.push((tensor, weight));
            x
        });
        (x, weights)
    }

    /// The layers one after the other, `relu` between them, each written by `layer` from its name, input, weight and bias.
    fn emit_layers(
        &self,
        g: &mut GraphBuilder,
        x: &Value<f32>,
        relu: impl Fn(&mut GraphBuilder, &Value<f32>) -> Value<f32>,
        mut layer: impl FnMut(&mut GraphBuilder, &str, &Value<f32>, &'a HostTensor, &'a HostTensor) -> Value<f32>,
    ) -> Value<f32> {
        let mut x = x.clone();
        for (index, (weight, bias)) in self.layers.iter().enumerate() {
            if index > 0 {
                x = relu(g, &x);
            }
            x = layer(g, &format!("{}.{index}", self.prefix), &x, weight, bias);
        }
        x
    }
}
