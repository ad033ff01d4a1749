//! Making confidences mean what they say, on the validation split.

use marketrank::inference::category_probabilities;

use super::{
    answers::Answer,
    metrics::{Answered, Scored, accuracy_by_coverage},
};

/// Share of answers that must be right above the review threshold.
const RIGHT_ABOVE_THRESHOLD: f64 = 0.95;
/// Fewer confident answers than this prove no share.
const MIN_CONFIDENT: usize = 20;

/// What validation says of a model's confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// Logits are divided by it before the softmax.
    pub temperature: f32,
    /// Confidence from which on answers are right 19 times in 20; above 1 where none is.
    pub review_threshold: f32,
}

impl Calibration {
    /// Fits the temperature (Guo et al. 2017) to the answers as they are served, averaged over photos, then finds the
    /// threshold.
    pub fn fit(answers: &[Answer]) -> Self {
        let temperature =
            minimise(|log| negative_log_likelihood(&score(answers, log.exp() as f32)), -1.5, 1.5);
        let temperature = temperature.exp() as f32;
        Self { temperature, review_threshold: review_threshold(&score(answers, temperature)) }
    }
}

/// Category probabilities as the server gives them at this temperature.
pub fn score(answers: &[Answer], temperature: f32) -> Vec<Scored> {
    let of = |answer: &Answer| Scored {
        probabilities: category_probabilities(&answer.rows, temperature),
        label: answer.category,
    };
    answers.iter().map(of).collect()
}

fn negative_log_likelihood(scored: &[Scored]) -> f64 {
    let of = |example: &Scored| -f64::from(example.probabilities[example.label].max(1e-9)).ln();
    scored.iter().map(of).sum::<f64>() / scored.len().max(1) as f64
}

/// The lowest confidence such that the answers at or above it are right often enough.
fn review_threshold(scored: &[Scored]) -> f32 {
    let often_enough =
        |step: &Answered| step.examples >= MIN_CONFIDENT && step.accuracy >= RIGHT_ABOVE_THRESHOLD;
    let lowest = accuracy_by_coverage(scored).into_iter().rfind(often_enough);
    lowest.map_or(1.01, |step| step.confidence)
}

/// Golden-section search for the minimum of a function with one valley (Kiefer 1953).
fn minimise(function: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let ratio = (5_f64.sqrt() - 1.0) / 2.0;
    while high - low > 1e-3 {
        let (left, right) = (high - ratio * (high - low), low + ratio * (high - low));
        if function(left) < function(right) { high = right } else { low = left }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use marketrank::inference::Outputs;

    use super::*;

    fn answer(logits: &[f32], category: usize) -> Answer {
        let row = Outputs {
            logits: logits.to_vec(),
            subcategory_logits: Vec::new(),
            embedding: Vec::new(),
            log_price: None,
            activation: None,
        };
        Answer { listing: 0, photos: Vec::new(), category, subcategory: None, price: None, rows: vec![row] }
    }

    #[test]
    fn the_temperature_brings_confidence_down_to_the_share_that_is_right() {
        // Three in four are right at logit 4: the softmax says 0.98, the truth is 0.75, which is logit ln 3.
        let answers: Vec<Answer> = (0..400).map(|i| answer(&[4.0, 0.0], usize::from(i % 4 == 0))).collect();
        let calibration = Calibration::fit(&answers);
        assert!((calibration.temperature - 4.0 / 3_f32.ln()).abs() < 0.02, "{calibration:?}");
    }

    #[test]
    fn the_threshold_leaves_out_the_answers_that_are_wrong_too_often() {
        let sure = (0..100).map(|_| answer(&[5.0, 0.0], 0));
        let unsure = (0..100).map(|i| answer(&[1.0, 0.0], i % 2));
        let scored = score(&sure.chain(unsure).collect::<Vec<_>>(), 1.0);
        let threshold = review_threshold(&scored);
        assert!(scored.iter().filter(|s| s.confidence() >= threshold).count() >= 100);
        assert!(scored.iter().filter(|s| s.confidence() >= threshold).all(|s| s.confidence() > 0.9));
    }

    #[test]
    fn a_model_that_is_never_right_often_enough_always_asks_for_review() {
        let answers: Vec<Answer> = (0..100).map(|i| answer(&[3.0, 0.0], i % 2)).collect();
        assert!(review_threshold(&score(&answers, 1.0)) > 1.0);
    }
}
