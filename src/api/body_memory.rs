//! Memory for the bodies of all requests under way. Each alone is bounded by `--max-body-mb`; as many as there may be
//! connections would still fill any machine.

use std::sync::Arc;

use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bodies under way take all the memory there is for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the requests under way take all memory there is for bodies; send it again")]
pub struct NoRoom;

/// A permit a byte.
#[derive(Debug, Clone)]
pub struct BodyMemory(Arc<Semaphore>);

/// What one request's body takes of the memory. Given back when the request is answered, or sooner by
/// [`give_back`](Self::give_back).
#[derive(Debug, Clone)]
pub struct BodyShare {
    memory: Arc<Semaphore>,
    taken: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl BodyMemory {
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    fn share(&self) -> BodyShare {
        BodyShare { memory: Arc::clone(&self.0), taken: Arc::default() }
    }
}

impl BodyShare {
    fn take(&self, bytes: usize) -> Result<(), NoRoom> {
        let permits = u32::try_from(bytes).map_err(|_| NoRoom)?;
        let more = Arc::clone(&self.memory).try_acquire_many_owned(permits).map_err(|_| NoRoom)?;
        match &mut *self.taken.lock() {
            Some(taken) => taken.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }

    /// For who reads a body in pieces, when what came of it is no longer in memory.
    pub fn give_back(&self) {
        *self.taken.lock() = None;
    }
}

/// Middleware: counts what comes of a body until its request is answered; where there is no room it ends with [`NoRoom`].
pub async fn count_body(State(memory): State<BodyMemory>, mut request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let share = memory.share();
    request.extensions_mut().insert(share.clone());
    // What the handler makes of the body is gone when it has answered, so the last share is this function's; where the answer is
    // a stream that still reads, it is the body's.
    let counted = share.clone();
    let response = next.run(request.map(|body| counted_body(body, counted))).await;
    drop(share);
    response
}

fn counted_body(body: Body, share: BodyShare) -> Body {
    Body::from_stream(body.into_data_stream().map(move |piece| {
        let piece = piece?;
        share.take(piece.len()).map_err(axum::Error::new)?;
        Ok::<_, axum::Error>(piece)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_until_a_share_is_given_back() {
        let memory = BodyMemory::new(100);
        let (first, second) = (memory.share(), memory.share());
        assert_eq!((first.take(40), first.take(40)), (Ok(()), Ok(())));
        assert_eq!((second.take(21), second.take(20)), (Err(NoRoom), Ok(())));
        drop(first);
        assert_eq!(second.take(80), Ok(()));
        second.give_back();
        assert_eq!(memory.share().take(100), Ok(()));
    }
}
