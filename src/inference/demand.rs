//! How much has been asked of a model lately, against what it can do.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Time over which demand is averaged. Shorter than people wait, so that more than can be served is noticed before a second of it
/// has queued; longer than the requests of one page that come together.
const LATELY: Duration = Duration::from_millis(500);

/// Work that was asked for, let in or not: an exponential moving sum over [`LATELY`].
pub(super) struct Demand(Mutex<Asked>);

struct Asked {
    seconds: f64,
    at: Instant,
}

impl Demand {
    pub fn new() -> Self {
        Self(Mutex::new(Asked { seconds: 0.0, at: Instant::now() }))
    }

    /// Adds this much work and gives the work asked for in each second lately, in seconds: above 1, more than can be done.
    pub fn ask(&self, work: Duration, now: Instant) -> f64 {
        let mut asked = self.0.lock();
        let passed = now.saturating_duration_since(asked.at).as_secs_f64();
        asked.at = asked.at.max(now);
        asked.seconds *= (-passed / LATELY.as_secs_f64()).exp();
        asked.seconds += work.as_secs_f64();
        asked.seconds / LATELY.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EACH: Duration = Duration::from_millis(10);

    /// What is said after this many requests of 10 ms each, so many a second.
    fn after(requests: u32, a_second: f64) -> f64 {
        let demand = Demand::new();
        let start = Instant::now();
        let at = |request| start + Duration::from_secs_f64(f64::from(request) / a_second);
        (0..requests).map(|request| demand.ask(EACH, at(request))).last().unwrap_or_default()
    }

    #[test]
    fn a_steady_rate_is_found_to_be_its_work_in_each_second() {
        let (half, twice) = (after(500, 50.0), after(2_000, 200.0));
        assert!((0.48..0.52).contains(&half), "{half}");
        assert!((1.96..2.04).contains(&twice), "{twice}");
    }

    #[test]
    fn a_short_burst_is_not_more_than_can_be_served_and_the_same_rate_for_a_second_is() {
        assert!(after(20, 200.0) < 0.5);
        assert!(after(200, 200.0) > 1.5);
    }

    #[test]
    fn what_was_asked_long_ago_counts_no_more() {
        let demand = Demand::new();
        let start = Instant::now();
        demand.ask(Duration::from_secs(60), start);
        assert!(demand.ask(EACH, start + 20 * LATELY) < 0.03);
    }
}
