//! Stands between the server and a Qdrant, and fails as networks and nodes fail.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// What becomes of the bytes between the two.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// They pass.
    None,
    /// As if the process were gone: every connection is closed, and each new one at once.
    Stopped,
    /// Connections stay open and nothing passes.
    Stalled,
    /// Every answer comes this much later.
    Late(Duration),
    /// Requests arrive; at the first byte of an answer the connection is dropped.
    AnswersCut,
}

pub struct FaultProxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    fault: Mutex<Fault>,
    /// Both ends of every connection so far.
    streams: Mutex<Vec<TcpStream>>,
}

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Request,
    Answer,
}

impl FaultProxy {
    /// Listens on a free port and passes everything on to `target`.
    pub fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { fault: Mutex::new(Fault::None), streams: Mutex::default() });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.fault() != Fault::Stopped {
                    // A target that is away is a connection that closes.
                    let _ = accepting.connect(client, target);
                }
            }
        });
        Self { address, shared }
    }

    pub fn set(&self, fault: Fault) {
        *lock(&self.shared.fault) = fault;
        if fault == Fault::Stopped {
            lock(&self.shared.streams).drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        }
    }
}

impl Shared {
    fn fault(&self) -> Fault {
        *lock(&self.fault)
    }

    fn connect(self: &Arc<Self>, client: TcpStream, target: SocketAddr) -> std::io::Result<()> {
        let node = TcpStream::connect(target)?;
        for stream in [&client, &node] {
            stream.set_nodelay(true)?;
            lock(&self.streams).push(stream.try_clone()?);
        }
        for (from, to, way) in
            [(client.try_clone()?, node.try_clone()?, Way::Request), (node, client, Way::Answer)]
        {
            let shared = Arc::clone(self);
            thread::spawn(move || {
                let _ = shared.pass(&from, &to, way);
                drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
            });
        }
        Ok(())
    }

    /// Passes bytes on one way until either end closes, or the fault closes both.
    fn pass(&self, mut from: &TcpStream, mut to: &TcpStream, way: Way) -> std::io::Result<()> {
        let mut piece = [0; 16 << 10];
        loop {
            let read = from.read(&mut piece)?;
            if read == 0 {
                return Ok(());
            }
            while self.fault() == Fault::Stalled {
                thread::sleep(Duration::from_millis(10));
            }
            match (self.fault(), way) {
                (Fault::Stopped, _) | (Fault::AnswersCut, Way::Answer) => return Ok(()),
                (Fault::Late(delay), Way::Answer) => thread::sleep(delay),
                _ => {}
            }
            to.write_all(&piece[..read])?;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
