//! From configuration to a running server, and back to a stopped one.

use std::{future::IntoFuture, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};
use tracing::{info, warn};

use crate::{
    api::{self, AppState, PhotoFetcher},
    artefacts::Artefacts,
    catalogue::{Catalogue, Timed, cluster::ClusterCatalogue, embedded::EmbeddedCatalogue},
    config::{CatalogueConfig, ModelConfig, ServeConfig},
    inference::{Inference, Model, Runtime},
    intake::Intake,
    telemetry::metrics::Metrics,
};

/// Serves until SIGTERM or Ctrl-C; then readiness is refused, requests in flight are answered, and the catalogue is
/// closed.
pub async fn run(config: ServeConfig) -> anyhow::Result<()> {
    // The port first: a second server must not wait for models only to find it taken.
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!("cannot listen on {}; stop what uses it or give another --listen", config.listen)
    })?;
    let inference = open_models(&config.models)?;
    let catalogue = open_catalogue(&config.catalogue, &inference).await?;
    let photos =
        PhotoFetcher::new(&config.limits).context("the client that fetches photos does not start")?;
    let intake =
        Intake::new(inference.clone(), config.limits.photo_limits()).with_cache(config.limits.cache_bytes());
    Metrics::install()?;
    let state = AppState::new(inference, intake, catalogue.clone(), photos, config.limits.timeout());
    let router = api::router(state.clone(), config.limits.max_body_bytes());

    let address = listener.local_addr()?;
    info!(products = catalogue.count().await?, "ready: http://{address}/docs");
    let (stopped, stop) = oneshot::channel();
    let server = axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            wait_for_signal().await;
            info!("stopping: requests in flight are answered first");
            state.stop();
            let _ = stopped.send(());
        })
        .into_future();
    let grace = Duration::from_secs(config.shutdown_grace);
    tokio::select! {
        outcome = server => outcome?,
        () = out_of_grace(stop, grace) => warn!("some requests did not finish within --shutdown-grace"),
    }
    catalogue.close().await?;
    info!("stopped");
    Ok(())
}

/// Verifies what `serve` would use and prints what was found.
pub async fn check(models: &ModelConfig, catalogue: &CatalogueConfig) -> anyhow::Result<()> {
    let inference = open_models(models)?;
    let manifest = inference.manifest();
    println!(
        "models     {} of {}: {} categories, {} subcategories, embeddings of width {}",
        manifest.version,
        models.models.display(),
        manifest.categories.len(),
        manifest.subcategories.len(),
        manifest.embedding_width
    );
    for model in Model::ALL {
        let variant = inference.variant(model);
        println!("{:10} {} from {}", model.name(), variant.precision.name(), variant.file.file);
    }
    let opened = open_catalogue(catalogue, &inference).await?;
    let place = match catalogue.qdrant.first() {
        Some(_) => catalogue.qdrant.join(", "),
        None => catalogue.data_dir.display().to_string(),
    };
    println!("catalogue  {} products in {place}", opened.count().await?);
    opened.close().await?;
    Ok(())
}

/// Verifies the artefacts and starts the models.
pub fn open_models(config: &ModelConfig) -> anyhow::Result<Arc<Inference>> {
    let artefacts = Artefacts::load(&config.models)?;
    let runtime = Runtime::load(&config.onnxruntime, config.device)?;
    let options = config.inference_options();
    let inference = Inference::start(&artefacts, &runtime, options)?;
    info!(
        version = inference.manifest().version,
        workers = options.workers,
        threads = options.threads,
        precision = %Model::ALL.map(|model| inference.variant(model).precision.name()).join(" "),
        "the models are loaded"
    );
    Ok(Arc::new(inference))
}

/// Opens the catalogue for the embedding space of these models: in a cluster where one is named, else in a folder.
pub async fn open_catalogue(
    config: &CatalogueConfig,
    inference: &Inference,
) -> anyhow::Result<Arc<dyn Catalogue>> {
    let manifest = inference.manifest();
    if !config.qdrant.is_empty() {
        let options = config.cluster.options(&config.qdrant);
        let cluster = ClusterCatalogue::open(&options, manifest.embedding_width, &manifest.version).await?;
        return Ok(Arc::new(Timed(cluster)));
    }
    let catalogue = EmbeddedCatalogue::open(&config.data_dir, manifest.embedding_width, &manifest.version)?;
    Ok(Arc::new(Timed(catalogue)))
}

async fn wait_for_signal() {
    let interrupt = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt => {}
        },
        Err(error) => {
            warn!(%error, "SIGTERM cannot be listened for, only Ctrl-C stops the server");
            let _ = interrupt.await;
        }
    }
}

/// Resolves when the grace period after the stop has passed.
async fn out_of_grace(stop: oneshot::Receiver<()>, grace: Duration) {
    match stop.await {
        Ok(()) => tokio::time::sleep(grace).await,
        Err(_) => std::future::pending().await,
    }
}
