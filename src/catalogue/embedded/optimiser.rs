//! The thread that keeps the engine in shape while searches and writes go on.

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    time::Duration,
};

use super::reader::Reader;

/// Time between two looks at what there is to do. Looking costs nothing, and what was written since is searched
/// by a scan in the meantime.
const EVERY: Duration = Duration::from_secs(10);
/// How long closing waits for an optimisation in progress.
const PATIENCE: Duration = Duration::from_secs(20);

/// The thread, which ends when it is asked to.
pub struct Optimiser {
    stop: Sender<()>,
    stopped: Receiver<()>,
}

impl Optimiser {
    pub fn start(reader: Arc<Reader>) -> std::io::Result<Self> {
        let (stop, stops) = mpsc::channel();
        let (ended, stopped) = mpsc::channel();
        std::thread::Builder::new().name("catalogue-optimiser".to_owned()).spawn(move || {
            while stops.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                let upkeep = reader.engine.upkeep();
                if let Err(error) = reader.engine.optimise(&upkeep) {
                    tracing::error!(%error, "the catalogue could not be optimised; searches become slower");
                }
            }
            // First the folder, so that whoever waited may open it again.
            drop(reader);
            drop(ended);
        })?;
        Ok(Self { stop, stopped })
    }

    /// Asks the thread to end and waits for it, though not for ever: an optimisation cannot be broken off, and whatever
    /// was acknowledged is in the journal.
    pub fn stop(self) {
        drop::<Sender<()>>(self.stop);
        let ended: Result<(), _> = self.stopped.recv_timeout(PATIENCE);
        if ended == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the catalogue is still being optimised; the next start reads the journal back");
        }
    }
}
