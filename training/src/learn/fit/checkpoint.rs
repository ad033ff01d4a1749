//! A training on disk at the end of an epoch, to go on from.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use burn::{module::Module, optim::ModuleOptimizer};
use serde::{Deserialize, Serialize};

use super::{Epoch, FitConfig};

const CURRENT: &str = "checkpoint";
const STATE: &str = "state.json";
const NETWORK: &str = "network.bpk";
const BEST: &str = "best.bpk";
const OPTIMIZER: &str = "optimizer.bpk";

/// How far a training has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub config: FitConfig,
    /// What it is trained on; a training does not go on with other examples.
    pub examples: String,
    pub epochs: Vec<Epoch>,
    /// Index of the best epoch.
    pub best: usize,
}

/// Where a training keeps its checkpoint: the network, the best one so far, the optimiser's state, and the progress.
pub struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    /// Checkpoints in a run folder, which exists.
    pub fn new(run: &Path) -> Self {
        Self { folder: run.to_owned() }
    }

    /// Whether there is a training to go on from.
    pub fn exist(&self) -> bool {
        self.current().join(STATE).is_file()
    }

    /// Takes the place of the last checkpoint, whole or not at all: it is written beside and renamed.
    ///
    /// # Errors
    /// The disk refuses the write; the last checkpoint stays.
    pub fn save<M: Module>(
        &self,
        progress: &Progress,
        network: &M,
        best: &M,
        optimizer: &ModuleOptimizer,
    ) -> Result<()> {
        let current = self.folder.join(CURRENT);
        let cannot_write = || format!("cannot write the checkpoint {}", current.display());
        let fresh = tempfile::Builder::new()
            .prefix(".checkpoint-")
            .tempdir_in(&self.folder)
            .with_context(cannot_write)?;
        let file = |name| fresh.path().join(name);
        network.clone().save_file(file(NETWORK)).with_context(cannot_write)?;
        best.clone().save_file(file(BEST)).with_context(cannot_write)?;
        optimizer.save(file(OPTIMIZER)).with_context(cannot_write)?;
        fs::write(file(STATE), serde_json::to_vec_pretty(progress)?).with_context(cannot_write)?;
        // A folder cannot be renamed over one that holds files: the old one steps aside first, and comes back should the
        // new one not take its place.
        let aside = self.aside();
        self.remove(&aside)?;
        if current.exists() {
            fs::rename(&current, &aside).with_context(cannot_write)?;
        }
        fs::rename(fresh.keep(), &current).with_context(cannot_write)?;
        self.remove(&aside)
    }

    /// The last checkpoint: progress, network in training, best network at rest, optimiser. `network` and `optimizer` give the shape.
    ///
    /// # Errors
    /// It is damaged, or of another training than `config` and `examples` describe.
    pub fn load<M: Module>(
        &self,
        config: &FitConfig,
        examples: &str,
        network: M,
        optimizer: ModuleOptimizer,
    ) -> Result<(Progress, M, M, ModuleOptimizer)> {
        let current = self.current();
        let path = current.join(STATE);
        let state = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let progress: Progress =
            serde_json::from_slice(&state).with_context(|| format!("{} is damaged", path.display()))?;
        ensure!(
            progress.config == *config && progress.examples == examples,
            "the training in {} has other settings or other data; give it the same ones, or leave out --resume to start \
             anew",
            self.folder.display()
        );
        let damaged = || format!("the checkpoint {} is damaged", current.display());
        let best = network.clone().try_load_file(current.join(BEST)).with_context(damaged)?.valid();
        let network = network.try_load_file(current.join(NETWORK)).with_context(damaged)?;
        let optimizer = optimizer.load(current.join(OPTIMIZER)).with_context(damaged)?;
        Ok((progress, network, best, optimizer))
    }

    fn current(&self) -> PathBuf {
        let current = self.folder.join(CURRENT);
        // Without it, the machine went down between the two renames of `save`.
        if current.exists() { current } else { self.aside() }
    }

    fn aside(&self) -> PathBuf {
        self.folder.join(format!(".{CURRENT}-old"))
    }

    fn remove(&self, folder: &Path) -> Result<()> {
        if !folder.exists() {
            return Ok(());
        }
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
    }
}
