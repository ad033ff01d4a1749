//! Metrics of classification and of price bands, each from 0 to 1.

use marketrank::artefacts::Metrics;

/// Bins of the expected calibration error.
pub const BINS: usize = 15;

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

/// The examples whose confidence lies in one of [`BINS`] equal parts of 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bin {
    pub examples: usize,
    /// How many of them are answered right.
    pub right: usize,
    /// Sum of their confidences: how many of them claim to be right.
    pub claimed: f64,
}

/// What is right among the most confident answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answered {
    /// The lowest confidence among them.
    pub confidence: f32,
    pub examples: usize,
    /// Their share of all examples.
    pub coverage: f64,
    /// Share of them that is right.
    pub accuracy: f64,
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

/// The middle of some numbers, the upper one of two; none of none.
pub fn median(numbers: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied()
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
    let gaps = reliability(scored).into_iter().map(|bin| (bin.claimed - bin.right as f64).abs());
    gaps.sum::<f64>() / scored.len().max(1) as f64
}

/// The [`expected_calibration_error`] that confidences like these have on average where each is exactly right: a bin's few
/// examples are seldom right as often as they claim together. Smaller errors on as many examples say nothing.
pub fn calibration_error_by_chance(scored: &[Scored]) -> f64 {
    let mut bins: [Vec<f64>; BINS] = Default::default();
    for example in scored {
        bins[bin_of(example)].push(f64::from(example.confidence()));
    }
    bins.iter().map(|confidences| mean_gap(confidences)).sum::<f64>() / scored.len().max(1) as f64
}

/// How far the number of right answers is from the sum of these confidences on average, where each is the probability of its
/// answer's being right: the number has a Poisson binomial distribution.
fn mean_gap(confidences: &[f64]) -> f64 {
    let mut probability_of = vec![1.0];
    for confidence in confidences {
        probability_of.push(0.0);
        for right in (0..probability_of.len()).rev() {
            let one_less = right.checked_sub(1).map_or(0.0, |less| probability_of[less]);
            probability_of[right] = probability_of[right] * (1.0 - confidence) + one_less * confidence;
        }
    }
    let claimed: f64 = confidences.iter().sum();
    probability_of.iter().enumerate().map(|(right, p)| p * (right as f64 - claimed).abs()).sum()
}

fn bin_of(example: &Scored) -> usize {
    ((example.confidence() * BINS as f32) as usize).min(BINS - 1)
}

/// The examples by their confidence, lowest bin first.
pub fn reliability(scored: &[Scored]) -> [Bin; BINS] {
    let mut bins = [Bin::default(); BINS];
    for example in scored {
        let bin = &mut bins[bin_of(example)];
        bin.examples += 1;
        bin.right += usize::from(example.is_right());
        bin.claimed += f64::from(example.confidence());
    }
    bins
}

/// What is right when only the most confident are answered: from the fewest to all of them. Equal confidences stand on one
/// side of any threshold, so they are one step.
pub fn accuracy_by_coverage(scored: &[Scored]) -> Vec<Answered> {
    let mut by_confidence: Vec<(f32, bool)> = scored.iter().map(|e| (e.confidence(), e.is_right())).collect();
    by_confidence.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut examples, mut right) = (0, 0);
    let step = |tied: &[(f32, bool)]| {
        examples += tied.len();
        right += tied.iter().filter(|(_, is_right)| *is_right).count();
        Some(Answered {
            confidence: tied.first()?.0,
            examples,
            coverage: examples as f64 / scored.len() as f64,
            accuracy: right as f64 / examples as f64,
        })
    };
    by_confidence.chunk_by(|a, b| a.0 == b.0).filter_map(step).collect()
}

/// How many examples of each class (row) were taken for each class (column).
pub fn confusion_matrix(scored: &[Scored], classes: usize) -> Vec<Vec<usize>> {
    let mut counts = vec![vec![0; classes]; classes];
    for example in scored {
        let cell = counts.get_mut(example.label).and_then(|row| row.get_mut(example.predicted()));
        cell.into_iter().for_each(|count| *count += 1);
    }
    counts
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

    #[test]
    fn the_calibration_error_by_chance_is_the_mean_over_all_outcomes() {
        // One bin of two: right are both (0.81), one (0.18) or none (0.01), and 1.8 are claimed.
        let two = [scored(&[0.9, 0.1], 0), scored(&[0.9, 0.1], 1)];
        let gap = 0.81 * 0.2 + 0.18 * 0.8 + 0.01 * 1.8;
        assert!((calibration_error_by_chance(&two) - gap / 2.0).abs() < 1e-6);
        // Two bins of one: 0.9 is right in 9 of 10 cases, 0.6 in 6.
        let apart = [scored(&[0.9, 0.1], 0), scored(&[0.6, 0.4], 0)];
        let gaps = 2.0 * 0.9 * 0.1 + 2.0 * 0.6 * 0.4;
        assert!((calibration_error_by_chance(&apart) - gaps / 2.0).abs() < 1e-6);
        assert_eq!(calibration_error_by_chance(&[]), 0.0);
    }

    #[test]
    fn the_bins_of_the_diagram_hold_every_example_once_and_make_up_its_error() {
        let examples: Vec<Scored> = (0..=100_u8)
            .map(|i| {
                scored(&[0.5 + f32::from(i) / 200.0, 0.5 - f32::from(i) / 200.0], usize::from(i % 3 == 0))
            })
            .collect();
        let bins = reliability(&examples);
        assert_eq!(bins.iter().map(|bin| bin.examples).sum::<usize>(), 101);
        // Confidence 1 belongs to the last bin, and nothing of two classes is less sure than one half.
        assert_eq!(bins[BINS - 1].examples, 14);
        assert_eq!(bins[..BINS / 2].iter().map(|bin| bin.examples).sum::<usize>(), 0);
        let gap = |bin: &Bin| {
            let examples = bin.examples.max(1) as f64;
            (bin.right as f64 / examples - bin.claimed / examples).abs() * bin.examples as f64 / 101.0
        };
        let error: f64 = bins.iter().map(gap).sum();
        assert!(error > 0.01 && (error - expected_calibration_error(&examples)).abs() < 1e-9, "{error}");
    }

    #[test]
    fn coverage_grows_with_falling_confidence_and_ties_are_answered_together() {
        let examples = [
            scored(&[0.6, 0.4], 1),
            scored(&[0.9, 0.1], 0),
            scored(&[0.8, 0.2], 0),
            scored(&[0.8, 0.2], 1),
            scored(&[0.7, 0.3], 0),
        ];
        let steps: Vec<(f32, usize, f64, f64)> = accuracy_by_coverage(&examples)
            .iter()
            .map(|step| (step.confidence, step.examples, step.coverage, step.accuracy))
            .collect();
        assert_eq!(
            steps,
            [(0.9, 1, 0.2, 1.0), (0.8, 3, 0.6, 2.0 / 3.0), (0.7, 4, 0.8, 0.75), (0.6, 5, 1.0, 0.6)]
        );
        assert_eq!(accuracy_by_coverage(&[]), []);
    }

    #[test]
    fn a_row_of_the_confusion_matrix_says_what_the_examples_of_a_class_were_taken_for() {
        let examples = [
            scored(&[0.9, 0.1, 0.0], 0),
            scored(&[0.2, 0.8, 0.0], 0),
            scored(&[0.1, 0.7, 0.2], 0),
            scored(&[0.1, 0.2, 0.7], 2),
        ];
        assert_eq!(confusion_matrix(&examples, 3), [[1, 2, 0], [0, 0, 0], [0, 0, 1]]);
    }
}
