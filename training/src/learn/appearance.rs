//! What a photo looks like, whatever is in it: the second part of a photo's embedding, by which another photo of the same
//! thing is found.
//!
//! Fine-tuning teaches the upper layers to forget what tells two sofas apart. The maps half-way up still hold it: their
//! means, without any training, find the twins of 77 % of the validation photos; the fine-tuned features of 65 %. Here they
//! are centred, turned to their principal axes (Pearson 1901), and the strongest axes are damped, which finds 80 %.

use anyhow::{Result, ensure};

use super::features::Features;
use crate::weights::{HostTensor, StateDict};

/// Each axis is divided by its variance to this power: by half as much as whitening would.
const DAMPING: f64 = 0.25;
/// Share of the largest variance that is added to each, so that axes of noise do not grow.
const FLOOR: f64 = 1e-3;
/// Rotations over all pairs of axes; a symmetric matrix of a few hundred rows needs fewer.
const SWEEPS: usize = 30;

/// Fits the linear layer `{name}.0` from features to `width` axes on the rows of `photos`.
///
/// # Errors
/// There are fewer features than axes, or no photos.
pub fn fit(photos: &Features, width: usize, name: &str) -> Result<StateDict> {
    let features = photos.width();
    ensure!(!photos.is_empty(), "there are no photos to fit the appearance on");
    ensure!(width <= features, "an appearance of width {width} cannot be made of {features} features");
    let (mean, covariance) = moments(photos);
    let axes = principal_axes(covariance, features);
    let floor = axes.first().map_or(0.0, |(variance, _)| variance * FLOOR);
    let chosen: Vec<Vec<f64>> = axes
        .into_iter()
        .take(width)
        .map(|(variance, axis)| {
            let damping = (variance.max(0.0) + floor).max(f64::MIN_POSITIVE).powf(DAMPING);
            axis.into_iter().map(|x| x / damping).collect()
        })
        .collect();
    let weight = (0..features).flat_map(|row| chosen.iter().map(move |axis| axis[row] as f32)).collect();
    let bias = chosen.iter().map(|axis| -axis.iter().zip(&mean).map(|(a, b)| a * b).sum::<f64>() as f32);
    let mut tensors = StateDict::default();
    tensors.insert(format!("{name}.0.bias"), HostTensor { shape: vec![width], data: bias.collect() });
    tensors.insert(format!("{name}.0.weight"), HostTensor { shape: vec![features, width], data: weight });
    Ok(tensors)
}

/// Mean and covariance, the latter row by row.
fn moments(rows: &Features) -> (Vec<f64>, Vec<f64>) {
    let width = rows.width();
    let count = rows.len() as f64;
    let mut mean = vec![0.0; width];
    for row in rows.rows() {
        mean.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / count);
    }
    let mut covariance = vec![0.0; width * width];
    for row in rows.rows() {
        let centred: Vec<f64> = row.iter().zip(&mean).map(|(&x, mean)| f64::from(x) - mean).collect();
        for (left, sums) in centred.iter().zip(covariance.chunks_exact_mut(width)) {
            sums.iter_mut().zip(&centred).for_each(|(sum, right)| *sum += left * right / count);
        }
    }
    (mean, covariance)
}

/// Eigenvalues and eigenvectors of a symmetric matrix, the largest first, by Jacobi's rotations (1846). The sign of each
/// vector is that which makes its largest element positive: the same photos give the same axes.
fn principal_axes(mut matrix: Vec<f64>, size: usize) -> Vec<(f64, Vec<f64>)> {
    let mut vectors = vec![0.0; size * size];
    (0..size).for_each(|i| vectors[i * size + i] = 1.0);
    let total: f64 = matrix.iter().map(|x| x * x).sum();
    for _ in 0..SWEEPS {
        let off_diagonal: f64 = (0..size)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| matrix[i * size + j].powi(2))
            .sum();
        if off_diagonal <= total * 1e-22 {
            break;
        }
        for p in 0..size {
            for q in p + 1..size {
                rotate(&mut matrix, &mut vectors, size, p, q);
            }
        }
    }
    let mut axes: Vec<(f64, Vec<f64>)> = (0..size)
        .map(|i| {
            let axis: Vec<f64> = (0..size).map(|row| vectors[row * size + i]).collect();
            let largest = axis.iter().copied().fold(0.0, |a: f64, x| if x.abs() > a.abs() { x } else { a });
            (matrix[i * size + i], axis.into_iter().map(|x| x * largest.signum()).collect())
        })
        .collect();
    axes.sort_by(|a, b| b.0.total_cmp(&a.0));
    axes
}

/// Turns the axes `p` and `q` so that their covariance becomes 0.
fn rotate(matrix: &mut [f64], vectors: &mut [f64], size: usize, p: usize, q: usize) {
    let covariance = matrix[p * size + q];
    if covariance == 0.0 {
        return;
    }
    let theta = (matrix[q * size + q] - matrix[p * size + p]) / (2.0 * covariance);
    let tangent = 1.0 / (theta.abs() + theta.hypot(1.0));
    let tangent = if theta < 0.0 { -tangent } else { tangent };
    let cosine = 1.0 / tangent.hypot(1.0);
    let sine = tangent * cosine;
    let turn = |values: &mut [f64], first: usize, second: usize| {
        let (a, b) = (values[first], values[second]);
        values[first] = cosine * a - sine * b;
        values[second] = sine * a + cosine * b;
    };
    for k in 0..size {
        turn(matrix, k * size + p, k * size + q);
        turn(vectors, k * size + p, k * size + q);
    }
    for k in 0..size {
        turn(matrix, p * size + k, q * size + k);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_those_of_a_matrix_whose_axes_are_known() {
        // Eigenvalues 3 and 1 along the diagonals, 5 along the third axis.
        let axes = principal_axes(vec![2.0, 1.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 5.0], 3);
        let half = 0.5_f64.sqrt();
        let expected = [(5.0, [0.0, 0.0, 1.0]), (3.0, [half, half, 0.0]), (1.0, [half, -half, 0.0])];
        for ((value, axis), (expected_value, expected_axis)) in axes.iter().zip(expected) {
            assert!((value - expected_value).abs() < 1e-9, "{value}");
            let cosine: f64 = axis.iter().zip(expected_axis).map(|(a, b)| a * b).sum();
            assert!((cosine.abs() - 1.0).abs() < 1e-9, "{axis:?}");
        }
    }

    #[test]
    fn the_mean_photo_has_no_appearance_and_the_strong_axis_is_damped() {
        let rows = [[10.0, 1.0], [-10.0, 1.0], [0.0, 2.0], [0.0, 0.0]].concat();
        let layer = fit(&Features::new(2, rows), 2, "appearance").unwrap();
        let (weight, bias) =
            (layer.get("appearance.0.weight").unwrap(), layer.get("appearance.0.bias").unwrap());
        let look = |x: [f32; 2]| -> Vec<f32> {
            (0..2).map(|j| x[0] * weight.data[j] + x[1] * weight.data[2 + j] + bias.data[j]).collect()
        };
        assert!(look([0.0, 1.0]).iter().all(|x| x.abs() < 1e-5));
        // Ten times as wide, its square root as far: 100^(1/4), to the part that the floor takes.
        let (strong, weak) = (look([10.0, 1.0])[0].abs(), look([0.0, 2.0])[1].abs());
        assert!((strong / weak - 10.0_f32.sqrt()).abs() < 0.1, "{strong} {weak}");
    }
}
