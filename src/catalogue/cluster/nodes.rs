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
                    self.breaker.failed(Instant::now());
                    // Whoever failed at the same time has moved on already, and once is enough.
                    let _ = self.preferred.compare_exchange(
                        place,
                        (place + 1) % self.clients.len(),
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    );
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
