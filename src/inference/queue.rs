//! What waits for a model: bounded in number, taken oldest first, texts of similar length together.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::{Example, InferenceError, Outputs};

/// An example on its way to a worker.
pub(super) struct Job {
    pub example: Example,
    pub queued: Instant,
    /// Past it nobody waits for the answer any more.
    pub deadline: Instant,
    pub reply: oneshot::Sender<Result<Outputs, InferenceError>>,
}

impl Job {
    fn is_wanted(&self, now: Instant) -> bool {
        self.deadline > now && !self.reply.is_closed()
    }

    /// Tokens of the example's text; none where it has only a photo.
    fn length(&self) -> usize {
        self.example.tokens.as_ref().map_or(0, |tokens| tokens.ids().len())
    }
}

/// Jobs between the requests and the workers of one model.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

struct Waiting {
    jobs: VecDeque<Job>,
    /// Workers that have nothing to do.
    idle: usize,
    open: bool,
}

impl Queue {
    pub fn new() -> Self {
        Self {
            waiting: Mutex::new(Waiting { jobs: VecDeque::new(), idle: 0, open: true }),
            changed: Condvar::new(),
        }
    }

    pub fn push(&self, jobs: impl IntoIterator<Item = Job>) {
        self.waiting.lock().jobs.extend(jobs);
        self.changed.notify_one();
    }

    /// Ends the workers once nothing waits any more.
    pub fn close(&self) {
        self.waiting.lock().open = false;
        self.changed.notify_all();
    }

    /// Waits for a job and takes up to `most` at once: the oldest, and those whose texts are nearest to it in length, since a
    /// batch costs what its longest text costs. Idle workers get their share of what waits: on a CPU a batch takes about as long as
    /// its examples one after the other. What nobody waits for any more is dropped. `fill` is how long a batch that is not full may wait
    /// for more; where there is such a time, batches are to be full, and are not shared. None once the queue is closed and empty.
    pub fn take(&self, most: usize, fill: Duration) -> Option<Vec<Job>> {
        let mut waiting = self.waiting.lock();
        loop {
            let now = Instant::now();
            waiting.jobs.retain(|job| job.is_wanted(now));
            let Some(oldest) = waiting.jobs.front() else {
                if !waiting.open {
                    return None;
                }
                waiting.idle += 1;
                self.changed.wait(&mut waiting);
                waiting.idle -= 1;
                continue;
            };
            let full_at = oldest.queued + fill;
            if waiting.jobs.len() >= most || now >= full_at || !waiting.open {
                break;
            }
            self.changed.wait_until(&mut waiting, full_at);
        }
        let sharers = if fill.is_zero() { waiting.idle + 1 } else { 1 };
        let share = waiting.jobs.len().div_ceil(sharers);
        let batch = waiting.take(most.min(share));
        if !waiting.jobs.is_empty() {
            // One call wakes one worker, and several jobs may have come with it.
            self.changed.notify_one();
        }
        Some(batch)
    }
}

impl Waiting {
    fn take(&mut self, most: usize) -> Vec<Job> {
        if self.jobs.len() <= most {
            return self.jobs.drain(..).collect();
        }
        let length = self.jobs.front().map_or(0, Job::length);
        let mut nearest: Vec<usize> = (0..self.jobs.len()).collect();
        // Stable, so of texts of one length the oldest come first, and the oldest of all is always taken.
        nearest.sort_by_key(|&index| self.jobs[index].length().abs_diff(length));
        nearest.truncate(most);
        nearest.sort_unstable();
        let mut batch: Vec<Job> =
            nearest.into_iter().rev().filter_map(|index| self.jobs.remove(index)).collect();
        batch.reverse();
        batch
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use super::*;
    use crate::preprocess::Tokens;

    const SOON: Duration = Duration::from_secs(60);

    /// A job with a text of this many tokens, and the end that waits for its answer.
    fn job(tokens: usize) -> (Job, oneshot::Receiver<Result<Outputs, InferenceError>>) {
        let (reply, answer) = oneshot::channel();
        let example = Example { tokens: Some(Tokens::from(vec![7; tokens])), ..Example::default() };
        let now = Instant::now();
        (Job { example, queued: now, deadline: now + SOON, reply }, answer)
    }

    fn lengths(jobs: &[Job]) -> Vec<usize> {
        jobs.iter().map(Job::length).collect()
    }

    #[test]
    fn the_oldest_is_taken_with_those_nearest_to_it_in_length() {
        let queue = Queue::new();
        let (jobs, _answers): (Vec<_>, Vec<_>) = [20, 90, 5, 22, 19, 88].map(job).into_iter().unzip();
        queue.push(jobs);
        assert_eq!(lengths(&queue.take(3, Duration::ZERO).unwrap()), [20, 22, 19]);
        assert_eq!(lengths(&queue.take(2, Duration::ZERO).unwrap()), [90, 88]);
        assert_eq!(lengths(&queue.take(2, Duration::ZERO).unwrap()), [5]);
    }

    #[test]
    fn what_nobody_waits_for_is_dropped() {
        let queue = Queue::new();
        let (given_up, answer) = job(10);
        drop(answer);
        let (mut late, _late_answer) = job(11);
        late.deadline = Instant::now();
        let (wanted, _answer) = job(12);
        queue.push([given_up, late, wanted]);
        assert_eq!(lengths(&queue.take(8, Duration::ZERO).unwrap()), [12]);
    }

    #[test]
    fn a_batch_that_is_not_full_waits_only_when_told() {
        let queue = Queue::new();
        let (first, _first_answer) = job(10);
        let (second, _second_answer) = job(10);
        queue.push([first]);
        thread::scope(|scope| {
            let batch = scope.spawn(|| queue.take(2, SOON));
            queue.push([second]);
            assert_eq!(batch.join().unwrap().unwrap().len(), 2);
        });
    }

    #[test]
    fn what_waits_is_shared_with_an_idle_worker() {
        let queue = Queue::new();
        thread::scope(|scope| {
            let idle = scope.spawn(|| queue.take(8, Duration::ZERO));
            while queue.waiting.lock().idle == 0 {
                thread::yield_now();
            }
            // Not by `push`, which would wake the idle one first.
            let (jobs, _answers): (Vec<_>, Vec<_>) = [10; 6].map(job).into_iter().unzip();
            queue.waiting.lock().jobs.extend(jobs);
            assert_eq!(queue.take(8, Duration::ZERO).unwrap().len(), 3);
            assert_eq!(idle.join().unwrap().unwrap().len(), 3);
        });
    }

    #[test]
    fn a_closed_queue_is_emptied_and_then_ends_its_workers() {
        let queue = Queue::new();
        let (waiting, _answer) = job(10);
        queue.push([waiting]);
        queue.close();
        assert_eq!(queue.take(8, SOON).unwrap().len(), 1);
        assert!(queue.take(8, SOON).is_none());
    }
}
