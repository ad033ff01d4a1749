//! The cluster's nodes: which one is asked, how long, how often, and when no more.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use qdrant_client::{Qdrant, QdrantError};

use super::breaker::Breaker;
use crate::catalogue::CatalogueError;

/// How often a request is sent, at most. Every request here may be sent twice: reads change nothing, and a write says
/// what is to be there afterwards.
const ATTEMPTS: u32 = 3;
/// Wait before the second attempt; twice as long before the third.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// Any node can answer any request: it asks the others for what it does not hold.
pub struct Nodes {
    clients: Vec<Qdrant>,
    /// The node that is asked first.
    preferred: AtomicUsize,
    breaker: Breaker,
}

impl Nodes {
    /// # Errors
    /// [`CatalogueError::Unusable`] if there is no address, or one is none.
    pub fn connect(
        addresses: &[String],
        api_key: Option<&str>,
        timeout: Duration,
    ) -> Result<Self, CatalogueError> {
        if addresses.is_empty() {
            return Err(CatalogueError::Unusable(
                "the cluster has no address; give one with --qdrant".into(),
            ));
        }
        let client = |address: &String| {
            let mut config = Qdrant::from_url(address).timeout(timeout).connect_timeout(timeout);
            if let Some(key) = api_key {
                config = config.api_key(key);
            }
            config.skip_compatibility_check().build().map_err(|error| {
                CatalogueError::Unusable(format!(
                    "{address} is no address of a Qdrant node such as http://10.0.0.5:6334: {error}"
                ))
            })
        };
        let clients = addresses.iter().map(client).collect::<Result<_, _>>()?;
        Ok(Self { clients, preferred: AtomicUsize::new(0), breaker: Breaker::default() })
    }

    /// Sends a request, again and to the next node where one does not answer.
    ///
    /// # Errors
    /// [`CatalogueError::Unavailable`] where no attempt was answered, or too many before it were not;
    /// [`CatalogueError::Engine`] where the cluster refused.
    pub async fn ask<R: Clone + Send + Sync + 'static, T>(
        &self,
        request: R,
        send: impl for<'a> Fn(&'a Qdrant, R) -> BoxFuture<'a, Result<T, QdrantError>> + Send + Sync,
    ) -> Result<T, CatalogueError> {
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            if !self.breaker.allows(Instant::now()) {
                return Err(unavailable("it has not answered for a while"));
            }
            let place = self.preferred.load(Ordering::Relaxed) % self.clients.len();
            let Some(client) = self.clients.get(place) else { break };
            match send(client, request.clone()).await {
                Ok(answer) => {
                    self.breaker.succeeded();
                    return Ok(answer);
                }
                Err(error) if is_passing(&error) => {
                    // Whoever failed at the same time has moved on already, and once is enough. It counts once, too: many
                    // failures at one dead node say nothing of the next.
                    let moved = self.preferred.compare_exchange(
                        place,
                        (place + 1) % self.clients.len(),
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    );
                    if moved.is_ok() {
                        self.breaker.failed(Instant::now());
                    }
                    if attempt == ATTEMPTS {
                        return Err(unavailable(&error.to_string()));
                    }
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                Err(error) => {
                    // It answers, though not with what was hoped for.
                    self.breaker.succeeded();
                    return Err(CatalogueError::Engine(error.to_string()));
                }
            }
        }
        Err(unavailable("it has no nodes"))
    }
}

fn unavailable(why: &str) -> CatalogueError {
    CatalogueError::Unavailable(format!("the catalogue's cluster does not answer: {why}; try again later"))
}

/// Whether the same request may succeed a moment later or at another node.
fn is_passing(error: &QdrantError) -> bool {
    match error {
        QdrantError::ResponseError { status } => {
            // gRPC's own names: the crate that defines the codes is not ours to name.
            let code = format!("{:?}", status.code());
            let broken = ["Failed to connect", "h2 protocol error"];
            matches!(
                code.as_str(),
                // The client makes "Unknown" of a connection that ends under a request; Qdrant itself has better names.
                "Unavailable" | "DeadlineExceeded" | "ResourceExhausted" | "Aborted" | "Cancelled" | "Unknown"
            )
            // What the client makes of a connection that is refused, or breaks off within an answer.
            || (code == "Internal" && broken.iter().any(|start| status.message().starts_with(start)))
        }
        QdrantError::ResourceExhaustedError { .. } | QdrantError::Io(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use futures::future::join_all;
    use tokio::sync::Barrier;

    use super::*;

    /// More than open the circuit one after the other.
    const AT_ONCE: usize = 8;

    #[tokio::test]
    async fn requests_that_fail_together_at_one_dead_node_are_all_answered_by_the_next() {
        let addresses = ["http://127.0.0.1:1", "http://127.0.0.1:2"].map(str::to_owned);
        let nodes = &Nodes::connect(&addresses, None, Duration::from_secs(1)).unwrap();
        let all_sent = &Arc::new(Barrier::new(AT_ONCE));
        let answers = (0..AT_ONCE).map(|_| {
            nodes.ask((), move |client, ()| {
                let is_dead = std::ptr::eq(client, &nodes.clients[0]);
                let all_sent = Arc::clone(all_sent);
                Box::pin(async move {
                    if is_dead {
                        all_sent.wait().await;
                        return Err(QdrantError::Io(io::Error::other("it is dead")));
                    }
                    Ok(())
                })
            })
        });
        for answer in join_all(answers).await {
            answer.unwrap();
        }
        assert!(nodes.breaker.allows(Instant::now()));
    }

    #[tokio::test]
    async fn a_single_node_that_is_dead_opens_the_circuit() {
        let nodes = Nodes::connect(&["http://127.0.0.1:1".to_owned()], None, Duration::from_secs(1)).unwrap();
        for _ in 0..2 {
            let answer: Result<(), _> = nodes
                .ask((), |_, ()| Box::pin(async { Err(QdrantError::Io(io::Error::other("it is dead"))) }))
                .await;
            assert!(matches!(answer, Err(CatalogueError::Unavailable(_))));
        }
        assert!(!nodes.breaker.allows(Instant::now()));
    }
}
