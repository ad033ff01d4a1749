//! How far writing may run ahead of the optimiser.
//!
//! What was written since an optimisation began lies in a segment by itself, where qdrant-edge 0.7.2 walks a word's list to its
//! beginning at every write (`PostingList::upsert`): without a bound, a million listings were not written in 25 minutes, and 70 %
//! of the CPU went there. So the optimiser is woken, and the writer waits for it, where too much was written.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Products written since an optimisation began above which the writer waits for the next, in a small catalogue.
pub const LEAST: usize = 25_000;
/// The same in a large one, as a part of what it holds: an optimisation copies everything, so they are to be few.
const PART: usize = 16;

/// Counts what the engine has not put in order yet. Waiting ends, for good, with [`Backlog::end`].
#[derive(Debug, Default)]
pub struct Backlog {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// Products since an optimisation began.
    written: usize,
    /// How many of them there may be.
    room: usize,
    ended: bool,
}

impl Default for State {
    fn default() -> Self {
        Self { written: 0, room: LEAST, ended: false }
    }
}

impl State {
    fn is_full(&self) -> bool {
        self.written > self.room && !self.ended
    }
}

impl Backlog {
    pub fn add(&self, products: usize) {
        let mut state = self.state.lock();
        state.written += products;
        if state.is_full() {
            self.changed.notify_all();
        }
    }

    /// An optimisation begins, of this many products: it takes in all that was written before.
    pub fn begin(&self, products: usize) {
        let mut state = self.state.lock();
        state.written = 0;
        state.room = LEAST.max(products / PART);
        self.changed.notify_all();
    }

    /// True where the writer is to wait.
    pub fn is_full(&self) -> bool {
        self.state.lock().is_full()
    }

    /// For the writer: waits until an optimisation begins, where too much was written since the last one did.
    pub fn wait_for_room(&self) {
        self.changed.wait_while(&mut self.state.lock(), |state| state.is_full());
    }

    /// For the optimiser: waits for this long, or until the writer waits. False when there is no more to be done.
    pub fn wait_for_work(&self, at_most: Duration) -> bool {
        let mut state = self.state.lock();
        let idle = |state: &mut State| !state.is_full() && !state.ended;
        self.changed.wait_while_until(&mut state, idle, Instant::now() + at_most);
        !state.ended
    }

    /// Nobody waits any more: the optimiser stops, and the writer writes down what it has without it.
    pub fn end(&self) {
        self.state.lock().ended = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, mpsc},
        thread,
    };

    use super::*;

    /// Long enough for a thread that does not wait to be through.
    const A_WHILE: Duration = Duration::from_millis(200);
    const FOR_EVER: Duration = Duration::from_secs(60);

    /// A thread that waits as the writer does, and says when it is through.
    fn waiting(backlog: &Arc<Backlog>) -> mpsc::Receiver<()> {
        let (through, is_through) = mpsc::channel();
        let backlog = Arc::clone(backlog);
        thread::spawn(move || {
            backlog.wait_for_room();
            through.send(()).unwrap();
        });
        is_through
    }

    #[test]
    fn the_writer_waits_above_the_bound_until_an_optimisation_begins() {
        let backlog = Arc::new(Backlog::default());
        backlog.add(LEAST);
        waiting(&backlog).recv_timeout(FOR_EVER).unwrap();
        backlog.add(1);
        let is_through = waiting(&backlog);
        assert!(is_through.recv_timeout(A_WHILE).is_err(), "it did not wait");
        backlog.begin(LEAST);
        is_through.recv_timeout(FOR_EVER).unwrap();
        assert!(!backlog.is_full());
    }

    #[test]
    fn a_large_catalogue_has_a_larger_backlog() {
        let backlog = Backlog::default();
        backlog.begin(1_600_000);
        backlog.add(100_000);
        assert!(!backlog.is_full());
        backlog.add(1);
        assert!(backlog.is_full());
    }

    #[test]
    fn the_end_lets_the_writer_through_and_stops_the_optimiser() {
        let backlog = Arc::new(Backlog::default());
        backlog.add(LEAST + 1);
        let is_through = waiting(&backlog);
        assert!(is_through.recv_timeout(A_WHILE).is_err(), "it did not wait");
        backlog.end();
        is_through.recv_timeout(FOR_EVER).unwrap();
        assert!(!backlog.wait_for_work(FOR_EVER));
    }

    #[test]
    fn the_optimiser_is_woken_by_a_full_backlog_and_looks_now_and_then_without() {
        let backlog = Backlog::default();
        assert!(backlog.wait_for_work(Duration::ZERO));
        backlog.add(LEAST + 1);
        assert!(backlog.wait_for_work(FOR_EVER * 60));
    }
}
