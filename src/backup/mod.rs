//! `marketrank backup` and `restore`: a whole catalogue in one file, made while it is served, checked by hash.
//!
//! What is in the file is products, and not an engine's own files: it is taken from a folder or a cluster alike, and any later
//! build reads it. A product that is stored, replaced or deleted while the backup runs is in it as it was before or as it is
//! after; every other one is in it once. [`archive`] writes the file and [`content`] reads it.

mod archive;
mod content;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use futures::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub(crate) use self::content::read_whole;
use self::{
    archive::ArchiveWriter,
    content::{open_verified, products_in},
};
use crate::{
    catalogue::{Catalogue, CatalogueError, Filter, Position, embedded::EmbeddedCatalogue},
    remote,
    secret::Secret,
};

/// The only layout of a backup that this build reads. A change that an older reader would misunderstand raises it.
const FORMAT: u32 = 1;
/// Products of one entry: some megabytes with their thumbnails.
const PRODUCTS_AN_ENTRY: usize = 256;
/// A server that says nothing for this long is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// The catalogue to back up, and where to.
#[derive(Debug, Clone, Args)]
pub struct BackupConfig {
    /// File to write; it must not be there yet
    #[arg(value_name = "FILE")]
    pub to: PathBuf,

    /// Folder of the catalogue, which no server may have open
    #[arg(long, env = "MARKETRANK_DATA_DIR", default_value = "data/catalogue", value_name = "FOLDER")]
    pub data_dir: PathBuf,

    /// Ask the server that has the catalogue open instead, which goes on serving
    #[arg(long, value_name = "http://HOST:8080")]
    pub from: Option<reqwest::Url>,

    /// API key with the scope `admin`, where the server asks for one
    #[arg(long, env = "MARKETRANK_API_KEY", value_name = "KEY", hide_env_values = true)]
    pub api_key: Option<Secret>,
}

/// The backup to restore, and where to.
#[derive(Debug, Clone, Args)]
pub struct RestoreConfig {
    /// File that `backup` wrote
    #[arg(value_name = "FILE")]
    pub from: PathBuf,

    /// Folder of the new catalogue: a new one or an empty one
    #[arg(long, env = "MARKETRANK_DATA_DIR", default_value = "data/catalogue", value_name = "FOLDER")]
    pub data_dir: PathBuf,
}

/// The first entry: what the backup is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    format: u32,
    /// RFC 3339.
    created: String,
    embedding_width: usize,
    /// Version of the models that made the embeddings.
    space: String,
}

impl Description {
    /// Of a catalogue with embeddings of this width and space, now.
    pub fn now(embedding_width: usize, space: &str) -> Self {
        let created = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        Self { format: FORMAT, created, embedding_width, space: space.to_owned() }
    }
}

/// Why a backup broke off. What was written of it is recognised as incomplete.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error("the backup cannot be packed: {0}")]
    Pack(#[from] io::Error),
}

/// Where a backup is.
enum Stage {
    Start,
    Products { from: Option<Position>, entry: usize, count: u64 },
    End { count: u64 },
    Over,
}

/// The bytes of the file, piece by piece, while the catalogue is read.
pub fn pack(
    catalogue: Arc<dyn Catalogue>,
    description: Description,
) -> impl Stream<Item = Result<Bytes, BackupError>> + Send {
    let start = (catalogue, description, ArchiveWriter::default(), Stage::Start);
    stream::try_unfold(start, async |(catalogue, description, mut archive, stage)| {
        let (bytes, next) = match stage {
            Stage::Start => {
                let json = serde_json::to_vec_pretty(&description).map_err(io::Error::other)?;
                let bytes = archive.entry(archive::DESCRIPTION, &json)?;
                (bytes, Stage::Products { from: None, entry: 0, count: 0 })
            }
            Stage::Products { from, entry, count } => {
                let page = catalogue.page(&Filter::default(), from, PRODUCTS_AN_ENTRY).await?;
                let products = catalogue.get(&page.ids).await?;
                let (packed, bytes, stored) = tokio::task::spawn_blocking(move || {
                    let mut lines = Vec::new();
                    let mut stored = 0;
                    for product in products.iter().flatten() {
                        serde_json::to_writer(&mut lines, &crate::catalogue::ProductRecord::from(product))?;
                        lines.push(b'\n');
                        stored += 1;
                    }
                    let bytes = archive.entry(&archive::products(entry), &lines)?;
                    Ok::<_, io::Error>((archive, bytes, stored))
                })
                .await
                .map_err(io::Error::other)??;
                archive = packed;
                let count = count + stored;
                let next = match page.next {
                    Some(from) => Stage::Products { from: Some(from), entry: entry + 1, count },
                    None => Stage::End { count },
                };
                (bytes, next)
            }
            Stage::End { count } => (archive.finish(count)?, Stage::Over),
            Stage::Over => return Ok(None),
        };
        Ok(Some((Bytes::from(bytes), (catalogue, description, archive, next))))
    })
}

/// Backs up a folder, or the catalogue of a server. The file is there once it is whole and checked.
pub async fn back_up(config: BackupConfig) -> anyhow::Result<()> {
    let BackupConfig { to, data_dir, from, api_key } = config;
    if to.try_exists()? {
        bail!("{} is there already; name another file or move it away", to.display());
    }
    let part = to.with_added_extension("part");
    match from {
        Some(server) => write(&part, ask(server, api_key).await?).await?,
        None => {
            let catalogue = EmbeddedCatalogue::open_as_it_is(&data_dir)?;
            let (width, space) = catalogue.embeddings_of()?;
            let catalogue: Arc<dyn Catalogue> = Arc::new(catalogue);
            let bytes = pack(Arc::clone(&catalogue), Description::now(width, &space));
            write(&part, bytes.map(|bytes| bytes.map_err(anyhow::Error::from))).await?;
            catalogue.close().await?;
        }
    }
    let verified = part.clone();
    let summary = tokio::task::spawn_blocking(move || open_verified(&verified)).await??;
    std::fs::rename(&part, &to)?;
    println!(
        "{} holds {} products of the models {}",
        to.display(),
        summary.products,
        summary.description.space
    );
    Ok(())
}

/// Fills a new folder from a backup. It can be served once all is in it.
pub async fn restore(config: RestoreConfig) -> anyhow::Result<()> {
    let RestoreConfig { from, data_dir } = config;
    if std::fs::read_dir(&data_dir).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("the folder {} is not empty; a backup is restored into a new one", data_dir.display());
    }
    let file = from.clone();
    let summary = tokio::task::spawn_blocking(move || open_verified(&file)).await??;
    let Description { embedding_width, space, .. } = &summary.description;
    let catalogue = EmbeddedCatalogue::fill(&data_dir, *embedding_width, space)?;
    for products in products_in(&from)? {
        catalogue.upsert(products?).await?;
    }
    let count = catalogue.count().await?;
    if count != summary.products {
        bail!(
            "{count} products were stored, {} are in the backup; {} is left unfinished",
            summary.products,
            data_dir.display()
        );
    }
    catalogue.declare_whole()?;
    catalogue.close().await?;
    println!("{} holds {count} products of the models {space}", data_dir.display());
    Ok(())
}

async fn ask(
    server: reqwest::Url,
    key: Option<Secret>,
) -> anyhow::Result<impl Stream<Item = anyhow::Result<Bytes>>> {
    let url = server.join("/v1/admin/backup").context("--from is no address of a server")?;
    let client = reqwest::Client::builder().read_timeout(PATIENCE).build()?;
    let mut request = client.post(url);
    if let Some(key) = key {
        request = request.bearer_auth(key.reveal());
    }
    let answer = request.send().await.with_context(|| format!("{server} does not answer"))?;
    let answer = remote::usable(answer, &server).await?;
    Ok(answer.bytes_stream().map(|bytes| bytes.context("the server broke the backup off; its log says why")))
}

/// Writes the file and waits until it is on disk. One that broke off is removed.
async fn write(path: &Path, bytes: impl Stream<Item = anyhow::Result<Bytes>>) -> anyhow::Result<()> {
    let written = async {
        let mut file = std::fs::File::create(path)?;
        let mut bytes = std::pin::pin!(bytes);
        while let Some(piece) = bytes.next().await {
            file.write_all(&piece?)?;
        }
        Ok::<_, anyhow::Error>(file.sync_all()?)
    };
    let outcome = written.await.with_context(|| format!("{} was not written", path.display()));
    if outcome.is_err() {
        let _ = std::fs::remove_file(path);
    }
    outcome
}
