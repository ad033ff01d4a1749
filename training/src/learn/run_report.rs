//! `run.json` in a run folder: what was trained, with which settings, and how it went, epoch by epoch.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::{
    fit::{Epoch, FitConfig, Score},
    run::Model,
};

const RUN: &str = "run.json";

/// What `run.json` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    pub model: String,
    /// Hash of the clean table.
    pub data_sha256: String,
    pub seed: u64,
    /// Hash of the teacher's answers, where there was one.
    #[serde(default)]
    pub teacher: Option<String>,
    /// Each expert that was trained, how, and how it went.
    pub experts: Vec<Expert>,
    /// The whole model on the validation split.
    pub validation: Score,
}

/// One training of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expert {
    pub name: String,
    pub fit: FitConfig,
    /// Index of the epoch whose weights were kept.
    pub best_epoch: usize,
    pub epochs: Vec<Epoch>,
}

impl RunReport {
    /// Puts it into a run folder, and says where.
    ///
    /// # Errors
    /// The disk refuses the write.
    pub fn write(&self, run: &Path) -> Result<PathBuf> {
        let path = run.join(RUN);
        fs::write(&path, serde_json::to_vec_pretty(self)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// The reports of all runs in a folder, by the names of their folders; none where there is no such folder.
    ///
    /// # Errors
    /// A folder or a report does not read.
    pub fn read_all(runs: &Path) -> Result<Vec<Self>> {
        let cannot_read = || format!("cannot read {}", runs.display());
        let folders = match fs::read_dir(runs) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            folders => folders.with_context(cannot_read)?,
        };
        let mut paths = Vec::new();
        for folder in folders {
            paths.push(folder.with_context(cannot_read)?.path().join(RUN));
        }
        paths.retain(|path| path.is_file());
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    /// Refuses the run of a model that was trained on another table than the one of this hash. A run that left no report is
    /// taken as it is.
    ///
    /// # Errors
    /// It was trained on another table, or its report does not read.
    pub fn ensure_trained_on(data_sha256: &str, runs: &Path, model: Model) -> Result<()> {
        let run = runs.join(model.name());
        let path = run.join(RUN);
        ensure!(
            !path.is_file() || Self::read(&path)?.data_sha256 == data_sha256,
            "the run {} was trained on another table (its data_sha256 differs), whose labels and splits are not this one's; \
             run `marketrank-train train {}` again",
            run.display(),
            model.name()
        );
        Ok(())
    }

    fn read(path: &Path) -> Result<Self> {
        let json = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&json)
            .with_context(|| format!("{} is no report of a training; train that model again", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_another_table_is_refused_with_its_folder_and_the_command_that_mends_it() {
        let runs = tempfile::tempdir().unwrap();
        let check = |table| RunReport::ensure_trained_on(table, runs.path(), Model::Text);
        assert!(check("this table").is_ok(), "it says nothing of its table");
        let report = RunReport {
            model: "text".into(),
            data_sha256: "this table".into(),
            seed: 1,
            teacher: None,
            experts: Vec::new(),
            validation: Score { loss: 0.5, accuracy: 0.75 },
        };
        let run = runs.path().join("text");
        fs::create_dir(&run).unwrap();
        report.write(&run).unwrap();
        assert!(check("this table").is_ok());
        let message = check("another table").unwrap_err().to_string();
        for part in [run.to_str().unwrap(), "`marketrank-train train text`"] {
            assert!(message.contains(part), "{message}");
        }
    }
}
