//! Features and embeddings as tables.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use marketrank::inference::normalise;

use crate::weights::HostTensor;

/// Rows of equal width, one per example.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    width: usize,
    values: Vec<f32>,
}

impl Features {
    pub fn new(width: usize, values: Vec<f32>) -> Self {
        Self { width, values }
    }

    /// Rows of this width.
    pub fn of_rows<'a>(width: usize, rows: impl Iterator<Item = &'a [f32]>) -> Self {
        Self::new(width, rows.flatten().copied().collect())
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.width.max(1))
    }

    pub fn len(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// Puts the rows of `more` behind these.
    pub fn extend(&mut self, more: Self) {
        self.width = more.width;
        self.values.extend(more.values);
    }

    /// The rows at these places, in this order; one may be taken several times.
    pub fn select(&self, rows: &[usize]) -> Self {
        Self::of_rows(self.width, rows.iter().map(|&row| self.row(row)))
    }

    /// These columns of each row.
    pub fn columns(&self, columns: Range<usize>) -> Self {
        Self::new(columns.len(), self.rows().flat_map(|row| row[columns.clone()].iter().copied()).collect())
    }

    /// Each row followed by the same row of `other`.
    pub fn beside(&self, other: &Self) -> Self {
        if other.width == 0 {
            // No columns, so no rows to walk along: a marketplace may have no subcategory that is large enough.
            return self.clone();
        }
        let rows = self.rows().zip(other.rows());
        Self::new(self.width + other.width, rows.flat_map(|(a, b)| a.iter().chain(b)).copied().collect())
    }

    /// Each row through a network at rest that keeps the number of rows.
    pub fn map(&self, device: &Device, network: impl Fn(Tensor<2>) -> Tensor<2>) -> Self {
        const TOGETHER: usize = 1_024;
        let mut values = Vec::new();
        for rows in self.values.chunks(TOGETHER * self.width.max(1)) {
            let shape = [rows.len() / self.width.max(1), self.width];
            let rows = Tensor::from_data(TensorData::new(rows.to_vec(), shape), device);
            values.extend(network(rows).into_data().iter::<f32>());
        }
        Self::new(values.len() / self.len().max(1), values)
    }

    /// Rows of L2 norm 1.
    pub fn normalised(mut self) -> Self {
        self.values.chunks_exact_mut(self.width.max(1)).for_each(normalise);
        self
    }

    /// `[rows, width]`
    pub fn to_host(&self) -> HostTensor {
        HostTensor { shape: vec![self.len(), self.width], data: self.values.clone() }
    }

    /// `[rows, width]`
    pub fn into_tensor(self, device: &Device) -> Tensor<2> {
        let shape = [self.len(), self.width];
        Tensor::from_data(TensorData::new(self.values, shape), device)
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}
