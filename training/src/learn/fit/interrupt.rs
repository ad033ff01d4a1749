//! Ctrl-C: a training stops after the batch it is in, with its last checkpoint on disk.

use std::sync::{
    Once,
    atomic::{AtomicBool, Ordering},
};

static ASKED_TO_STOP: AtomicBool = AtomicBool::new(false);
static LISTEN: Once = Once::new();

/// From now on Ctrl-C does not end the program: it makes [`asked_to_stop`] true. A second one ends it at once.
pub fn listen() {
    LISTEN.call_once(|| {
        let outcome = ctrlc::set_handler(|| {
            if ASKED_TO_STOP.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        });
        if let Err(error) = outcome {
            tracing::warn!("Ctrl-C will end the training without a word: {error}");
        }
    });
}

pub fn asked_to_stop() -> bool {
    ASKED_TO_STOP.load(Ordering::Relaxed)
}
