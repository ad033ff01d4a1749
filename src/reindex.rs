//! `marketrank reindex`: embeds a whole catalogue again with other models, into a new folder, while the old one serves.
//!
//! The new folder cannot be served before it is whole. A run that was interrupted goes on where it was: what is embedded
//! already is not embedded again, and what is gone from the old catalogue goes from the new one.

mod source;

use std::{
    collections::HashSet,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context;
use bytes::Bytes;
use clap::Args;

use self::source::{Listing, Source};
use crate::{
    catalogue::{Catalogue, Filter, Product, ProductId, embedded::EmbeddedCatalogue},
    config::ModelConfig,
    import::progress_bar,
    intake::Intake,
    preprocess::PhotoLimits,
    secret::Secret,
    serve::open_models,
};

/// Products read, embedded and made durable together.
const BATCH: usize = 32;
/// Embedding one product may take this long on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// From which catalogue, into which.
#[derive(Debug, Clone, Args)]
pub struct ReindexConfig {
    /// The old catalogue: its folder, where no server uses it, or the address of the server that serves it
    #[arg(long, value_name = "FOLDER | http://HOST:PORT")]
    pub from: String,

    /// Folder of the new catalogue; made where it is missing
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: PathBuf,

    /// API key with the scope `rank`, where the server of --from asks for one
    #[arg(long, env = "MARKETRANK_API_KEY", value_name = "KEY", hide_env_values = true)]
    pub api_key: Option<Secret>,

    #[command(flatten)]
    pub models: ModelConfig,
}

/// Fills the new catalogue and declares it whole.
pub async fn run(config: ReindexConfig) -> anyhow::Result<()> {
    let source = Source::open(&config.from, config.api_key.as_ref())?;
    let inference = open_models(&config.models)?;
    let manifest = inference.manifest().clone();
    let target = EmbeddedCatalogue::fill(&config.data_dir, manifest.embedding_width, &manifest.version)?;
    // Photos are thumbnails here, that of a panorama a few pixels high: what was taken once is not refused for that.
    let limits = PhotoLimits { min_side: 1, ..PhotoLimits::default() };
    let intake = Intake::new(inference, limits);
    let progress = progress_bar(source.count().await?);

    let mut held = HashSet::new();
    let (mut embedded, mut kept) = (0, 0);
    let mut cursor = None;
    loop {
        let page = source.page(cursor, BATCH).await?;
        held.extend(page.listings.iter().map(|listing| listing.product.id.clone()));
        let size = page.listings.len();
        let stored = embed(&intake, &target, page.listings).await?;
        embedded += stored;
        kept += size - stored;
        progress.inc(size as u64);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let removed = remove_others(&target, &held).await?;
    progress.finish_and_clear();
    target.declare_whole()?;
    let count = target.count().await?;
    target.close().await?;
    source.close().await?;
    println!(
        "embedded {embedded} products, {kept} were there already, {removed} removed; {} holds {count} and is whole",
        config.data_dir.display()
    );
    Ok(())
}

/// Embeds and stores those listings that the target does not hold as they are; says how many.
async fn embed(intake: &Intake, target: &EmbeddedCatalogue, listings: Vec<Listing>) -> anyhow::Result<usize> {
    let ids: Vec<ProductId> = listings.iter().map(|listing| listing.product.id.clone()).collect();
    let before = target.get(&ids).await?;
    let stored = listings.into_iter().zip(before).map(|(Listing { product, photo }, before)| async move {
        let id = product.id.clone();
        let photos: Vec<Bytes> = photo.into_iter().collect();
        let stored = intake
            .product(without_prediction(product), photos, before.clone(), Instant::now() + PATIENCE)
            .await
            .with_context(|| format!("{id} cannot be embedded"))?;
        anyhow::Ok((before.as_ref() != Some(&stored)).then_some(stored))
    });
    let stored: Vec<_> = futures::future::join_all(stored).await.into_iter().collect::<Result<_, _>>()?;
    let stored: Vec<_> = stored.into_iter().flatten().collect();
    let count = stored.len();
    target.upsert(stored).await?;
    Ok(count)
}

/// The old models' prediction is not the new models'.
fn without_prediction(mut product: Product) -> Product {
    if product.category_predicted {
        product.category = None;
        product.category_predicted = false;
    }
    product
}

async fn remove_others(target: &EmbeddedCatalogue, held: &HashSet<ProductId>) -> anyhow::Result<usize> {
    let mut removed = 0;
    let mut from = None;
    loop {
        let page = target.page(&Filter::default(), from, 1_000).await?;
        for id in page.ids.iter().filter(|id| !held.contains(*id)) {
            target.delete(id).await?;
            removed += 1;
        }
        match page.next {
            Some(next) => from = Some(next),
            None => return Ok(removed),
        }
    }
}
