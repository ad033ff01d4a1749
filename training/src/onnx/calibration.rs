//! What the activations of a network were over sample inputs: from this int8 takes its scales.

use std::collections::BTreeMap;

/// One activation, a value a channel each.
#[derive(Debug, Clone, PartialEq)]
pub struct Activation {
    /// Smallest value.
    pub low: Vec<f32>,
    /// Largest value.
    pub high: Vec<f32>,
    sum: Vec<f64>,
    /// Values of one channel that were seen.
    count: usize,
    /// Values of one channel that an example has.
    positions: usize,
}

impl Activation {
    fn new(channels: usize, positions: usize) -> Self {
        Self {
            low: vec![f32::INFINITY; channels],
            high: vec![f32::NEG_INFINITY; channels],
            sum: vec![0.0; channels],
            count: 0,
            positions,
        }
    }

    /// Mean value of a channel.
    pub fn mean(&self, channel: usize) -> f64 {
        self.sum.get(channel).map_or(0.0, |sum| sum / self.count.max(1) as f64)
    }

    /// Smallest and largest value over all channels.
    pub fn range(&self) -> (f32, f32) {
        let low = self.low.iter().copied().fold(f32::INFINITY, f32::min);
        (low, self.high.iter().copied().fold(f32::NEG_INFINITY, f32::max))
    }

    /// Rows times columns of maps; 1 of rows.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Each channel multiplied by a factor of its own, which is positive.
    pub(super) fn scaled(mut self, factors: &[f32]) -> Self {
        for (channel, &factor) in factors.iter().enumerate().take(self.low.len()) {
            self.low[channel] *= factor;
            self.high[channel] *= factor;
            self.sum[channel] *= f64::from(factor);
        }
        self
    }

    /// The channels of so many neighbours beside each other, of which each is like this.
    pub(super) fn repeated(&self, times: usize) -> Self {
        let [low, high] = [&self.low, &self.high].map(|values| values.repeat(times));
        Self { low, high, sum: self.sum.repeat(times), count: self.count, positions: self.positions / times }
    }

    fn observe(&mut self, channel: usize, values: impl Iterator<Item = f32>) {
        let (mut low, mut high, mut sum) = (self.low[channel], self.high[channel], 0.0);
        for value in values {
            low = low.min(value);
            high = high.max(value);
            sum += f64::from(value);
        }
        (self.low[channel], self.high[channel]) = (low, high);
        self.sum[channel] += sum;
    }
}

/// Activations by the names that the graph writer gives them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Calibration(BTreeMap<String, Activation>);

impl Calibration {
    /// Takes in one tensor: maps [batch, channels, height, width], or rows [..., channels]. One of another number of
    /// channels or positions than before, or without values, changes nothing.
    pub fn observe(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let (channels, inner) = match *shape {
            [_, channels, height, width] => (channels, height * width),
            [.., channels] => (channels, 1),
            [] => return,
        };
        let activation = self.0.entry(name.to_owned()).or_insert_with(|| Activation::new(channels, inner));
        let seen = (activation.low.len(), activation.positions);
        if seen != (channels, inner) || channels * inner == 0 {
            return;
        }
        for example in values.chunks_exact(channels * inner) {
            for (channel, values) in example.chunks_exact(inner).enumerate() {
                activation.observe(channel, values.iter().copied());
            }
            activation.count += inner;
        }
    }

    /// What was seen under this name.
    pub fn get(&self, name: &str) -> Option<&Activation> {
        self.0.get(name).filter(|activation| activation.count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_of_maps_are_their_planes_and_those_of_rows_their_last_axis() {
        let mut calibration = Calibration::default();
        let values = [1.0, 2.0, 3.0, 4.0, -1.0, -2.0, -3.0, -6.0];
        calibration.observe("maps", &[1, 2, 2, 2], &values);
        calibration.observe("rows", &[1, 4, 2], &values);

        let maps = calibration.get("maps").unwrap();
        assert_eq!(
            (maps.low.as_slice(), maps.high.as_slice()),
            ([1.0, -6.0].as_slice(), [4.0, -1.0].as_slice())
        );
        assert_eq!((maps.mean(0), maps.mean(1), maps.range()), (2.5, -3.0, (-6.0, 4.0)));
        let rows = calibration.get("rows").unwrap();
        assert_eq!(
            (rows.low.as_slice(), rows.high.as_slice()),
            ([-3.0, -6.0].as_slice(), [3.0, 4.0].as_slice())
        );
        assert_eq!((rows.mean(0), rows.mean(1)), (0.0, -0.5));
    }
}
