//! The thread that keeps the engine in shape while searches and writes go on.

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use super::{backlog::Backlog, reader::Reader};

/// Time between two looks at what there is to do, unless the writer waits. Looking costs nothing, and what was written
/// since is searched by a scan in the meantime.
const EVERY: Duration = Duration::from_secs(10);
/// How long closing waits for an optimisation in progress.
const PATIENCE: Duration = Duration::from_secs(20);

/// The thread, which stops with the backlog's end.
pub struct Optimiser {
    stopped: Receiver<()>,
}

impl Optimiser {
    pub fn start(reader: Arc<Reader>) -> std::io::Result<Self> {
        let (ended, stopped) = mpsc::channel();
        std::thread::Builder::new().name("catalogue-optimiser".to_owned()).spawn(move || {
            work(&reader);
            // First the folder, so that whoever waited may open it again.
            drop(reader);
            drop(ended);
        })?;
        Ok(Self { stopped })
    }

    /// Waits until the thread has stopped, though not for ever: an optimisation cannot be broken off, and whatever
    /// was acknowledged is in the journal.
    pub fn wait(self) {
        let ended: Result<(), _> = self.stopped.recv_timeout(PATIENCE);
        if ended == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the catalogue is still being optimised; the next start reads the journal back");
        }
    }
}

fn work(reader: &Reader) {
    let _unwaited = Unwaited(&reader.engine.backlog);
    while reader.engine.backlog.wait_for_work(EVERY) {
        let Some(upkeep) = reader.engine.upkeep_in_a_moment() else { continue };
        if let Err(error) = reader.engine.optimise(&upkeep) {
            tracing::error!(%error, "the catalogue could not be optimised; searches become slower");
        }
    }
}

/// Whatever ends the optimiser, a panic of the engine included, the writer does not wait for it any more.
struct Unwaited<'a>(&'a Backlog);

impl Drop for Unwaited<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
