//! The reliability diagram (DeGroot and Fienberg 1983): of answers at 80 % confidence, are 80 % right?

use super::{
    Caption,
    plot::{Axis, Plot, percent},
    svg::Svg,
};
use crate::evaluate::metrics::{BINS, Scored, expected_calibration_error, reliability};

/// A bar for each bin of confidence that holds examples, as high as the share that is right; what lies between it and the
/// mean confidence is the bin's part of the expected calibration error.
pub fn draw(caption: &Caption<'_>, scored: &[Scored]) -> Svg {
    let error = expected_calibration_error(scored);
    let mut svg = Svg::new(
        420.0,
        420.0,
        &format!("{}. {}. Expected calibration error {error:.3}", caption.title, caption.subtitle),
    );
    caption.draw(&mut svg);
    let plot = Plot {
        at: (64.0, Caption::HEIGHT + 24.0),
        size: (336.0, 280.0),
        x: Axis { from: 0.0, to: 1.0, step: 0.2, label: "confidence", format: percent },
        y: Axis { from: 0.0, to: 1.0, step: 0.2, label: "answered right", format: percent },
    };
    plot.draw(&mut svg);
    svg.text((58.0, plot.at.1 - 7.0), "end small muted", "examples");
    for (index, bin) in reliability(scored).iter().enumerate().filter(|(_, bin)| bin.examples > 0) {
        let bound = |index: usize| index as f64 / BINS as f64;
        let examples = bin.examples as f64;
        let (accuracy, claimed) = (bin.right as f64 / examples, bin.claimed / examples);
        let (left, foot) = plot.point(bound(index), 0.0);
        let (right, head) = plot.point(bound(index + 1), accuracy);
        let (_, claim) = plot.point(0.0, claimed);
        let width = right - left - 2.0;
        svg.rectangle((left + 1.0, head), (width, foot - head), "bar");
        svg.rectangle((left + 1.0, head.min(claim)), (width, (head - claim).abs()), "gap");
        let middle = (left + right) / 2.0;
        svg.text((middle, plot.at.1 - 7.0), "middle small muted", &bin.examples.to_string());
    }
    svg.line(plot.point(0.0, 0.0), plot.point(1.0, 1.0), "dashed");
    let (x, y) = plot.at;
    svg.text((x + 12.0, y + 24.0), "strong", &format!("ECE {error:.3}"));
    svg.text((x + 12.0, y + 41.0), "small muted", &format!("{BINS} bins; orange: the gap to"));
    svg.text((x + 12.0, y + 55.0), "small muted", "the mean confidence");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_high_as_the_share_that_is_right_and_the_gap_reaches_to_the_confidence() {
        // Four examples of confidence 0.9, of which half are right: the bin from 0.867 to 0.933.
        let scored = |label| Scored { probabilities: vec![0.9, 0.1], label };
        let drawn =
            draw(&Caption { title: "t", subtitle: "s" }, &[scored(0), scored(0), scored(1), scored(1)])
                .to_string();
        // The plot is 280 pixels high from 80 down to 360: half of it is the bar, 0.9 - 0.5 of it the gap.
        assert!(drawn.contains(r#"y="220" width="20.4" height="140" class="bar""#), "{drawn}");
        assert!(drawn.contains(r#"y="108" width="20.4" height="112" class="gap""#), "{drawn}");
        assert_eq!(drawn.matches(r#"class="bar""#).count(), 1);
        assert!(drawn.contains(">ECE 0.400<"), "{drawn}");
    }
}
