//! `marketrank import --to`: an embedded catalogue, copied into a cluster with its embeddings.

use std::path::Path;

use super::progress_bar;
use crate::catalogue::{
    Catalogue, Filter,
    cluster::{ClusterCatalogue, ClusterOptions},
    embedded::EmbeddedCatalogue,
};

/// Products read and written together.
const BATCH: usize = 64;

/// Copies every product. What is in the cluster already stays or is replaced, so an interrupted copy may be run again.
pub async fn to_cluster(folder: &Path, options: &ClusterOptions) -> anyhow::Result<()> {
    let source = EmbeddedCatalogue::open_as_it_is(folder)?;
    let (embedding_width, space) = source.embeddings_of()?;
    let target = ClusterCatalogue::open(options, embedding_width, &space).await?;
    let progress = progress_bar(source.count().await?);
    let mut from = None;
    loop {
        let page = source.page(&Filter::default(), from, BATCH).await?;
        let products: Vec<_> = source.get(&page.ids).await?.into_iter().flatten().collect();
        let copied = products.len() as u64;
        target.upsert(products).await?;
        progress.inc(copied);
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    progress.finish_and_clear();
    println!("copied {} products; the cluster holds {}", source.count().await?, target.count().await?);
    source.close().await?;
    Ok(())
}
