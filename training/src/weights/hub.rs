//! Where published weights come from: a path, or a model of the Hugging Face hub.

use std::convert::Infallible;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use reqwest::{Client, Response};
use tempfile::NamedTempFile;

/// The weight file a model of the hub is read from.
const HUB_WEIGHTS: &str = "model.safetensors";

/// What a command line's `--weights` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WeightsSource {
    /// A weight file, or a folder with one and the files that belong to it.
    Path(PathBuf),
    /// A model of the hub, such as `timm/resnet50.a1_in1k`.
    Hub(String),
}

impl FromStr for WeightsSource {
    type Err = Infallible;

    /// `owner/name` is a model of the hub, unless something lies at that path. All else is a path.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !Path::new(text).exists() && is_hub_id(text) {
            return Ok(Self::Hub(text.to_owned()));
        }
        Ok(Self::Path(text.into()))
    }
}

impl fmt::Display for WeightsSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(formatter),
            Self::Hub(id) => id.fmt(formatter),
        }
    }
}

fn is_hub_id(text: &str) -> bool {
    let is_name = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphanumeric())
            && part.chars().all(|symbol| symbol.is_ascii_alphanumeric() || "-_.".contains(symbol))
    };
    let is_weight_file = [".safetensors", ".pth", ".pt", ".bin"].iter().any(|end| text.ends_with(end));
    !is_weight_file && text.split_once('/').is_some_and(|(owner, name)| is_name(owner) && is_name(name))
}

/// The files of one model, on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightFiles {
    /// The `.safetensors` or `.pth` file.
    pub weights: PathBuf,
}

impl WeightFiles {
    /// The path of a file that belongs to the weights, such as `config.json`.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.weights.with_file_name(name)
    }
}

/// Why no weights were found.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("there is no file or folder {path}; give a path, or a model of the hub as owner/name")]
    NoPath { path: PathBuf },
    #[error("{folder} holds no {HUB_WEIGHTS}, nor exactly one .safetensors or .pth file")]
    NoWeights { folder: PathBuf },
    #[error("{weights} needs {name} beside it, in {folder}", folder = weights.with_file_name("").display())]
    NoCompanion { weights: PathBuf, name: String },
    #[error(
        "cannot fetch {url}: {reason}; put {files} of {id} in {folder}, or give the path of the weights instead",
        folder = folder.display()
    )]
    Unreachable { id: String, url: String, reason: String, files: String, folder: PathBuf },
}

/// The Hugging Face hub, and the folder its files are kept in once fetched.
#[derive(Debug, Clone)]
pub struct Hub {
    /// `https://huggingface.co`, or a mirror of it.
    pub endpoint: String,
    /// Each model has a folder `owner--name` here.
    pub cache: PathBuf,
}

impl WeightsSource {
    /// The weights, with the files named in `beside` next to them. What the hub has and the cache has not is fetched.
    ///
    /// # Errors
    /// If a path or a file beside it does not exist, or the hub does not answer with the file; the message then says
    /// which file to put where.
    pub fn locate(&self, beside: &[&str], hub: &Hub) -> Result<WeightFiles, SourceError> {
        let weights = match self {
            Self::Path(path) if path.is_dir() => weights_in(path)?,
            Self::Path(path) if path.is_file() => path.clone(),
            Self::Path(path) => return Err(SourceError::NoPath { path: path.clone() }),
            Self::Hub(id) => hub.fetch(id, beside)?,
        };
        let files = WeightFiles { weights };
        match beside.iter().find(|name| !files.beside(name).is_file()) {
            Some(name) => Err(SourceError::NoCompanion { weights: files.weights, name: (*name).to_owned() }),
            None => Ok(files),
        }
    }
}

/// The weight file of a folder: `model.safetensors`, or else the only one there is.
fn weights_in(folder: &Path) -> Result<PathBuf, SourceError> {
    let usual = folder.join(HUB_WEIGHTS);
    if usual.is_file() {
        return Ok(usual);
    }
    let is_weights = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "safetensors" || extension == "pth")
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found = entries.map(|entry| entry.path()).filter(is_weights);
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(SourceError::NoWeights { folder: folder.to_owned() }),
    }
}

impl Hub {
    /// Brings the weights of a model, and the files beside them, into the cache. Files already there are not asked for.
    fn fetch(&self, id: &str, beside: &[&str]) -> Result<PathBuf, SourceError> {
        let folder = self.cache.join(id.replace('/', "--"));
        let wanted: Vec<&str> = std::iter::once(HUB_WEIGHTS).chain(beside.iter().copied()).collect();
        for file in wanted.iter().filter(|file| !folder.join(file).is_file()) {
            let url = format!("{}/{id}/resolve/main/{file}", self.endpoint.trim_end_matches('/'));
            download(&url, &folder, file).map_err(|reason| SourceError::Unreachable {
                id: id.to_owned(),
                url,
                reason,
                files: wanted.join(" and "),
                folder: folder.clone(),
            })?;
        }
        Ok(folder.join(HUB_WEIGHTS))
    }
}

/// Fetches one file. It appears in the folder whole or not at all.
fn download(url: &str, folder: &Path, file: &str) -> Result<(), String> {
    tracing::info!(url, "fetching");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let client = Client::builder().connect_timeout(Duration::from_secs(15)).build();
        let answer = client.map_err(|error| innermost(&error))?.get(url).send().await;
        let answer = answer.map_err(|error| innermost(&error))?;
        match answer.status() {
            status if status.is_success() => store(answer, folder, file).await,
            status => Err(format!("the answer was {status}")),
        }
    })
}

async fn store(mut answer: Response, folder: &Path, file: &str) -> Result<(), String> {
    let unwritable = |error: io::Error| format!("{} cannot be written to: {error}", folder.display());
    fs::create_dir_all(folder).map_err(unwritable)?;
    let mut partial = NamedTempFile::new_in(folder).map_err(unwritable)?;
    while let Some(chunk) = answer.chunk().await.map_err(|error| innermost(&error))? {
        partial.write_all(&chunk).map_err(unwritable)?;
    }
    partial.as_file().sync_all().map_err(unwritable)?;
    partial.persist(folder.join(file)).map_err(|refused| unwritable(refused.error))?;
    Ok(())
}

/// The last cause of an error: `reqwest`'s own text only says that sending failed.
fn innermost(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.last().map(ToString::to_string).unwrap_or_default()
}
