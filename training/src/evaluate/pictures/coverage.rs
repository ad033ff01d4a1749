//! Precision against coverage (El-Yaniv and Wiener 2010): what is right when only the most confident are answered.

use super::{
    Caption,
    plot::{Axis, Plot, percent},
    svg::Svg,
};
use crate::evaluate::metrics::{Answered, Scored, accuracy_by_coverage};

/// The curve begins here: the share of fewer answers jumps with each.
const FIRST_EXAMPLES: usize = 20;

/// The share that is right over the share that is answered, and where the review threshold lies on it.
pub fn draw(caption: &Caption<'_>, scored: &[Scored], review_threshold: f32) -> Svg {
    let mut svg = Svg::new(420.0, 420.0, &format!("{}. {}", caption.title, caption.subtitle));
    caption.draw(&mut svg);
    let steps = accuracy_by_coverage(scored);
    let shown: Vec<&Answered> =
        steps.iter().filter(|step| step.examples >= FIRST_EXAMPLES.min(scored.len())).collect();
    let lowest = shown.iter().map(|step| step.accuracy).fold(0.9, f64::min);
    let floor = (lowest * 10.0 - 1e-9).floor() / 10.0;
    let plot = Plot {
        at: (64.0, Caption::HEIGHT + 24.0),
        size: (336.0, 280.0),
        x: Axis { from: 0.0, to: 1.0, step: 0.2, label: "answered, most confident first", format: percent },
        y: Axis {
            from: floor,
            to: 1.0,
            step: if floor < 0.55 { 0.1 } else { 0.05 },
            label: "right among the answered",
            format: percent,
        },
    };
    plot.draw(&mut svg);
    svg.curve(shown.iter().map(|step| plot.point(step.coverage, step.accuracy)), "first");
    let (left, foot) = (plot.at.0, plot.at.1 + plot.size.1);
    let above = steps.iter().rfind(|step| step.confidence >= review_threshold);
    for step in [above, steps.last()].into_iter().flatten() {
        let at @ (x, _) = plot.point(step.coverage, step.accuracy);
        svg.line(at, (x, foot), "dashed");
        svg.dot(at, "");
    }
    let of_threshold = above.map(|step| ["above the review threshold:".to_owned(), right_among(step)]);
    let words = of_threshold.into_iter().flatten().chain(steps.last().map(right_among));
    for (line, words) in words.collect::<Vec<_>>().iter().rev().enumerate() {
        svg.text((left + 12.0, foot - 14.0 - 18.0 * line as f64), "halo", words);
    }
    svg
}

fn right_among(step: &Answered) -> String {
    format!("{} answered, {:.1} % right", percent(step.coverage), step.accuracy * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_review_threshold_is_marked_where_its_answers_end() {
        let scored =
            |confidence: f32, label| Scored { probabilities: vec![confidence, 1.0 - confidence], label };
        let examples = [scored(0.95, 0), scored(0.9, 0), scored(0.8, 1), scored(0.6, 0)];
        let caption = Caption { title: "t", subtitle: "s" };
        let drawn = draw(&caption, &examples, 0.9).to_string();
        assert!(drawn.contains(">50 % answered, 100.0 % right<"), "{drawn}");
        assert!(drawn.contains(">100 % answered, 75.0 % right<"), "{drawn}");
        // The plot reaches from 64 over 336 pixels: half of the examples, then all of them.
        assert!(
            drawn.contains(r#"<circle cx="232" cy="80""#) && drawn.contains(r#"<circle cx="400""#),
            "{drawn}"
        );
        let never = draw(&caption, &examples, 1.01).to_string();
        assert!(
            !never.contains("above the review threshold") && never.contains(">100 % answered"),
            "{never}"
        );
    }
}
