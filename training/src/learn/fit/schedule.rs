//! Learning-rate schedules by name.

use std::f64::consts::PI;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Share of a one-cycle training in which the rate rises.
const WARM_UP: f64 = 0.1;
/// A one-cycle training starts at this share of its highest rate.
const FIRST_SHARE: f64 = 0.04;
/// Epochs between two steps of [`Schedule::Step`].
const STEP_EPOCHS: usize = 2;
/// What each step leaves of the rate.
const STEP_FACTOR: f64 = 0.6;

/// How the learning rate moves over a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// The same all the time
    Constant,
    /// Down to zero along a half cosine (Loshchilov and Hutter 2017)
    Cosine,
    /// Up in the first tenth, then down to zero along a half cosine (after Smith and Topin 2018)
    OneCycle,
    /// Times 0.6 every two epochs
    Step,
}

/// Where in a training a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Steps taken before.
    pub step: usize,
    /// Steps of the whole training.
    pub steps: usize,
    /// Steps of one epoch.
    pub epoch_steps: usize,
}

impl Schedule {
    /// The learning rate at a moment, as a share of the highest, 0 to 1.
    pub fn share(self, Moment { step, steps, epoch_steps }: Moment) -> f64 {
        let done = step as f64 / steps.max(1) as f64;
        let half_cosine = |done: f64| 0.5 * (1.0 + (PI * done).cos());
        let one_cycle = |done: f64| match done {
            rising if rising < WARM_UP => FIRST_SHARE + (1.0 - FIRST_SHARE) * rising / WARM_UP,
            falling => half_cosine((falling - WARM_UP) / (1.0 - WARM_UP)),
        };
        match self {
            Self::Constant => 1.0,
            Self::Cosine => half_cosine(done),
            Self::OneCycle => one_cycle(done),
            Self::Step => STEP_FACTOR.powi((step / epoch_steps.max(1) / STEP_EPOCHS) as i32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(schedule: Schedule, steps: &[usize]) -> Vec<f64> {
        let at = |step| schedule.share(Moment { step, steps: 100, epoch_steps: 10 });
        steps.iter().map(|&step| (at(step) * 1e6).round() / 1e6).collect()
    }

    #[test]
    fn one_cycle_rises_to_its_highest_rate_and_falls_to_zero() {
        assert_eq!(shares(Schedule::OneCycle, &[0, 5, 10, 55, 100]), [0.04, 0.52, 1.0, 0.5, 0.0]);
    }

    #[test]
    fn the_step_schedule_takes_four_tenths_off_every_two_epochs() {
        assert_eq!(shares(Schedule::Step, &[0, 19, 20, 39, 40]), [1.0, 1.0, 0.6, 0.6, 0.36]);
    }

    #[test]
    fn the_cosine_is_at_half_the_rate_half_way() {
        assert_eq!(shares(Schedule::Cosine, &[0, 50, 100]), [1.0, 0.5, 0.0]);
    }
}
