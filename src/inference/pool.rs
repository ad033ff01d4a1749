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
    Admission, Example, InferenceError, Model, Outputs, Patience,
    admission::Door,
    queue::{Job, Queue},
};
use crate::{memory, telemetry::metrics};

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
    pub patience: Patience,
    /// What one example took before the first request, zero where nobody knows.
    pub alone: Duration,
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
        let PoolOptions { capacity, patience, alone, max_batch, .. } = options;
        let door = Door::new(model, engines.len(), capacity, patience, alone).with_batches_of(max_batch);
        let pool = Self { shared: Arc::new(Shared { door, queue: Queue::new() }) };
        for (number, engine) in engines.into_iter().enumerate() {
            let mut worker = Worker { model, engine, shared: Arc::clone(&pool.shared), options };
            thread::Builder::new().name(format!("{}-{number}", model.name())).spawn(move || worker.work())?;
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

impl Drop for Shared {
    /// The last worker has ended, and its engine with it.
    fn drop(&mut self) {
        memory::give_back();
    }
}

struct Worker<E> {
    model: Model,
    /// Before `shared`, so that the engines are gone when that goes.
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
    use futures::future::join_all;
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::preprocess::Tokens;

    const SOON: Duration = Duration::from_secs(60);
    /// A token that the engine of these tests cannot stand.
    const POISON: i64 = -1;

    fn first_token(example: &Example) -> i64 {
        example.tokens.as_ref().map_or(0, |tokens| tokens.ids()[0])
    }

    /// Answers each example with its first token, and panics on [`POISON`].
    fn echo(batch: &[Example]) -> Result<Vec<Outputs>, String> {
        assert!(!batch.iter().any(|example| first_token(example) == POISON), "poisoned");
        let row = |example| Outputs { logits: vec![first_token(example) as f32], ..Outputs::default() };
        Ok(batch.iter().map(row).collect())
    }

    fn pool(workers: usize, max_batch: usize, batch_wait: Duration) -> Pool {
        let alone = Duration::ZERO;
        let patience = Patience::always(SOON);
        let options = PoolOptions { max_batch, batch_wait, capacity: 1_000, patience, alone };
        Pool::start(Model::Text, vec![echo; workers], options).unwrap()
    }

    /// A text of this many tokens that begins with this one.
    fn example(token: i64, length: usize) -> Example {
        let mut tokens = vec![0; length.max(1)];
        tokens[0] = token;
        Example { tokens: Some(Tokens::from(tokens)), ..Example::default() }
    }

    async fn ask(pool: &Pool, examples: Vec<Example>) -> Result<Vec<i64>, InferenceError> {
        let admission = pool.door().try_enter(examples.len()).unwrap();
        let rows = pool.run(admission, examples, Instant::now() + SOON).await?;
        Ok(rows.into_iter().map(|row| row.logits[0] as i64).collect())
    }

    #[tokio::test]
    async fn a_panic_costs_the_request_that_brought_it_and_no_other_of_its_batch() {
        // A batch waits until it is full, so what is sent together is run together.
        let pool = pool(1, 3, SOON);
        let ask_one = async |token| ask(&pool, vec![example(token, 1)]).await;
        for _ in 0..3 {
            let (one, poisoned, two) = tokio::join!(ask_one(1), ask_one(POISON), ask_one(2));
            assert_eq!((one, two), (Ok(vec![1]), Ok(vec![2])));
            assert!(matches!(poisoned, Err(InferenceError::Failed(_))), "{poisoned:?}");
        }
        assert_eq!(pool.door().inside(), 0);
    }

    proptest! {
        #[test]
        fn every_request_gets_the_rows_of_its_examples_in_their_order_however_batches_are_formed(
            lengths in vec(vec(1..100_usize, 1..7), 1..20),
            workers in 1..4_usize,
            max_batch in 1..6_usize,
            wait in 0..300_u64,
        ) {
            let pool = pool(workers, max_batch, Duration::from_micros(wait));
            let mut token = 0;
            let mut numbered = |lengths: Vec<usize>| -> Vec<(i64, usize)> {
                lengths.into_iter().map(|length| { token += 1; (token, length) }).collect()
            };
            let requests: Vec<_> = lengths.into_iter().map(&mut numbered).collect();
            let asked = requests.iter().map(|request| {
                ask(&pool, request.iter().map(|&(token, length)| example(token, length)).collect())
            });
            let answers = tokio::runtime::Runtime::new().unwrap().block_on(join_all(asked));
            for (request, answer) in requests.iter().zip(answers) {
                let tokens: Vec<i64> = request.iter().map(|&(token, _)| token).collect();
                prop_assert_eq!(answer, Ok(tokens));
            }
            prop_assert_eq!(pool.door().inside(), 0);
        }
    }
}
