/// Asserts that each value is within 1e-3 of the expected one, relative or absolute, whichever is more.
#[track_caller]
pub fn assert_close(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs();
        assert!(error <= 1e-3 * expected.abs().max(1.0), "{what}[{index}]: {found}, expected {expected}");
    }
}

/// The mean and the standard deviation, of which PyTorch's `std` is the unbiased estimate.
pub fn mean_and_deviation(values: &[f32]) -> [f32; 2] {
    let count = values.len() as f64;
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
    let variance = values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / (count - 1.0);
    [mean as f32, variance.sqrt() as f32]
}
