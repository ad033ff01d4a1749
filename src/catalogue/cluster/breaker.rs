//! A circuit breaker (Nygard, "Release It!", 2007): while a cluster does not answer, requests fail at once instead of
//! waiting for it one after the other.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Failures in a row that open the circuit.
const FAILURES: u32 = 5;
/// How long it stays open before one request tries again.
const REST: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// While the circuit is open: when the next request may try.
    open_until: Option<Instant>,
}

impl Breaker {
    /// Whether a request may go out now. Of those that come after the rest one goes, and the others wait for what becomes of it.
    pub fn allows(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        match state.open_until {
            Some(until) if now < until => false,
            Some(_) => {
                state.open_until = Some(now + REST);
                true
            }
            None => true,
        }
    }

    pub fn succeeded(&self) {
        *self.state.lock() = State::default();
    }

    /// Not for each of several that failed at one node at the same time.
    pub fn failed(&self, now: Instant) {
        let mut state = self.state.lock();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES {
            state.open_until = Some(now + REST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_open_the_circuit_and_one_request_tries_after_the_rest() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        for _ in 0..FAILURES {
            assert!(breaker.allows(start));
            breaker.failed(start);
        }
        assert!(!breaker.allows(start));
        let rested = start + REST;
        assert_eq!([breaker.allows(rested), breaker.allows(rested)], [true, false]);
        breaker.succeeded();
        assert!(breaker.allows(rested));
    }

    #[test]
    fn a_success_in_between_starts_the_count_anew() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..FAILURES * 2 {
            breaker.failed(now);
            breaker.failed(now);
            breaker.succeeded();
        }
        assert!(breaker.allows(now));
    }
}
