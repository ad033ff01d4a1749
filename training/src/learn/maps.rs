//! Feature maps of photos half-way up the network: computed once by ONNX Runtime, kept as float16.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use half::f16;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

const TENSOR: &str = "maps";

/// Maps of one shape, a row per photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Maps {
    channels: usize,
    /// Height times width.
    positions: usize,
    values: Vec<f16>,
}

impl Maps {
    /// Rows of `channels * positions` values.
    pub fn new(channels: usize, positions: usize, values: Vec<f16>) -> Self {
        Self { channels, positions, values }
    }

    /// Channels and positions.
    pub fn shape(&self) -> [usize; 2] {
        [self.channels, self.positions]
    }

    /// The maps of a photo, channel by channel.
    pub fn row(&self, index: usize) -> &[f16] {
        let width = self.channels * self.positions;
        &self.values[index * width..(index + 1) * width]
    }

    pub fn len(&self) -> usize {
        self.values.len() / (self.channels * self.positions).max(1)
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub fn values(&self) -> &[f16] {
        &self.values
    }
}

/// Reads what [`write`] wrote.
///
/// # Errors
/// The file cannot be read or holds something else.
pub fn read(path: &Path) -> Result<Maps> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let other = || format!("{} holds no feature maps; delete it", path.display());
    let file = SafeTensors::deserialize(&bytes).with_context(other)?;
    let tensor = file.tensor(TENSOR).with_context(other)?;
    let (Dtype::F16, &[_, channels, positions]) = (tensor.dtype(), tensor.shape()) else {
        anyhow::bail!(other());
    };
    let values = tensor.data().chunks_exact(2).map(|pair| f16::from_le_bytes([pair[0], pair[1]]));
    Ok(Maps::new(channels, positions, values.collect()))
}

/// Writes maps as float16 safetensors, whole or not at all.
///
/// # Errors
/// The disk refuses the write.
pub fn write(path: &Path, maps: &Maps) -> Result<()> {
    let bytes: Vec<u8> = maps.values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let shape = vec![maps.len(), maps.channels, maps.positions];
    let tensor = TensorView::new(Dtype::F16, shape, &bytes)?;
    let file = safetensors::serialize([(TENSOR, tensor)], None)?;
    crate::onnx::file::write(path, &file).with_context(|| format!("cannot write {}", path.display()))
}
