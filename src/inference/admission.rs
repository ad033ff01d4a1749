//! Who may ask a model at all: a bounded number at once, and nobody who would wait too long.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use super::{InferenceError, Model, demand::Demand};

/// The door of one model.
pub(super) struct Door {
    model: Model,
    places: Arc<Semaphore>,
    capacity: usize,
    /// Those of the places that work may take which no person waits for.
    patient_places: Arc<Semaphore>,
    patient_capacity: usize,
    patience: Patience,
    pace: Pace,
    demand: Demand,
}

/// How long a request may have to wait for its model. A burst is let in, since it will be over soon; where more comes than
/// the model can do, a queue only makes everybody wait, so it is kept short (compare "controlled delay" in Maurer 2015, Fail at
/// Scale).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// While the model can do what is asked of it.
    pub burst: Duration,
    /// While it cannot; one that is not shorter makes no difference.
    pub overloaded: Duration,
}

impl Patience {
    /// As long in a burst as at any other time.
    pub fn always(wait: Duration) -> Self {
        Self { burst: wait, overloaded: wait }
    }
}

/// A place among those that a model answers. Whoever holds it may take time to decode photos; it is given back when dropped.
#[derive(Debug)]
pub struct Admission(#[expect(dead_code, reason = "held for its drop")] Vec<OwnedSemaphorePermit>);

impl Door {
    /// At most `capacity` examples inside, and none let in that would wait longer than `patience` says. `alone` is what one example
    /// took before the first request, zero where nobody knows.
    ///
    /// Work that no person waits for has at most as many inside as are answered in half the time that a person may have to wait: the
    /// photos of an import would otherwise fill the room, and turn away everybody who comes to look.
    pub fn new(model: Model, workers: usize, capacity: usize, patience: Patience, alone: Duration) -> Self {
        let capacity = capacity.min(Semaphore::MAX_PERMITS);
        let pace = Pace { workers: workers.max(1) as u64, nanoseconds: AtomicU64::new(0) };
        pace.ran(1, alone);
        let answered =
            (patience.burst / 2).as_nanos().saturating_mul(pace.workers.into()).checked_div(alone.as_nanos());
        let patient_capacity =
            answered.and_then(|examples| usize::try_from(examples).ok()).unwrap_or(capacity);
        let patient_capacity = patient_capacity.clamp(1, capacity.max(1));
        let [places, patient_places] =
            [capacity, patient_capacity].map(|places| Arc::new(Semaphore::new(places)));
        let demand = Demand::new();
        Self { model, places, capacity, patient_places, patient_capacity, patience, pace, demand }
    }

    /// Leaves work that no person waits for room for a batch of so many in each worker and one that waits to be next, however slow the
    /// first example was.
    pub fn with_batches_of(self, examples: usize) -> Self {
        let busy = self.keeps_busy().saturating_mul(examples).clamp(1, self.capacity.max(1));
        let patient_capacity = self.patient_capacity.max(busy);
        Self { patient_places: Arc::new(Semaphore::new(patient_capacity)), patient_capacity, ..self }
    }

    /// Lets a request with this many examples, one at least, in, or refuses it at once, before it has cost anything.
    pub fn try_enter(&self, examples: usize) -> Result<Admission, InferenceError> {
        let expected = self.pace.work(self.inside());
        let refused = InferenceError::QueueFull { model: self.model, retry_after: expected };
        if self.is_too_long(expected, examples) {
            return Err(refused);
        }
        let permits = permits(examples, self.capacity);
        let place = Arc::clone(&self.places).try_acquire_many_owned(permits);
        place.map(|place| Admission(vec![place])).map_err(|_| refused)
    }

    /// Whether a request with this many examples may not have to wait for so long now.
    fn is_too_long(&self, expected: Duration, examples: usize) -> bool {
        let Patience { burst, overloaded } = self.patience;
        let is_overloaded = self.demand.is_too_much(self.pace.work(examples.max(1)), Instant::now());
        expected > burst || is_overloaded && expected > overloaded && self.inside() >= self.keeps_busy()
    }

    /// Examples that keep all workers busy: one in each, and one that waits to be next.
    fn keeps_busy(&self) -> usize {
        2 * self.pace.workers as usize
    }

    /// Waits for a place, for work that no person waits for.
    pub async fn enter(&self, examples: usize, deadline: Instant) -> Result<Admission, InferenceError> {
        let places = async {
            let turn = permits(examples, self.patient_capacity);
            let turn = Arc::clone(&self.patient_places).acquire_many_owned(turn).await?;
            let place = permits(examples, self.capacity);
            let place = Arc::clone(&self.places).acquire_many_owned(place).await?;
            Ok::<_, AcquireError>(vec![place, turn])
        };
        match tokio::time::timeout_at(deadline.into(), places).await {
            Ok(Ok(places)) => Ok(Admission(places)),
            Ok(Err(_)) => Err(InferenceError::Failed("the model is closed".into())),
            Err(_) => Err(InferenceError::DeadlineExceeded),
        }
    }

    /// Examples let in and not answered yet.
    pub fn inside(&self) -> usize {
        self.capacity - self.places.available_permits().min(self.capacity)
    }

    pub fn pace(&self) -> &Pace {
        &self.pace
    }
}

/// A request larger than the whole room may still come in when the room is empty.
fn permits(examples: usize, capacity: usize) -> u32 {
    u32::try_from(examples.min(capacity).max(1)).unwrap_or(u32::MAX)
}

/// How fast a model answers lately: an exponential moving average of the time an example takes in a batch.
pub(super) struct Pace {
    workers: u64,
    nanoseconds: AtomicU64,
}

impl Pace {
    /// Weight of the newest batch, one in this many.
    const MEMORY: u64 = 8;
    /// A batch counts as at most this many times as slow as the pace so far: what held up one batch says little of the next, and
    /// a pace of seconds would turn everybody away until many batches had run. A model that has become slower is known to be
    /// after a few more batches.
    const HELD_UP: u64 = 4;

    pub fn ran(&self, examples: usize, took: Duration) {
        let Some(each) = (took.as_nanos() as u64).checked_div(examples as u64) else { return };
        let before = self.nanoseconds.load(Ordering::Relaxed);
        // A race between workers loses one measurement of many.
        let after = if before == 0 {
            each
        } else {
            let each = each.min(before.saturating_mul(Self::HELD_UP));
            before - before / Self::MEMORY + each / Self::MEMORY
        };
        self.nanoseconds.store(after, Ordering::Relaxed);
    }

    /// How long all workers together take for this many.
    fn work(&self, examples: usize) -> Duration {
        let each = self.nanoseconds.load(Ordering::Relaxed);
        Duration::from_nanos(each.saturating_mul(examples as u64) / self.workers)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    #[test]
    fn no_more_are_let_in_than_there_are_places() {
        let door = Door::new(Model::Image, 1, 3, Patience::always(LONG), Duration::ZERO);
        let two = door.try_enter(2).unwrap();
        assert!(matches!(door.try_enter(2), Err(InferenceError::QueueFull { .. })));
        let _one = door.try_enter(1).unwrap();
        drop(two);
        assert_eq!(door.inside(), 1);
        door.try_enter(2).unwrap();
    }

    #[test]
    fn a_request_larger_than_the_room_enters_when_it_is_empty() {
        let door = Door::new(Model::Image, 1, 4, Patience::always(LONG), Duration::ZERO);
        door.try_enter(8).unwrap();
        let _one = door.try_enter(1).unwrap();
        assert!(door.try_enter(8).is_err());
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_leaves_room_for_those_who_do() {
        let patience = Patience::always(Duration::from_millis(200));
        let door = Door::new(Model::Image, 1, 100, patience, Duration::from_millis(10));
        let deadline = Instant::now() + LONG;
        // 100 ms of work, half of 200.
        let ten = door.enter(10, deadline).await.unwrap();
        let mut eleventh = Box::pin(door.enter(1, deadline));
        assert!((&mut eleventh).now_or_never().is_none());
        let _person = door.try_enter(9).unwrap();
        drop(ten);
        eleventh.await.unwrap();
    }

    #[test]
    fn whoever_would_wait_too_long_is_told_how_long() {
        let door =
            Door::new(Model::Text, 2, 100, Patience::always(Duration::from_millis(200)), Duration::ZERO);
        door.pace().ran(4, Duration::from_millis(400));
        // Behind four examples of 100 ms each with two workers: 200 ms.
        let _four = door.try_enter(4).unwrap();
        let _fifth = door.try_enter(1).unwrap();
        let Err(InferenceError::QueueFull { retry_after, .. }) = door.try_enter(1) else {
            panic!("250 ms are more than 200")
        };
        assert_eq!(retry_after, Duration::from_millis(250));
    }

    #[test]
    fn a_batch_that_was_held_up_turns_nobody_away_who_was_let_in_before() {
        let door = Door::new(
            Model::Image,
            1,
            100,
            Patience::always(Duration::from_millis(250)),
            Duration::from_millis(10),
        );
        door.pace().ran(1, Duration::from_secs(3));
        // 7/8 of 10 ms and 1/8 of 40 are 13.75 ms, behind sixteen 220 ms.
        let _sixteen = door.try_enter(16).unwrap();
        door.try_enter(1).unwrap();
    }

    #[test]
    fn a_model_that_stays_slow_is_found_to_be() {
        let door = Door::new(
            Model::Image,
            1,
            100,
            Patience::always(Duration::from_millis(250)),
            Duration::from_millis(10),
        );
        let _one = door.try_enter(1).unwrap();
        let turned_away = (1..=40).find(|_| {
            door.pace().ran(1, Duration::from_secs(3));
            door.try_enter(1).is_err()
        });
        // 1.375 times as slow with every batch: 250 ms are passed by the eleventh.
        assert_eq!(turned_away, Some(11));
    }

    /// One worker, 10 ms for each; more was asked of it than it can do.
    fn overloaded() -> (Door, Vec<Admission>) {
        let patience = Patience { burst: Duration::from_millis(100), overloaded: Duration::from_millis(20) };
        let door = Door::new(Model::Image, 1, 1_000, patience, Duration::from_millis(10));
        let let_in: Vec<Admission> = (0..40).map_while(|_| door.try_enter(1).ok()).collect();
        (door, let_in)
    }

    #[test]
    fn a_burst_may_wait_longer_than_requests_do_while_more_comes_than_can_be_done() {
        let (door, mut let_in) = overloaded();
        // Behind ten of 10 ms each: 100 ms.
        assert_eq!(let_in.len(), 11);
        // More than half a second's work was asked for in no time, and refused.
        (0..100).for_each(|_| drop(door.try_enter(1)));
        let_in.truncate(3);
        assert!(door.try_enter(1).is_err(), "three are inside, 30 ms ahead");
        let_in.pop();
        door.try_enter(1).unwrap();
    }

    #[test]
    fn no_worker_is_idle_for_an_overload_however_slow_it_is() {
        let (door, mut let_in) = overloaded();
        (0..100).for_each(|_| drop(door.try_enter(1)));
        (0..40).for_each(|_| door.pace().ran(1, Duration::from_millis(50)));
        let_in.truncate(2);
        assert!(door.try_enter(1).is_err(), "one runs, one is next");
        let_in.pop();
        door.try_enter(1).unwrap();
    }

    #[tokio::test]
    async fn patient_work_waits_for_a_place_until_its_deadline() {
        let door = Door::new(Model::Image, 1, 1, Patience::always(LONG), Duration::ZERO);
        let first = door.try_enter(1).unwrap();
        let soon = Instant::now() + Duration::from_millis(20);
        assert_eq!(door.enter(1, soon).await.unwrap_err(), InferenceError::DeadlineExceeded);
        drop(first);
        door.enter(1, Instant::now() + LONG).await.unwrap();
    }
}
