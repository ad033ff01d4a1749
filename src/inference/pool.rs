//! Worker threads of one model and the bounded queue before them.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Instant,
};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use tokio::sync::oneshot;
use tracing::{error, warn};

use super::{Example, InferenceError, Model, ModelSession, Outputs};

/// An example on its way to a worker.
struct Job {
    example: Example,
    /// Past it nobody waits for the answer any more.
    deadline: Instant,
    reply: oneshot::Sender<Result<Outputs, InferenceError>>,
}

/// One model's queue. Dropping it ends the workers once the queue is empty.
pub(super) struct Pool {
    model: Model,
    queue: Sender<Job>,
}

impl Pool {
    /// Starts one thread per session. They share a queue of at most `queue` examples and take up to `max_batch` at once.
    pub fn start(
        model: Model,
        sessions: Vec<ModelSession>,
        max_batch: usize,
        queue: usize,
    ) -> io::Result<Self> {
        let (sender, receiver) = bounded(queue);
        for (number, session) in sessions.into_iter().enumerate() {
            let jobs = receiver.clone();
            thread::Builder::new()
                .name(format!("{}-{number}", model.name()))
                .spawn(move || work(session, &jobs, max_batch))?;
        }
        Ok(Self { model, queue: sender })
    }

    pub fn model(&self) -> Model {
        self.model
    }

    /// Answers for all examples, in their order, or the first error. Either all are queued or the request is refused.
    pub async fn run(
        &self,
        examples: Vec<Example>,
        deadline: Instant,
    ) -> Result<Vec<Outputs>, InferenceError> {
        let mut replies = Vec::with_capacity(examples.len());
        for example in examples {
            let (reply, answer) = oneshot::channel();
            // On refusal the examples queued before are given up: their receivers drop, and a worker skips them.
            self.queue.try_send(Job { example, deadline, reply }).map_err(|refused| match refused {
                TrySendError::Full(_) => InferenceError::QueueFull(self.model),
                TrySendError::Disconnected(_) => InferenceError::Failed("its workers have stopped".into()),
            })?;
            replies.push(answer);
        }
        let mut rows = Vec::with_capacity(replies.len());
        for answer in replies {
            let answer = tokio::time::timeout_at(deadline.into(), answer)
                .await
                .map_err(|_| InferenceError::DeadlineExceeded)?;
            rows.push(answer.map_err(|_| InferenceError::Failed("its worker stopped".into()))??);
        }
        Ok(rows)
    }
}

/// A worker's life: wait for one job, take what else waits, run them together.
fn work(mut session: ModelSession, jobs: &Receiver<Job>, max_batch: usize) {
    while let Ok(first) = jobs.recv() {
        let wanted = |job: &Job| !job.reply.is_closed() && job.deadline > Instant::now();
        let batch: Vec<Job> =
            std::iter::once(first).chain(jobs.try_iter().take(max_batch - 1)).filter(wanted).collect();
        if batch.is_empty() {
            continue;
        }
        let (examples, replies): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|job| (job.example, job.reply)).unzip();
        // A panic must cost this batch only: the thread lives on, and the session holds no state between runs.
        let outcome = catch_unwind(AssertUnwindSafe(|| session.run(&examples)))
            .unwrap_or_else(|_| Err("a worker panicked".into()));
        match outcome {
            Ok(rows) => replies.into_iter().zip(rows).for_each(|(reply, row)| {
                // Nobody waits for the answer when the client has gone.
                let _ = reply.send(Ok(row));
            }),
            Err(reason) if examples.len() > 1 => {
                warn!(%reason, examples = examples.len(), "a batch failed, its examples are run alone");
                for (example, reply) in examples.iter().zip(replies) {
                    let _ = reply.send(run_alone(&mut session, example));
                }
            }
            Err(reason) => replies.into_iter().for_each(|reply| {
                error!(%reason, "the model failed");
                let _ = reply.send(Err(InferenceError::Failed(reason.clone())));
            }),
        }
    }
}

fn run_alone(session: &mut ModelSession, example: &Example) -> Result<Outputs, InferenceError> {
    catch_unwind(AssertUnwindSafe(|| session.run(std::slice::from_ref(example))))
        .unwrap_or_else(|_| Err("a worker panicked".into()))
        .and_then(|rows| rows.into_iter().next().ok_or_else(|| "no row came back".into()))
        .map_err(InferenceError::Failed)
}
