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

use super::byte_budget::{ByteBudget, Share};

/// The bodies under way take all the memory there is for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the requests under way take all of --max-bodies-mb; send it again")]
pub struct NoRoom;

/// What one request's body takes of the memory. Given back when the request is answered, or sooner by
/// [`give_back`](Self::give_back).
#[derive(Debug, Clone)]
pub struct BodyShare(Arc<Mutex<Share>>);

impl BodyShare {
    /// For who reads a body in pieces, when what came of it is no longer in memory.
    pub fn give_back(&self) {
        self.0.lock().give_back();
    }

    /// The same of so many bytes.
    pub fn give_back_part(&self, bytes: usize) {
        self.0.lock().give_back_part(bytes);
    }
}

/// Middleware: counts what comes of a body until its request is answered; where there is no room it ends with [`NoRoom`].
pub async fn count_body(State(memory): State<ByteBudget>, mut request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let share = BodyShare(Arc::new(Mutex::new(memory.share())));
    request.extensions_mut().insert(share.clone());
    // What the handler makes of the body is gone when it has answered, so the last share is this function's; where the answer is
    // a stream that still reads, it is the body's.
    let counted = share.clone();
    let response = next.run(request.map(|body| counted_body(body, counted))).await;
    drop(share);
    response
}

fn counted_body(body: Body, BodyShare(share): BodyShare) -> Body {
    Body::from_stream(body.into_data_stream().map(move |piece| {
        let piece = piece?;
        share.lock().take(piece.len()).map_err(|_| axum::Error::new(NoRoom))?;
        Ok::<_, axum::Error>(piece)
    }))
}
