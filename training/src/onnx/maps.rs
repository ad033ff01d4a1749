//! The maps at the end of a photo network, or half-way up: what is where in the photo.

use super::{GraphBuilder, Value, int8::Bytes, quantisation::Int8Tensor};
use crate::weights::HostTensor;

/// Maps in the form in which they come out of the network.
#[derive(Debug, Clone)]
pub enum Maps {
    /// [batch, channels, rows, columns]
    ChannelsFirst(Value<f32>),
    /// Bytes [batch, rows, columns, channels], as ONNX Runtime's convolutions in integers leave them. What is made of them is a
    /// product in integers: as floats they would be four times as large.
    Rounded(Bytes),
}

impl Maps {
    /// An activation [batch, channels, rows, columns] as maps: its bytes, where it was rounded.
    pub(super) fn of(g: &mut GraphBuilder, x: &Value<f32>) -> Self {
        match g.bytes.get(x.name()).cloned() {
            Some(bytes) => Self::of_bytes(g, bytes),
            None => Self::ChannelsFirst(x.clone()),
        }
    }

    /// Maps of bytes [batch, channels, rows, columns].
    pub(super) fn of_bytes(g: &mut GraphBuilder, bytes: Bytes) -> Self {
        let values = g.transpose(&bytes.values, &[0, 2, 3, 1]);
        Self::Rounded(bytes.moved_to(values))
    }

    /// The mean of each channel: [batch, channels]. Of rounded maps the number of positions is a constant, as calibration saw it:
    /// the photo must be of that size.
    pub(super) fn mean(&self, g: &mut GraphBuilder) -> Value<f32> {
        match self {
            Self::ChannelsFirst(maps) => g.global_average_pool(maps),
            Self::Rounded(Bytes { values, map, zero, activation, .. }) => {
                let (channels, positions) = (activation.low.len(), activation.positions());
                let values = g.reshape(values, &[0, -1, channels as i64]);
                let (ones, no_offset) = (g.uint8_ones(positions), g.byte("ones.zero", 0));
                let sum = g.integer_matmul((&ones, &no_offset), (&values, zero));
                let (sum, share) = (g.cast(&sum), g.scalar(map.scale / positions as f32));
                g.mul(&sum, &share)
            }
        }
    }

    /// The first `outputs` columns of `weight` [channels, ...], which the graph has as `stored`, applied at each position:
    /// [batch, outputs, rows, columns].
    pub(super) fn dense(
        &self,
        g: &mut GraphBuilder,
        (weight, stored): (&HostTensor, &Value<f32>),
        outputs: usize,
    ) -> Value<f32> {
        match self {
            Self::ChannelsFirst(maps) => {
                let weight = g.slice(stored, 1, 0, outputs as i64);
                let kernels = g.transpose(&weight, &[1, 0]);
                let kernels = g.unsqueeze(&kernels, &[2, 3]);
                g.node("Conv").input(maps).input(&kernels).ints("kernel_shape", &[1, 1]).emit()
            }
            Self::Rounded(Bytes { values, map, zero, .. }) => {
                let weight = Int8Tensor::per_channel(&first_columns(weight, outputs), 1, 0, |_| 0.0);
                let steps: Vec<f32> = weight.scales.iter().map(|scale| scale * map.scale).collect();
                let (weight, no_offset) = (g.int8("cells.weight", &weight), g.int8_repeated(0, outputs));
                let product = g.integer_matmul((values, zero), (&weight, &no_offset));
                let (product, steps) = (g.cast(&product), g.vector("cells.weight.scale", &steps));
                let product = g.mul(&product, &steps);
                g.transpose(&product, &[0, 3, 1, 2])
            }
        }
    }
}

/// The first so many columns of a tensor of two dimensions.
fn first_columns(tensor: &HostTensor, columns: usize) -> HostTensor {
    let width = tensor.shape.last().copied().unwrap_or(1).max(1);
    let rows = tensor.data.chunks_exact(width);
    let data: Vec<f32> = rows.flat_map(|row| row.iter().take(columns).copied()).collect();
    HostTensor { shape: vec![data.len() / columns.max(1), columns], data }
}
