//! Convolutions with the batch normalisation that follows them folded in.

use super::{GraphBuilder, OnnxError, Value};
use crate::weights::{HostTensor, StateDict, StateDictError};

/// What a convolution puts around its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// TensorFlow's `SAME`: the output has `ceil(size / stride)` positions, and an odd pixel of padding is at the end.
    Same,
    /// So many zeros on every side, as in torch.
    Each(usize),
}

/// A square convolution without bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Convolution {
    pub inputs: usize,
    pub outputs: usize,
    pub kernel: usize,
    pub stride: usize,
    /// 1, or `inputs` for a depthwise convolution.
    pub groups: usize,
    pub padding: Padding,
}

impl Convolution {
    /// Emits this convolution and the batch normalisation behind it as one `Conv`: [batch, inputs, h, w] ->
    /// [batch, outputs, h', w'].
    ///
    /// Reads `{convolution}.weight` [outputs, inputs / groups, kernel, kernel] and, each [outputs], the `weight`, `bias`,
    /// `running_mean` and `running_var` of `{norm}`.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn with_batch_norm(
        self,
        g: &mut GraphBuilder,
        weights: &StateDict,
        convolution: &str,
        norm: &str,
        epsilon: f64,
        x: &Value<f32>,
    ) -> Result<Value<f32>, OnnxError> {
        let (kernels, bias) = self.folded(weights, convolution, norm, epsilon)?;
        let [kernels, bias] = g.kernels(convolution, x, &kernels, &bias);
        let (kernel, stride) = (self.kernel as i64, self.stride as i64);
        let node = g
            .node("Conv")
            .input(x)
            .input(&kernels)
            .input(&bias)
            .ints("kernel_shape", &[kernel; 2])
            .ints("strides", &[stride; 2])
            .int("group", self.groups as i64);
        let node = match self.padding {
            Padding::Same => node.string("auto_pad", "SAME_UPPER"),
            Padding::Each(pixels) => node.ints("pads", &[pixels as i64; 4]),
        };
        Ok(node.emit())
    }

    /// Kernels [outputs, inputs / groups, kernel, kernel] and bias [outputs] of the two as one.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub(super) fn folded(
        self,
        weights: &StateDict,
        convolution: &str,
        norm: &str,
        epsilon: f64,
    ) -> Result<(HostTensor, HostTensor), StateDictError> {
        let name = format!("{convolution}.weight");
        let shape = [self.outputs, self.inputs / self.groups, self.kernel, self.kernel];
        let kernels = weights.get_shaped(&name, &shape)?;
        Ok(BatchNorm::read(weights, norm, self.outputs)?.fold_into(kernels, epsilon))
    }
}

/// The four tensors of a batch normalisation, one value a channel each.
struct BatchNorm<'a> {
    gain: &'a [f32],
    offset: &'a [f32],
    mean: &'a [f32],
    variance: &'a [f32],
}

impl<'a> BatchNorm<'a> {
    fn read(weights: &'a StateDict, prefix: &str, channels: usize) -> Result<Self, StateDictError> {
        let values = |field: &str| -> Result<&'a [f32], StateDictError> {
            Ok(&weights.get_shaped(&format!("{prefix}.{field}"), &[channels])?.data)
        };
        Ok(Self {
            gain: values("weight")?,
            offset: values("bias")?,
            mean: values("running_mean")?,
            variance: values("running_var")?,
        })
    }

    /// `gain (W x - mean) / sqrt(variance + epsilon) + offset` as one `W' x + b'`, computed in float64 so that folding
    /// adds no error of its own.
    fn fold_into(&self, kernels: &HostTensor, epsilon: f64) -> (HostTensor, HostTensor) {
        let mut folded = kernels.clone();
        let mut bias = Vec::with_capacity(self.gain.len());
        let channel_size = kernels.shape.iter().skip(1).product::<usize>().max(1);
        let channels = folded.data.chunks_exact_mut(channel_size);
        let parameters = self.gain.iter().zip(self.offset).zip(self.mean.iter().zip(self.variance));
        for (channel, ((&gain, &offset), (&mean, &variance))) in channels.zip(parameters) {
            let scale = f64::from(gain) / (f64::from(variance) + epsilon).sqrt();
            for weight in channel {
                *weight = (f64::from(*weight) * scale) as f32;
            }
            bias.push((f64::from(offset) - f64::from(mean) * scale) as f32);
        }
        let bias = HostTensor { shape: vec![bias.len()], data: bias };
        (folded, bias)
    }
}
