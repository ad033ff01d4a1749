//! What stands on a backbone's features: linear category, subcategory and price columns, and a projection into the shared
//! embedding space. The tensors' names and shapes are those the graph writer reads ([`crate::onnx::listing`]).

use burn::{
    module::{Module, Param},
    nn::{Dropout, DropoutConfig, Linear, LinearConfig},
    tensor::{Device, Tensor, TensorData},
};

use super::projection::{Projection, ProjectionConfig};
use crate::weights::{HostTensor, StateDict, StateDictError};

/// Widths of the heads of one model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadsConfig {
    /// Columns that come out: categories, subcategories and, with text, the three of the price.
    pub columns: usize,
    /// From the same features.
    pub projection: ProjectionConfig,
    /// What features are multiplied by on their way to the columns, so that they are about 1 in size.
    pub feature_scale: f32,
    /// Share of features that is left out in training.
    pub dropout: f64,
}

/// The heads of one model.
#[derive(Module, Debug)]
pub struct Heads {
    columns: Linear,
    projection: Projection,
    dropout: Dropout,
    feature_scale: f32,
}

impl Heads {
    /// Random heads.
    pub fn new(config: &HeadsConfig, device: &Device) -> Self {
        // The projection draws its random numbers first.
        let projection = Projection::new(&config.projection, device);
        Self {
            columns: LinearConfig::new(config.projection.features, config.columns).init(device),
            projection,
            dropout: DropoutConfig::new(config.dropout).init(),
            feature_scale: config.feature_scale,
        }
    }

    /// Features `[batch, features]` to columns `[batch, columns]`.
    pub fn columns(&self, features: Tensor<2>) -> Tensor<2> {
        self.columns.forward(self.dropout.forward(features * self.feature_scale))
    }

    /// Features `[batch, features]` to embeddings `[batch, embedding]` of L2 norm 1.
    pub fn embed(&self, features: Tensor<2>) -> Tensor<2> {
        self.projection.forward(features)
    }

    /// The tensors as the graph writer reads them: of unscaled features.
    pub fn state_dict(&self) -> StateDict {
        let mut tensors = StateDict::default();
        write(&mut tensors, "heads.0", &self.columns, self.feature_scale);
        self.projection.write(&mut tensors, "projection");
        tensors
    }

    /// Heads with the tensors that [`Heads::state_dict`] gave, to be used rather than trained on.
    ///
    /// # Errors
    /// A tensor is missing or has another shape than the configuration says.
    pub fn load(config: &HeadsConfig, tensors: &StateDict, device: &Device) -> Result<Self, StateDictError> {
        let mut heads = Self::new(&HeadsConfig { feature_scale: 1.0, ..*config }, device);
        read(tensors, "heads.0", &mut heads.columns, device)?;
        heads.projection.read(tensors, "projection", device)?;
        Ok(heads)
    }
}

/// Rows `[batch, width]` made L2 norm 1.
pub fn l2_normalised(rows: Tensor<2>) -> Tensor<2> {
    let norm = rows.clone().square().sum_dim(1).sqrt().clamp_min(1e-12);
    rows / norm
}

/// The values of a tensor.
pub fn host<const D: usize>(tensor: Tensor<D>) -> HostTensor {
    HostTensor { shape: tensor.dims().to_vec(), data: tensor.into_data().iter().collect() }
}

/// Writes a layer as `{name}.weight` and `{name}.bias`, its weight times `scale`.
pub(super) fn write(tensors: &mut StateDict, name: &str, layer: &Linear, scale: f32) {
    tensors.insert(format!("{name}.weight"), host(layer.weight.val() * scale));
    if let Some(bias) = &layer.bias {
        tensors.insert(format!("{name}.bias"), host(bias.val()));
    }
}

/// Reads what [`write`] wrote.
pub(super) fn read(
    tensors: &StateDict,
    name: &str,
    layer: &mut Linear,
    device: &Device,
) -> Result<(), StateDictError> {
    layer.weight = parameter(tensors, &format!("{name}.weight"), layer.weight.dims(), device)?;
    if let Some(bias) = &mut layer.bias {
        *bias = parameter(tensors, &format!("{name}.bias"), bias.dims(), device)?;
    }
    Ok(())
}

fn parameter<const D: usize>(
    tensors: &StateDict,
    name: &str,
    shape: [usize; D],
    device: &Device,
) -> Result<Param<Tensor<D>>, StateDictError> {
    let tensor = tensors.get_shaped(name, &shape)?;
    Ok(Param::from_tensor(Tensor::from_data(TensorData::new(tensor.data.clone(), shape), device)))
}
