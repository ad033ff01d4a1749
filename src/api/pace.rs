//! Bodies that come too slowly: whoever sends a byte now and then would hold a connection and its memory for ever.

use std::time::Duration;

use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::time::{Instant, timeout};

/// Bytes that buy a second more.
const BYTES_A_SECOND: usize = 1_024;

/// The body kept the server waiting for longer than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it came too slowly")]
pub struct TooSlow;

/// Middleware: a body may be waited for `patience`, and a second longer for each KiB that has come, but never longer than
/// `patience` at a time. What the server does between two pieces does not count.
pub async fn pace_body(State(patience): State<Duration>, request: Request, next: Next) -> Response {
    next.run(request.map(|body| paced(body, patience))).await
}

fn paced(body: Body, patience: Duration) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let start = Some((body.into_data_stream(), Allowance::new(patience)));
    let pieces = stream::unfold(start, |reading| async move {
        let (mut body, mut allowance) = reading?;
        let since = Instant::now();
        match timeout(allowance.left, body.next()).await {
            Err(_) => Some((Err(axum::Error::new(TooSlow)), None)),
            Ok(None) => None,
            Ok(Some(Err(error))) => Some((Err(error), None)),
            Ok(Some(Ok(piece))) => {
                allowance.count(since.elapsed(), piece.len());
                Some((Ok::<Bytes, axum::Error>(piece), Some((body, allowance))))
            }
        }
    });
    // Whoever reads lines asks once more after the end.
    Body::from_stream(pieces.fuse())
}

/// How much longer a body may be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Allowance {
    left: Duration,
    most: Duration,
}

impl Allowance {
    fn new(patience: Duration) -> Self {
        Self { left: patience, most: patience }
    }

    /// A piece of this many bytes came after this wait.
    fn count(&mut self, waited: Duration, bytes: usize) {
        let earned = Duration::from_secs_f64(bytes as f64 / BYTES_A_SECOND as f64);
        self.left = (self.left.saturating_sub(waited) + earned).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of these pieces (seconds of wait, bytes) come before 10 s of patience are used up.
    fn taken(pieces: impl IntoIterator<Item = (u64, usize)>) -> usize {
        let mut allowance = Allowance::new(Duration::from_secs(10));
        let in_time = |&(wait, bytes): &(u64, usize)| {
            let wait = Duration::from_secs(wait);
            let in_time = wait < allowance.left;
            allowance.count(wait, bytes);
            in_time
        };
        pieces.into_iter().take_while(in_time).count()
    }

    #[test]
    fn a_drip_uses_the_patience_up_and_a_slow_line_does_not() {
        assert_eq!(taken([(3, 1); 100]), 3);
        // 4 KiB every 3 s is more than a KiB a second.
        assert_eq!(taken([(3, 4_096); 100]), 100);
    }

    #[test]
    fn what_came_before_buys_no_longer_pause_than_the_patience() {
        assert_eq!(taken([(0, 64 << 20), (11, 1)]), 1);
        assert_eq!(taken([(0, 64 << 20), (9, 1)]), 2);
    }
}
