//! How much has been asked of a model lately, against what it can do.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Time over which demand is averaged. Shorter than people wait, so that more than can be served is noticed before a second of it
/// has queued; longer than the requests of one page that come together.
const LATELY: Duration = Duration::from_millis(500);

/// Work asked for in each second, in seconds, above which a model cannot do what is asked of it. Clients that each wait for their
/// answer before they ask again can make it 1, and no more: they keep the model busy, and turning them away would serve nobody.
const TOO_MUCH: f64 = 1.25;

/// Below it a model can do what is asked of it again.
const ENOUGH: f64 = 1.0;

/// After so long it is tried whether the model can do what is asked of it: clients that ask again as soon as they are turned away are
/// counted each time, and would be turned away for ever. Where it cannot, fewer than one request in a hundred waits for the trial.
const TRIED_AGAIN_AFTER: Duration = Duration::from_secs(120);

/// Work that was asked for, let in or not: an exponential moving sum over [`LATELY`].
pub(super) struct Demand(Mutex<Asked>);

struct Asked {
    seconds: f64,
    at: Instant,
    /// While more is asked for than can be done.
    too_much_since: Option<Instant>,
}

impl Demand {
    pub fn new() -> Self {
        Self(Mutex::new(Asked { seconds: 0.0, at: Instant::now(), too_much_since: None }))
    }

    /// Adds this much work, and says whether more is asked for than can be done.
    pub fn is_too_much(&self, work: Duration, now: Instant) -> bool {
        let mut asked = self.0.lock();
        if asked.too_much_since.is_some_and(|since| now.saturating_duration_since(since) > TRIED_AGAIN_AFTER)
        {
            *asked = Asked { seconds: 0.0, at: now, too_much_since: None };
        }
        let a_second = asked.add(work, now);
        if a_second > TOO_MUCH {
            asked.too_much_since.get_or_insert(now);
        } else if a_second < ENOUGH {
            asked.too_much_since = None;
        }
        asked.too_much_since.is_some()
    }
}

impl Asked {
    /// Adds this much work and gives the work asked for in each second lately, in seconds.
    fn add(&mut self, work: Duration, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.seconds *= (-passed / LATELY.as_secs_f64()).exp();
        self.seconds += work.as_secs_f64();
        self.seconds / LATELY.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EACH: Duration = Duration::from_millis(10);

    /// Asks for 10 ms of work so often a second from `from` on for so long; whether the last was too much.
    fn ask(demand: &Demand, from: Instant, a_second: u32, seconds: f64) -> bool {
        let requests = (f64::from(a_second) * seconds) as u32;
        let at = |request| from + Duration::from_secs_f64(f64::from(request) / f64::from(a_second));
        (0..requests).map(|request| demand.is_too_much(EACH, at(request))).last().unwrap_or_default()
    }

    #[test]
    fn clients_that_keep_the_model_busy_do_not_ask_too_much_and_half_as_many_again_do() {
        let start = Instant::now();
        assert!(!ask(&Demand::new(), start, 100, 10.0));
        assert!(ask(&Demand::new(), start, 150, 10.0));
    }

    #[test]
    fn a_short_burst_is_not_too_much_and_the_same_rate_for_a_second_is() {
        let start = Instant::now();
        assert!(!ask(&Demand::new(), start, 200, 0.1));
        assert!(ask(&Demand::new(), start, 200, 1.0));
    }

    #[test]
    fn it_is_too_much_until_less_is_asked_for_than_can_be_done() {
        let (demand, start) = (Demand::new(), Instant::now());
        let later = start + Duration::from_secs(5);
        assert!(ask(&demand, start, 150, 5.0));
        assert!(ask(&demand, later, 110, 5.0), "it still cannot");
        assert!(!ask(&demand, later + Duration::from_secs(5), 90, 5.0));
    }

    #[test]
    fn clients_that_come_again_at_once_are_given_another_chance() {
        let (demand, start) = (Demand::new(), Instant::now());
        assert!(ask(&demand, start, 1_000, 120.0));
        // Let in, they wait for their answers: never less than can be done, but no more.
        assert!(!ask(&demand, start + TRIED_AGAIN_AFTER, 100, 10.0));
    }
}
