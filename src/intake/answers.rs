//! What the models said lately, by the content of the listing, so that the same listing is not looked at twice.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use quick_cache::{Weighter, sync::Cache};

use super::{IntakeError, Question};
use crate::{
    fingerprint::of_parts,
    inference::{InferenceError, Inferred},
    telemetry::metrics,
};

/// Bytes of an answer beside its numbers: key, pointers and the cache's own bookkeeping.
const OVERHEAD: u64 = 160;
/// Bytes that an answer is expected to take, which decides how many the cache makes room for at first.
const USUAL: u64 = 2_048;

/// Everything that a model's answer depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Content([u8; 32]);

impl Content {
    pub fn of(question: &Question<'_>) -> Self {
        let Question { title, description, photos, activation } = question;
        let activation = [u8::from(*activation)];
        let parts = [&activation[..], title.as_bytes(), description.as_bytes()];
        Self(of_parts(parts.into_iter().chain(photos.iter().map(|photo| &photo[..]))))
    }
}

/// The latest and most wanted answers, within a bound in bytes.
pub(super) struct Answers(Option<Cache<Content, Arc<Inferred>, Weight>>);

#[derive(Clone)]
struct Weight;

impl Weighter<Content, Arc<Inferred>> for Weight {
    fn weight(&self, _: &Content, inferred: &Arc<Inferred>) -> u64 {
        inferred.bytes() as u64 + OVERHEAD
    }
}

impl Answers {
    /// None are kept where `bytes` is 0.
    pub fn new(bytes: u64) -> Self {
        Self((bytes > 0).then(|| Cache::with_weighter((bytes / USUAL).max(1) as usize, bytes, Weight)))
    }

    /// Bytes that it may take.
    pub fn capacity(&self) -> u64 {
        self.0.as_ref().map_or(0, Cache::capacity)
    }

    /// The answer that is there, or else what `ask` gives. Of equal requests at the same time one asks and the others wait
    /// for its answer; where it fails or gives up, the next one asks.
    pub async fn get_or_ask(
        &self,
        content: impl FnOnce() -> Content,
        deadline: Instant,
        ask: impl Future<Output = Result<Inferred, IntakeError>>,
    ) -> Result<Arc<Inferred>, IntakeError> {
        let Some(cache) = &self.0 else { return ask.await.map(Arc::new) };
        let asked = AtomicBool::new(false);
        let ask = async {
            asked.store(true, Ordering::Relaxed);
            ask.await.map(Arc::new)
        };
        let content = content();
        let answer = tokio::time::timeout_at(deadline.into(), cache.get_or_insert_async(&content, ask))
            .await
            .unwrap_or(Err(InferenceError::DeadlineExceeded.into()));
        metrics::cache_request("predictions", !asked.load(Ordering::Relaxed));
        answer
    }

    /// Bytes of what is kept.
    pub fn bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, Cache::weight)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicUsize, time::Duration};

    use super::*;
    use crate::inference::{Model, Outputs};

    fn inferred(logit: f32) -> Inferred {
        let row = Outputs {
            logits: vec![logit],
            subcategory_logits: vec![],
            embedding: vec![1.0],
            log_price: None,
            activation: None,
        };
        Inferred { model: Model::Text, rows: vec![row] }
    }

    fn content(title: &str) -> Content {
        Content::of(&Question { title, ..Question::default() })
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn equal_requests_at_the_same_time_share_one_run() {
        let answers = Answers::new(1 << 20);
        let runs = AtomicUsize::new(0);
        let ask = || async {
            runs.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(inferred(3.0))
        };
        let all = (0..8).map(|_| answers.get_or_ask(|| content("a bike"), soon(), ask()));
        let all = futures::future::join_all(all).await;
        assert!(all.iter().all(|answer| answer.as_ref().unwrap().rows[0].logits == [3.0]));
        assert_eq!(runs.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn another_listing_has_another_answer() {
        let answers = Answers::new(1 << 20);
        for (title, logit) in [("a bike", 1.0), ("a bed", 2.0), ("a bike", 1.0)] {
            let ask = async { Ok(inferred(logit)) };
            let answer = answers.get_or_ask(|| content(title), soon(), ask).await.unwrap();
            assert_eq!(answer.rows[0].logits, [logit]);
        }
        let of = |title, description| Content::of(&Question { title, description, ..Question::default() });
        assert_ne!(of("ab", "c"), of("a", "bc"));
    }

    #[tokio::test]
    async fn a_failure_is_not_remembered() {
        let answers = Answers::new(1 << 20);
        let failed = async { Err(InferenceError::Empty.into()) };
        assert!(answers.get_or_ask(|| content("a bike"), soon(), failed).await.is_err());
        let ask = async { Ok(inferred(1.0)) };
        answers.get_or_ask(|| content("a bike"), soon(), ask).await.unwrap();
    }

    #[tokio::test]
    async fn whoever_waits_for_the_answer_of_another_keeps_its_own_deadline() {
        let answers = Answers::new(1 << 20);
        let (given_up, first_may_end) = tokio::sync::oneshot::channel();
        let slow = async {
            first_may_end.await.unwrap();
            Ok(inferred(1.0))
        };
        let hasty = async {
            let ask = async { Ok(inferred(2.0)) };
            let deadline = Instant::now() + Duration::from_millis(10);
            let answer = answers.get_or_ask(|| content("a bike"), deadline, ask).await;
            given_up.send(()).unwrap();
            answer
        };
        let (first, second) = tokio::join!(answers.get_or_ask(|| content("a bike"), soon(), slow), hasty);
        assert_eq!(first.unwrap().rows[0].logits, [1.0]);
        assert!(matches!(second.unwrap_err(), IntakeError::Inference(InferenceError::DeadlineExceeded)));
    }

    #[tokio::test]
    async fn the_bound_in_bytes_holds() {
        let answers = Answers::new(64 << 10);
        for number in 0..2_000 {
            let ask = async { Ok(inferred(1.0)) };
            answers.get_or_ask(|| content(&number.to_string()), soon(), ask).await.unwrap();
        }
        assert!((1..=64 << 10).contains(&answers.bytes()));
    }
}
