//! Worker threads of one model, behind its door and its queue.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use tracing::{error, warn};

use super::{
    Admission, Example, InferenceError, Model, Outputs,
    admission::Door,
    memory,
    queue::{Job, Queue},
};
use crate::telemetry::metrics;

/// How a pool forms its batches and whom it lets in.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolOptions {
    /// Examples in one run, at most.
    pub max_batch: usize,
    /// How long a batch that is not full may wait for more examples.
    pub batch_wait: Duration,
    /// Examples let in and not yet answered, at most.
    pub capacity: usize,
    /// A request that would wait longer is refused.
    pub max_wait: Duration,
}

/// One model's workers. Dropping it ends them once the queue is empty.
pub(super) struct Pool {
    shared: Arc<Shared>,
}

/// What the workers and the requests of a model have in common.
struct Shared {
    door: Door,
    queue: Queue,
}

impl Pool {
    /// Starts one thread for each of `engines`, which run a batch of examples: a row of outputs each, or what went wrong.
    pub fn start<E>(model: Model, engines: Vec<E>, options: PoolOptions) -> io::Result<Self>
    where
        E: FnMut(&[Example]) -> Result<Vec<Outputs>, String> + Send + 'static,
    {
        let door = Door::new(model, engines.len(), options.capacity, options.max_wait);
        let pool = Self { shared: Arc::new(Shared { door, queue: Queue::new() }) };
        for (number, engine) in engines.into_iter().enumerate() {
            let mut worker = Worker { model, engine, shared: Arc::clone(&pool.shared), options };
            thread::Builder::new().name(format!("{}-{number}", model.name())).spawn(move || {
                worker.work();
                drop(worker);
                memory::give_back();
            })?;
        }
        Ok(pool)
    }

    pub fn door(&self) -> &Door {
        &self.shared.door
    }

    /// Answers for all examples, in their order, or the first error. The admission is held until they are there.
    pub async fn run(
        &self,
        _admission: Admission,
        examples: Vec<Example>,
        deadline: Instant,
    ) -> Result<Vec<Outputs>, InferenceError> {
        let queued = Instant::now();
        let (jobs, answers): (Vec<_>, Vec<_>) = examples
            .into_iter()
            .map(|example| {
                let (reply, answer) = oneshot::channel();
                (Job { example, queued, deadline, reply }, answer)
            })
            .unzip();
        self.shared.queue.push(jobs);
        let mut rows = Vec::with_capacity(answers.len());
        for answer in answers {
            // Where this returns early the other receivers drop, and a worker skips their examples.
            let answer = tokio::time::timeout_at(deadline.into(), answer)
                .await
                .map_err(|_| InferenceError::DeadlineExceeded)?;
            // A job is dropped unanswered where its deadline passed in the queue, or with its worker.
            rows.push(answer.map_err(|_| self.unanswered(deadline))??);
        }
        Ok(rows)
    }

    fn unanswered(&self, deadline: Instant) -> InferenceError {
        if deadline <= Instant::now() {
            InferenceError::DeadlineExceeded
        } else {
            InferenceError::Failed("its worker stopped".into())
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

struct Worker<E> {
    model: Model,
    engine: E,
    shared: Arc<Shared>,
    options: PoolOptions,
}

impl<E: FnMut(&[Example]) -> Result<Vec<Outputs>, String>> Worker<E> {
    /// A worker's life: take what waits, run it together, answer.
    fn work(&mut self) {
        let PoolOptions { max_batch, batch_wait, .. } = self.options;
        while let Some(jobs) = self.shared.queue.take(max_batch, batch_wait) {
            let started = Instant::now();
            let (examples, replies): (Vec<_>, Vec<_>) = jobs
                .into_iter()
                .map(|job| {
                    metrics::queue_wait(self.model, started - job.queued);
                    (job.example, job.reply)
                })
                .unzip();
            let outcome = self.run(&examples);
            let took = started.elapsed();
            self.shared.door.pace().ran(examples.len(), took);
            metrics::batch(self.model, examples.len(), took);
            match outcome {
                // Nobody waits for the answer when the client has gone, so a failed send means nothing.
                Ok(rows) => replies.into_iter().zip(rows).for_each(|(reply, row)| drop(reply.send(Ok(row)))),
                Err(reason) if examples.len() > 1 => {
                    warn!(%reason, examples = examples.len(), "a batch failed, its examples are run alone");
                    for (example, reply) in examples.iter().zip(replies) {
                        let _ = reply.send(self.run_alone(example));
                    }
                }
                Err(reason) => replies.into_iter().for_each(|reply| {
                    error!(%reason, "the model failed");
                    let _ = reply.send(Err(InferenceError::Failed(reason.clone())));
                }),
            }
        }
    }

    /// A panic must cost this batch only: the thread lives on, and an engine holds no state between runs.
    fn run(&mut self, examples: &[Example]) -> Result<Vec<Outputs>, String> {
        catch_unwind(AssertUnwindSafe(|| (self.engine)(examples)))
            .unwrap_or_else(|_| Err("a worker panicked".into()))
    }

    fn run_alone(&mut self, example: &Example) -> Result<Outputs, InferenceError> {
        self.run(std::slice::from_ref(example))
            .and_then(|rows| rows.into_iter().next().ok_or_else(|| "no row came back".into()))
            .map_err(InferenceError::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::Tokens;

    const SOON: Duration = Duration::from_secs(60);
    /// A token that the engine of these tests cannot stand.
    const POISON: i64 = 13;

    /// One worker whose engine answers each example with its first token, and panics on [`POISON`].
    fn pool() -> Pool {
        let engine = |batch: &[Example]| {
            let first = |example: &Example| example.tokens.as_ref().map_or(0, |tokens| tokens.ids()[0]);
            assert!(!batch.iter().any(|example| first(example) == POISON), "poisoned");
            let row = |example| Outputs { logits: vec![first(example) as f32], ..Outputs::default() };
            Ok(batch.iter().map(row).collect())
        };
        // A batch waits until it is full, so what is sent together is run together.
        let options = PoolOptions { max_batch: 3, batch_wait: SOON, capacity: 16, max_wait: SOON };
        Pool::start(Model::Text, vec![engine], options).unwrap()
    }

    fn example(token: i64) -> Example {
        Example { tokens: Some(Tokens::from(vec![token])), ..Example::default() }
    }

    async fn ask(pool: &Pool, token: i64) -> Result<f32, InferenceError> {
        let admission = pool.door().try_enter(1).unwrap();
        let rows = pool.run(admission, vec![example(token)], Instant::now() + SOON).await?;
        Ok(rows[0].logits[0])
    }

    #[tokio::test]
    async fn a_panic_costs_the_request_that_brought_it_and_no_other_of_its_batch() {
        let pool = pool();
        for _ in 0..3 {
            let (one, poisoned, two) = tokio::join!(ask(&pool, 1), ask(&pool, POISON), ask(&pool, 2));
            assert_eq!((one, two), (Ok(1.0), Ok(2.0)));
            assert!(matches!(poisoned, Err(InferenceError::Failed(_))), "{poisoned:?}");
        }
        assert_eq!(pool.door().inside(), 0);
    }
}
