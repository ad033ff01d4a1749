//! Files that are read again when they change: keys and certificates are rotated without a restart.

use std::{path::PathBuf, time::Duration};

use sha2::{Digest, Sha256};

/// How often the files are looked at. Their contents are compared: a certificate manager may replace a file, write into it, or
/// turn a link to another, and not all of that shows in a time of change.
const EVERY: Duration = Duration::from_secs(1);

/// Files and what they held when they were last looked at.
#[derive(Debug)]
pub struct Watched {
    files: Vec<PathBuf>,
    before: Vec<Option<[u8; 32]>>,
}

impl Watched {
    pub fn new(files: Vec<PathBuf>) -> Self {
        Self { files, before: Vec::new() }
    }

    /// Waits until one of the files holds something else than before, or can be read no longer or again. The first look is a
    /// change too: whoever read the files before may have read them before one was replaced.
    pub async fn changed(&mut self) {
        loop {
            tokio::time::sleep(EVERY).await;
            let now = fingerprint(&self.files).await;
            if now != self.before {
                self.before = now;
                return;
            }
        }
    }
}

/// What the files hold; none in the place of one that cannot be read.
async fn fingerprint(files: &[PathBuf]) -> Vec<Option<[u8; 32]>> {
    let mut prints = Vec::with_capacity(files.len());
    for file in files {
        prints.push(tokio::fs::read(file).await.ok().map(|bytes| Sha256::digest(bytes).into()));
    }
    prints
}
