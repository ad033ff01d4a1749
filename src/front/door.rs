//! The listener: it can be closed while the server goes on, so that whoever is through it already is heard.
//!
//! `axum-server` closes its listener and asks its connections to end at the same moment, and a connection that has just been
//! made then ends with its first request unread.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
};

use axum::extract::connect_info::Connected;
use axum_server::{AddrListener, Address};
use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// Who is at the door.
#[derive(Debug, Clone, Copy)]
pub struct Guest(SocketAddr);

/// Lets in whoever comes until it is closed.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    state: Mutex<State>,
    closing: Arc<Notify>,
}

#[derive(Debug)]
enum State {
    Open(TcpListener),
    /// The system refuses whoever comes now. These came before.
    Closed(VecDeque<(TcpStream, SocketAddr)>),
}

impl Door {
    /// `closing` closes it.
    pub fn new(listener: TcpListener, closing: Arc<Notify>) -> io::Result<Self> {
        Ok(Self { address: listener.local_addr()?, state: Mutex::new(State::Open(listener)), closing })
    }

    /// The next who comes or came before it was closed; nobody is a wait without end.
    fn poll_next(&self, context: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        match &mut *self.state.lock() {
            State::Open(listener) => listener.poll_accept(context),
            State::Closed(waiting) => waiting.pop_front().map_or(Poll::Pending, |next| Poll::Ready(Ok(next))),
        }
    }

    fn close(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        if let State::Open(listener) = std::mem::replace(&mut *state, State::Closed(VecDeque::new())) {
            *state = State::Closed(waiting(listener)?);
        }
        Ok(())
    }
}

/// Those whose connections the system has made and nobody has accepted; asked of the system itself, because tokio hears of
/// them a moment later.
fn waiting(listener: TcpListener) -> io::Result<VecDeque<(TcpStream, SocketAddr)>> {
    let listener = listener.into_std()?;
    let mut waiting = VecDeque::new();
    while let Ok((stream, address)) = listener.accept() {
        stream.set_nonblocking(true)?;
        waiting.push_back((TcpStream::from_std(stream)?, address));
    }
    Ok(waiting)
}

impl AddrListener<TcpStream, Guest> for Door {
    async fn bind_to(Guest(address): Guest) -> io::Result<Self> {
        Self::new(TcpListener::bind(address).await?, Arc::default())
    }

    async fn accept_stream(&self) -> io::Result<(TcpStream, Guest)> {
        let next = async || {
            poll_fn(|context| self.poll_next(context)).await.map(|(stream, address)| (stream, Guest(address)))
        };
        tokio::select! {
            next = next() => next,
            () = self.closing.notified() => {
                self.close()?;
                next().await
            }
        }
    }

    fn get_local_addr(&self) -> io::Result<Guest> {
        Ok(Guest(self.address))
    }
}

impl Address for Guest {
    type Stream = TcpStream;
    type Listener = Door;
}

impl Connected<Guest> for SocketAddr {
    fn connect_info(Guest(address): Guest) -> Self {
        address
    }
}
