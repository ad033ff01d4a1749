//! Ridge regression on sparse rows.
//!
//! linfa's regressions take dense matrices only: those of thousands of texts over tens of thousands of words and pairs would
//! have gigabytes, nearly all of them zeros. Conjugate gradients need nothing but the products of the rows with a vector.

use anyhow::{Result, bail};

/// Both ends of an iteration, after Paige and Saunders, "LSQR", 1982: nothing is left, or what is left is at right angles to all
/// columns, to this accuracy.
const TOLERANCE: f64 = 1e-6;
const MOST_ITERATIONS: usize = 50_000;

/// A matrix of which only what is not zero is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseRows {
    pub columns: usize,
    /// Columns and values of each row.
    pub rows: Vec<Vec<(usize, f64)>>,
}

/// A linear function of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// One per column.
    pub weights: Vec<f64>,
    pub intercept: f64,
}

impl Linear {
    /// One number per row.
    pub fn predict(&self, rows: &SparseRows) -> Vec<f64> {
        let product =
            |row: &Vec<(usize, f64)>| row.iter().map(|&(column, x)| x * self.weights[column]).sum::<f64>();
        rows.rows.iter().map(|row| product(row) + self.intercept).collect()
    }

    /// The gradient of half the squared length of `residuals` by the parameters, its sign turned.
    fn back(rows: &SparseRows, residuals: &[f64]) -> Self {
        let mut weights = vec![0.0; rows.columns];
        for (row, residual) in rows.rows.iter().zip(residuals) {
            row.iter().for_each(|&(column, x)| weights[column] += x * residual);
        }
        Self { weights, intercept: residuals.iter().sum() }
    }

    /// Adds a multiple of another one.
    fn add(&mut self, factor: f64, other: &Self) {
        self.weights.iter_mut().zip(&other.weights).for_each(|(x, y)| *x += factor * y);
        self.intercept += factor * other.intercept;
    }

    fn squared_weights(&self) -> f64 {
        squared(&self.weights)
    }

    fn squared(&self) -> f64 {
        self.squared_weights() + self.intercept * self.intercept
    }
}

/// The weights `w` and intercept `b` that minimise `|Xw + b - y|^2 + penalty |w|^2`, by conjugate gradients on the normal
/// equations (CGLS; Björck, "Numerical Methods for Least Squares Problems", 1996, section 7.4). With penalty 0, of several
/// solutions the one with the smallest weights.
///
/// # Errors
/// It does not converge.
pub fn ridge(rows: &SparseRows, known: &[f64], penalty: f64) -> Result<Linear> {
    let mut solution = Linear { weights: vec![0.0; rows.columns], intercept: 0.0 };
    let mut residuals = known.to_vec();
    let mut direction = Linear::back(rows, &residuals);
    let mut length = direction.squared();
    let entries = rows.rows.iter().flatten().map(|(_, x)| x * x).sum::<f64>() + rows.rows.len() as f64;
    for _ in 0..MOST_ITERATIONS {
        let left = squared(&residuals) + penalty * solution.squared_weights();
        if left <= TOLERANCE.powi(2) * squared(known) || length <= TOLERANCE.powi(2) * entries * left {
            return Ok(solution);
        }
        let change = direction.predict(rows);
        let step = length / (squared(&change) + penalty * direction.squared_weights());
        solution.add(step, &direction);
        residuals.iter_mut().zip(change).for_each(|(residual, change)| *residual -= step * change);
        let mut descent = Linear::back(rows, &residuals);
        descent.weights.iter_mut().zip(&solution.weights).for_each(|(x, weight)| *x -= penalty * weight);
        let shorter = descent.squared();
        descent.add(shorter / length, &direction);
        (direction, length) = (descent, shorter);
    }
    bail!("least squares with ridge {penalty} do not converge in {MOST_ITERATIONS} iterations")
}

fn squared(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> SparseRows {
        SparseRows {
            columns: 2,
            rows: vec![vec![(0, 1.0)], vec![(1, 2.0)], vec![(0, 1.0), (1, 1.0)], vec![]],
        }
    }

    #[test]
    fn without_a_penalty_a_linear_function_is_found_again() {
        let linear = Linear { weights: vec![3.0, -2.0], intercept: 5.0 };
        let found = ridge(&rows(), &linear.predict(&rows()), 0.0).unwrap();
        for (found, known) in [(found.weights[0], 3.0), (found.weights[1], -2.0), (found.intercept, 5.0)] {
            assert!((found - known).abs() < 1e-4, "{found} instead of {known}");
        }
    }

    #[test]
    fn the_penalty_is_on_the_weights_and_not_on_the_intercept() {
        // One column of 1 and -1: the intercept is the mean, the weight sum(xy) / (sum(xx) + penalty).
        let rows = SparseRows { columns: 1, rows: vec![vec![(0, 1.0)], vec![(0, -1.0)]] };
        let found = ridge(&rows, &[11.0, 7.0], 2.0).unwrap();
        assert!((found.weights[0] - 1.0).abs() < 1e-4 && (found.intercept - 9.0).abs() < 1e-4, "{found:?}");
    }
}
