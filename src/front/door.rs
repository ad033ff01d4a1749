//! The listener: it can be closed while the server goes on, so that whoever is through it already is heard.
//!
//! `axum-server` closes its listener and asks its connections to end at the same moment, and a connection that has just been
//! made then ends with its first request unread.
//!
//! Nor is it enough to accept whoever waits and to close then: the system goes on making connections until the listener is
//! gone, and cuts off those that nobody has accepted. So newcomers are turned away first, and the door is closed when those
//! who were half-way in have arrived.

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
#[cfg(target_os = "linux")]
use socket2::{SockFilter, SockRef};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use tracing::warn;

/// Who is at the door.
#[derive(Debug, Clone, Copy)]
pub struct Guest(SocketAddr);

/// Lets in whoever comes until it is closed.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    state: Mutex<State>,
    signs: Arc<Signs>,
}

/// What whoever stops the server shows the door.
#[derive(Debug, Default)]
pub struct Signs {
    /// Connections that have not begun do not begin.
    pub turn_away: Notify,
    /// Comes a moment later: the listener goes.
    pub close: Notify,
}

#[derive(Debug)]
enum State {
    Open(TcpListener),
    /// The system refuses whoever comes now. These came before.
    Closed(VecDeque<(TcpStream, SocketAddr)>),
}

impl Door {
    pub fn new(listener: TcpListener, signs: Arc<Signs>) -> io::Result<Self> {
        Ok(Self { address: listener.local_addr()?, state: Mutex::new(State::Open(listener)), signs })
    }

    /// The next who comes or came before it was closed; nobody is a wait without end.
    fn poll_next(&self, context: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        match &mut *self.state.lock() {
            State::Open(listener) => listener.poll_accept(context),
            State::Closed(waiting) => waiting.pop_front().map_or(Poll::Pending, |next| Poll::Ready(Ok(next))),
        }
    }

    fn turn_away(&self) {
        if let State::Open(listener) = &*self.state.lock()
            && let Err(error) = drop_newcomers(listener)
        {
            warn!(%error, "whoever connects in the moment before the listener is closed may be cut off");
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

/// Lets the system drop every packet that asks for a connection, while those that belong to one pass. Who asks tries again
/// about a second later, and is refused then.
#[cfg(target_os = "linux")]
fn drop_newcomers(listener: &TcpListener) -> io::Result<()> {
    // Instructions of Linux' classic packet filter, over a TCP header: its byte 13 holds the flags, of which 2 is SYN.
    const NO_SYN: [SockFilter; 4] = [
        SockFilter::new(0x30, 0, 0, 13),
        SockFilter::new(0x45, 0, 1, 2),
        SockFilter::new(0x06, 0, 0, 0),
        SockFilter::new(0x06, 0, 0, u32::MAX),
    ];
    SockRef::from(listener).attach_filter(&NO_SYN)
}

/// Elsewhere there is no such way.
#[cfg(not(target_os = "linux"))]
fn drop_newcomers(_: &TcpListener) -> io::Result<()> {
    Ok(())
}

impl AddrListener<TcpStream, Guest> for Door {
    async fn bind_to(Guest(address): Guest) -> io::Result<Self> {
        Self::new(TcpListener::bind(address).await?, Arc::default())
    }

    async fn accept_stream(&self) -> io::Result<(TcpStream, Guest)> {
        loop {
            tokio::select! {
                next = poll_fn(|context| self.poll_next(context)) => {
                    return next.map(|(stream, address)| (stream, Guest(address)));
                }
                () = self.signs.turn_away.notified() => self.turn_away(),
                () = self.signs.close.notified() => self.close()?,
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{
        net,
        sync::atomic::{AtomicBool, AtomicUsize, Ordering},
        thread,
        time::Duration,
    };

    use tokio::net::TcpSocket;

    use super::*;

    #[tokio::test]
    async fn the_closing_door_hears_of_everybody_who_got_a_connection() {
        const ROUNDS: usize = 50;
        // More than come at once: whoever finds the queue full believes in a connection that is none.
        const MANY: u32 = 4_096;
        for round in 0..ROUNDS {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let listener = socket.listen(MANY).unwrap();
            let address = listener.local_addr().unwrap();
            let (connected, closed) = (AtomicUsize::new(0), AtomicBool::new(false));
            let heard = thread::scope(|scope| {
                let connect = || {
                    while !closed.load(Ordering::SeqCst) {
                        let patience = Duration::from_millis(200);
                        let got_in = net::TcpStream::connect_timeout(&address, patience).is_ok();
                        connected.fetch_add(usize::from(got_in), Ordering::Relaxed);
                    }
                };
                let clients = [scope.spawn(connect), scope.spawn(connect)];
                let mut heard = 0;
                let system = SockRef::from(&listener);
                while heard < 100 {
                    heard += usize::from(system.accept().is_ok());
                }
                drop_newcomers(&listener).unwrap();
                closed.store(true, Ordering::SeqCst);
                for client in clients {
                    client.join().unwrap();
                }
                heard + waiting(listener).unwrap().len()
            });
            assert_eq!(heard, connected.into_inner(), "round {round}");
        }
    }
}
