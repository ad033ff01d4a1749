//! The maps at the end of a photo network: what is where in the photo.

use super::{GraphBuilder, Value, int8::Bytes};

/// Maps in the form in which they come out of the network.
#[derive(Debug, Clone)]
pub enum Maps {
    /// [batch, channels, rows, columns]
    ChannelsFirst(Value<f32>),
    /// [batch, rows, columns, channels], as ONNX Runtime's convolutions in integers leave them, in steps of so much.
    ChannelsLast(Value<f32>, f32),
}

impl Maps {
    /// Maps that were rounded. The bytes become floats once, and what is made of them is scaled: a `DequantizeLinear` would be run
    /// for each use of it.
    pub(super) fn of_bytes(g: &mut GraphBuilder, bytes: &Bytes) -> Self {
        let values = g.transpose(&bytes.values, &[0, 2, 3, 1]);
        let mut values: Value<f32> = g.cast(&values);
        if bytes.map.zero != 0 {
            let zero = g.scalar(f32::from(bytes.map.zero));
            values = g.sub(&values, &zero);
        }
        Self::ChannelsLast(values, bytes.map.scale)
    }

    /// The mean of each channel: [batch, channels].
    pub(super) fn mean(&self, g: &mut GraphBuilder) -> Value<f32> {
        match self {
            Self::ChannelsFirst(maps) => g.global_average_pool(maps),
            Self::ChannelsLast(maps, step) => {
                let mean = g.reduce("ReduceMean", maps, &[1, 2], false);
                let step = g.scalar(*step);
                g.mul(&mean, &step)
            }
        }
    }

    /// `weight` [channels, outputs] applied at each position: [batch, outputs, rows, columns].
    pub(super) fn dense(&self, g: &mut GraphBuilder, weight: &Value<f32>) -> Value<f32> {
        match self {
            Self::ChannelsFirst(maps) => {
                let kernels = g.transpose(weight, &[1, 0]);
                let kernels = g.unsqueeze(&kernels, &[2, 3]);
                g.node("Conv").input(maps).input(&kernels).ints("kernel_shape", &[1, 1]).emit()
            }
            Self::ChannelsLast(maps, step) => {
                let step = g.scalar(*step);
                let weight = g.mul(weight, &step);
                let product = g.matmul(maps, &weight);
                g.transpose(&product, &[0, 3, 1, 2])
            }
        }
    }
}
