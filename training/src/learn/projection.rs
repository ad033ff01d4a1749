//! From features into the shared embedding space: dense layers with ReLU between them. The tensors' names are those the
//! graph writer reads ([`crate::onnx::listing`]).

use burn::{
    module::Module,
    nn::{Linear, LinearConfig},
    tensor::{Device, Tensor, activation::relu},
};

use super::heads::{l2_normalised, read, write};
use crate::weights::{StateDict, StateDictError};

/// Widths of a projection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProjectionConfig {
    /// Features that come in.
    pub features: usize,
    /// Width of the hidden layer; none means a linear projection.
    pub hidden: Option<usize>,
    /// Width of the embedding.
    pub embedding: usize,
    /// The features themselves are added: they are an embedding already.
    pub residual: bool,
}

/// Dense layers into the embedding space.
#[derive(Module, Debug)]
pub struct Projection {
    layers: Vec<Linear>,
    residual: bool,
}

impl Projection {
    /// A random projection; a residual one starts at zero: at what the features are.
    pub fn new(config: &ProjectionConfig, device: &Device) -> Self {
        let widths = [Some(config.features), config.hidden, Some(config.embedding)];
        let widths: Vec<usize> = widths.into_iter().flatten().collect();
        let mut layers: Vec<Linear> =
            widths.windows(2).map(|pair| LinearConfig::new(pair[0], pair[1]).init(device)).collect();
        if let Some(last) = layers.last_mut().filter(|_| config.residual) {
            last.weight = last.weight.clone().map(|weight| weight.zeros_like());
            last.bias = last.bias.take().map(|bias| bias.map(|bias| bias.zeros_like()));
        }
        Self { layers, residual: config.residual }
    }

    /// Features `[batch, features]` to embeddings `[batch, embedding]` of L2 norm 1.
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        let mut layers = self.layers.iter();
        let first = layers.next().map_or(features.clone(), |layer| layer.forward(features.clone()));
        let projected = layers.fold(first, |hidden, layer| layer.forward(relu(hidden)));
        l2_normalised(if self.residual { projected + features } else { projected })
    }

    /// The tensors as the graph writer reads them: `{name}.0.weight` and so on.
    pub fn write(&self, tensors: &mut StateDict, name: &str) {
        for (index, layer) in self.layers.iter().enumerate() {
            write(tensors, &format!("{name}.{index}"), layer, 1.0);
        }
    }

    /// Puts the tensors that [`Projection::write`] wrote in the place of these.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn read(&mut self, tensors: &StateDict, name: &str, device: &Device) -> Result<(), StateDictError> {
        for (index, layer) in self.layers.iter_mut().enumerate() {
            read(tensors, &format!("{name}.{index}"), layer, device)?;
        }
        Ok(())
    }
}
