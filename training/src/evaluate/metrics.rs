//! Metrics of classification and of price bands, each from 0 to 1.

use marketrank::artefacts::Metrics;

/// Bins of the expected calibration error.
const BINS: usize = 15;

/// Class probabilities of one example and the index of the right class.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    pub probabilities: Vec<f32>,
    pub label: usize,
}

impl Scored {
    /// The most probable class; the first of several.
    pub fn predicted(&self) -> usize {
        self.rank_order().first().copied().unwrap_or(0)
    }

    /// Probability of the most probable class.
    pub fn confidence(&self) -> f32 {
        self.probabilities.iter().copied().fold(0.0, f32::max)
    }

    pub fn is_right(&self) -> bool {
        self.predicted() == self.label
    }

    /// Whether the right class is among the `k` most probable.
    pub fn is_in_top(&self, k: usize) -> bool {
        self.rank_order().iter().take(k).any(|&class| class == self.label)
    }

    fn rank_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.probabilities.len()).collect();
        order.sort_by(|&a, &b| self.probabilities[b].total_cmp(&self.probabilities[a]));
        order
    }
}

/// All metrics of the manifest.
pub fn metrics(scored: &[Scored]) -> Metrics {
    Metrics {
        top1: share(scored, Scored::is_right),
        top3: share(scored, |example| example.is_in_top(3)),
        macro_f1: macro_f1(scored),
        ece: expected_calibration_error(scored),
    }
}

/// Share of the examples for which `holds`; 0 of none.
pub fn share<T>(examples: &[T], holds: impl Fn(&T) -> bool) -> f64 {
    examples.iter().filter(|example| holds(example)).count() as f64 / examples.len().max(1) as f64
}

/// Mean F1 over the classes that occur as a label.
pub fn macro_f1(scored: &[Scored]) -> f64 {
    let classes = scored.iter().map(|example| example.probabilities.len()).max().unwrap_or(0);
    let count =
        |holds: &dyn Fn(&Scored) -> bool| scored.iter().filter(|example| holds(example)).count() as f64;
    let scores: Vec<f64> = (0..classes)
        .filter(|&class| scored.iter().any(|example| example.label == class))
        .map(|class| {
            let labelled = count(&|example| example.label == class);
            let predicted = count(&|example| example.predicted() == class);
            let both = count(&|example| example.label == class && example.predicted() == class);
            2.0 * both / (labelled + predicted)
        })
        .collect();
    scores.iter().sum::<f64>() / scores.len().max(1) as f64
}

/// Mean gap between confidence and accuracy over equal-width bins of confidence, weighted by their examples (Naeini et
/// al. 2015).
pub fn expected_calibration_error(scored: &[Scored]) -> f64 {
    let bin_of = |example: &Scored| ((example.confidence() * BINS as f32) as usize).min(BINS - 1);
    (0..BINS)
        .map(|bin| {
            let inside: Vec<&Scored> = scored.iter().filter(|example| bin_of(example) == bin).collect();
            let confidence: f64 = inside.iter().map(|example| f64::from(example.confidence())).sum();
            let right = inside.iter().filter(|example| example.is_right()).count() as f64;
            (confidence - right).abs()
        })
        .sum::<f64>()
        / scored.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(probabilities: &[f32], label: usize) -> Scored {
        Scored { probabilities: probabilities.to_vec(), label }
    }

    #[test]
    fn top_k_counts_the_right_class_among_the_k_most_probable() {
        let example = scored(&[0.1, 0.5, 0.15, 0.25], 2);
        assert!(!example.is_right());
        assert!(!example.is_in_top(2));
        assert!(example.is_in_top(3));
    }

    #[test]
    fn macro_f1_weighs_a_rare_class_like_a_frequent_one() {
        // Class 0: precision 3/4, recall 1, F1 6/7. Class 1: never predicted, F1 0. Class 2 does not occur.
        let examples = [
            scored(&[0.9, 0.1, 0.0], 0),
            scored(&[0.9, 0.1, 0.0], 0),
            scored(&[0.9, 0.1, 0.0], 0),
            scored(&[0.9, 0.1, 0.0], 1),
        ];
        assert!((macro_f1(&examples) - 3.0 / 7.0).abs() < 1e-9);
    }

    #[test]
    fn calibration_error_is_the_gap_between_confidence_and_accuracy() {
        // Four examples of confidence 0.9, of which half are right.
        let examples =
            [scored(&[0.9, 0.1], 0), scored(&[0.9, 0.1], 0), scored(&[0.9, 0.1], 1), scored(&[0.9, 0.1], 1)];
        assert!((expected_calibration_error(&examples) - 0.4).abs() < 1e-6);
    }
}
