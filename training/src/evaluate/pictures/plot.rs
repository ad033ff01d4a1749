//! Two axes in a picture: where a pair of values lies, with a grid behind it and numbers beside it.

use super::svg::{Point, Svg};

/// The values along one side of a plot.
pub struct Axis<'a> {
    pub from: f64,
    pub to: f64,
    /// Between two lines of the grid.
    pub step: f64,
    /// What the values are.
    pub label: &'a str,
    /// How a value is written.
    pub format: fn(f64) -> String,
}

/// The part of a picture that shows values.
pub struct Plot<'a> {
    /// Its upper left corner.
    pub at: Point,
    /// Its width and height.
    pub size: Point,
    pub x: Axis<'a>,
    pub y: Axis<'a>,
}

impl Plot<'_> {
    /// Grid, frame, numbers and labels.
    pub fn draw(&self, svg: &mut Svg) {
        let ((left, top), (width, height)) = (self.at, self.size);
        let (right, bottom) = (left + width, top + height);
        for value in self.x.ticks() {
            let (x, _) = self.point(value, self.y.from);
            svg.line((x, top), (x, bottom), "grid");
            svg.text((x, bottom + 16.0), "middle small muted", &(self.x.format)(value));
        }
        for value in self.y.ticks() {
            let (_, y) = self.point(self.x.from, value);
            svg.line((left, y), (right, y), "grid");
            svg.text((left - 6.0, y + 4.0), "end small muted", &(self.y.format)(value));
        }
        svg.rectangle(self.at, self.size, "frame");
        svg.text((left + width / 2.0, bottom + 34.0), "middle", self.x.label);
        svg.turned_text((left - 42.0, top + height / 2.0), -90.0, "middle", self.y.label);
    }

    /// Where a pair of values lies; values beyond the axes lie on the frame.
    pub fn point(&self, x: f64, y: f64) -> Point {
        let ((left, top), (width, height)) = (self.at, self.size);
        (left + width * self.x.share(x), top + height * (1.0 - self.y.share(y)))
    }
}

impl Axis<'_> {
    fn share(&self, value: f64) -> f64 {
        ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let steps = ((self.to - self.from) / self.step + 1e-9) as usize;
        (0..=steps).map(|step| self.from + step as f64 * self.step)
    }
}

/// A step of 1, 2 or 5 times a power of ten that divides `range` into five parts at most.
pub fn round_step(range: f64) -> f64 {
    let rough = range / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let times = [1.0, 2.0, 5.0].into_iter().find(|times| times * power >= rough * (1.0 - 1e-9));
    times.unwrap_or(10.0) * power
}

/// A share from 0 to 1 as whole percent.
pub fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_five_at_most() {
        for (range, step) in [(1.0, 0.2), (0.9, 0.2), (12.0, 5.0), (5.0, 1.0), (0.031, 0.01), (50.0, 10.0)] {
            assert!((round_step(range) - step).abs() < 1e-9, "{range}: {}", round_step(range));
        }
    }

    #[test]
    fn values_lie_between_the_corners_and_those_beyond_on_the_frame() {
        let axis = |from, to| Axis { from, to, step: 1.0, label: "", format: percent };
        let plot = Plot { at: (10.0, 20.0), size: (100.0, 50.0), x: axis(0.0, 4.0), y: axis(1.0, 2.0) };
        assert_eq!(plot.point(0.0, 1.0), (10.0, 70.0));
        assert_eq!(plot.point(1.0, 2.0), (35.0, 20.0));
        assert_eq!(plot.point(9.0, 0.0), (110.0, 70.0));
    }
}
