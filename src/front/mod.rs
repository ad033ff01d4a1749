//! The door: connections are counted, clients that are slow to say what they want are sent away, and TLS is spoken.
//!
//! [`door`] lets connections in, [`slots`] counts them, [`tls`] keeps the certificate. HTTP itself is hyper's, run by `axum-server`.

mod door;
mod slots;
mod tls;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, Version, header},
    middleware::{self, Next},
    response::Response,
};
use axum_server::{Handle, Server, tls_rustls::RustlsAcceptor};
use tokio::net::TcpListener;
use tracing::debug;

pub use self::tls::{Tls, TlsError, TlsFiles};
use self::{
    door::{Door, Guest, Signs},
    slots::Slots,
};

/// Largest head of a request, in bytes.
const LARGEST_HEAD: usize = 64 << 10;
/// Requests that one HTTP/2 connection may have in flight.
const STREAMS: u32 = 64;
/// Streams that a client may have reset before they were looked at, at most: more is the "rapid reset" attack
/// (CVE-2023-44487).
const PENDING_RESETS: usize = 20;
/// An HTTP/2 connection is asked this often whether it is still there, and closed where it does not answer in as long.
const PING: Duration = Duration::from_secs(20);

/// What clients may cost before they have said what they want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections open at once.
    pub connections: usize,
    /// Time for a TLS handshake, for a request's head, and between two requests of a connection.
    pub header_timeout: Duration,
}

/// Stops a server that [`serve`] runs.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    handle: Handle<Guest>,
    last_call: Arc<AtomicBool>,
    signs: Arc<Signs>,
}

impl Stop {
    /// From now on every answer is the last one of its connection, and says so. A client that knows sends nothing more on
    /// it; one that does not know may be sending its next request while the connection is closed, and lose it.
    pub fn call_last(&self) {
        self.last_call.store(true, Ordering::Relaxed);
    }

    /// From now on nobody new is connected; who is half-way in still arrives.
    pub fn turn_away(&self) {
        self.signs.turn_away.notify_one();
    }

    /// From now on whoever connects is refused.
    pub fn close_door(&self) {
        self.signs.close.notify_one();
    }

    /// From now on a connection ends once what is in flight on it is answered.
    pub fn gently(&self) {
        self.handle.graceful_shutdown(None);
    }

    /// Ends every connection.
    pub fn at_once(&self) {
        self.handle.shutdown();
    }
}

/// Middleware for [`Stop::call_last`]. HTTP/2 has a message of its own for this (GOAWAY).
async fn say_last(State(last_call): State<Arc<AtomicBool>>, request: Request, next: Next) -> Response {
    let by_header = request.version() <= Version::HTTP_11;
    let mut response = next.run(request).await;
    if by_header && last_call.load(Ordering::Relaxed) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Serves until it is stopped and every connection has ended.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Tls>,
    bounds: Bounds,
    stop: Stop,
) -> io::Result<()> {
    let mut server = Server::from_listener(Door::new(listener, stop.signs)?)
        .handle(stop.handle)
        .first_request_timeout(bounds.header_timeout)
        .accept_error_handler(|address, error| debug!(?address, %error, "a connection was not accepted"));
    let http = server.http_builder();
    http.http1().header_read_timeout(bounds.header_timeout).max_buf_size(LARGEST_HEAD);
    http.http2()
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(LARGEST_HEAD as u32)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    let router = router.layer(middleware::from_fn_with_state(stop.last_call, say_last));
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let slots = Slots::new(bounds.connections);
    match tls {
        None => server.acceptor(slots).serve(service).await,
        Some(tls) => {
            let acceptor =
                RustlsAcceptor::new(tls.config()).handshake_timeout(bounds.header_timeout).acceptor(slots);
            server.acceptor(acceptor).serve(service).await
        }
    }
}
