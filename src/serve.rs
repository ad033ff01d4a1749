//! From configuration to a running server, and back to a stopped one.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
};
use tracing::{error, info, warn};

use crate::{
    access::KeyFile,
    api::{self, Admission, AppState, ByteBudget, Gate, OpenModels, PhotoFetcher, Serving},
    artefacts::Artefacts,
    catalogue::{Catalogue, Timed, cluster::ClusterCatalogue, embedded::EmbeddedCatalogue},
    config::{CatalogueConfig, ModelConfig, ServeConfig},
    front::{self, Stop, Tls},
    inference::{Inference, Model, Runtime},
    intake::Intake,
    telemetry::metrics::Metrics,
    watched::Watched,
};

/// Time between refusing readiness and refusing connections.
const LAST_CALL: Duration = Duration::from_secs(1);
/// Time in which those arrive whose connections were being made: a round trip.
const ARRIVING: Duration = Duration::from_millis(200);
/// Time in which the last who connected are heard.
const HEARING: Duration = Duration::from_millis(200);
/// How often counts of requests that are over are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// Serves until SIGTERM or Ctrl-C; then readiness is refused, requests in flight are answered, and the catalogue is
/// closed.
pub async fn run(config: ServeConfig) -> anyhow::Result<()> {
    config.access.check_reach(config.listen)?;
    // The port first: a second server must not wait for models only to find it taken.
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!("cannot listen on {}; stop what uses it or give another --listen", config.listen)
    })?;
    let gate = gate(&config)?;
    let tls = match config.front.tls()? {
        Some(files) => Some(Tls::load(files).await?),
        None => None,
    };
    let open_models = models_opener(&config.models)?;
    let inference = open_models()?;
    let catalogue = open_catalogue(&config.catalogue, &inference).await?;
    catalogue.read_ahead();
    let photos =
        PhotoFetcher::new(&config.limits).context("the client that fetches photos does not start")?;
    let intake = Intake::new(inference, config.limits.photo_limits()).with_cache(config.limits.cache_bytes());
    // Limits of photos may be such that the stored one is refused.
    if let Err(error) = intake.warm_up().await {
        warn!(%error, "the first requests may take longer: the manifest's own listing was not answered");
    }
    // Only now: what was asked so far is no client's.
    if !config.no_metrics {
        Metrics::install()?;
    }
    let state = AppState::new(intake, catalogue.clone(), photos, config.limits.timeout());
    let serving = Serving::new(state, open_models);
    let router = api::router(serving.clone(), gate.clone());
    // Stops with this function.
    let mut upkeep = upkeep(&config, gate.admission, tls.clone());

    // Before anybody is told that it serves: a signal that nobody listens for ends the process.
    let [terminate, interrupt] = [SignalKind::terminate(), SignalKind::interrupt()].map(listen);
    if let Some(hangup) = listen(SignalKind::hangup()) {
        upkeep.spawn(reload_on(hangup, serving.clone()));
    }
    let (scheme, address) = (if tls.is_some() { "https" } else { "http" }, listener.local_addr()?);
    info!(products = catalogue.count().await?, "ready: {scheme}://{address}/docs");
    let stop = Stop::default();
    let server = front::serve(listener, router, tls, config.front.bounds(), stop.clone());
    let grace = Duration::from_secs(config.shutdown_grace);
    let stopped = async {
        tokio::select! {
            () = arrival(terminate) => {}
            () = arrival(interrupt) => {}
        }
        info!("stopping: requests in flight are answered first");
        serving.current().stop();
        stop.call_last();
        // Whoever asks for readiness sends nothing more from here on; who has just connected is still heard.
        tokio::time::sleep(LAST_CALL).await;
        stop.turn_away();
        tokio::time::sleep(ARRIVING).await;
        stop.close_door();
        tokio::time::sleep(HEARING).await;
        stop.gently();
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        outcome = server => outcome?,
        () = stopped => {
            warn!("some requests did not finish within --shutdown-grace");
            stop.at_once();
        }
    }
    catalogue.close().await?;
    info!("stopped");
    Ok(())
}

/// Who is let in, and what their requests may cost.
pub fn gate(config: &ServeConfig) -> anyhow::Result<Gate> {
    Ok(Gate {
        admission: Admission::new(config.access.access()?, config.access.rate_limits()),
        cors: api::cors(&config.access.cors_origin)?,
        max_body_bytes: config.limits.max_body_bytes(),
        body_memory: ByteBudget::new(config.limits.all_body_bytes()?),
        body_timeout: config.front.body_timeout(),
    })
}

/// What goes on beside the requests, until the value is dropped: files that may be replaced are looked at, and counts that
/// are over forgotten.
pub fn upkeep(config: &ServeConfig, admission: Admission, tls: Option<Tls>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    if let Some(tls) = tls {
        tasks.spawn(tls.keep_up());
    }
    if let Some(file) = config.access.api_keys_file.clone() {
        tasks.spawn(keep_up_keys(file, admission.clone()));
    }
    tasks.spawn(async move {
        loop {
            tokio::time::sleep(FORGET_EVERY).await;
            admission.rates().forget_the_idle();
        }
    });
    tasks
}

async fn keep_up_keys(file: PathBuf, admission: Admission) {
    let mut watched = Watched::new(vec![file.clone()]);
    loop {
        watched.changed().await;
        match KeyFile::read(&file) {
            Ok(keys) => {
                info!(keys = keys.len(), file = %file.display(), "the API keys were read");
                admission.access().replace(keys);
            }
            Err(reason) => {
                error!(file = %file.display(), "the key file cannot be used, the keys from before stay in force: {reason}");
            }
        }
    }
}

/// Verifies what `serve` would use and prints what was found.
pub async fn check(config: &ServeConfig) -> anyhow::Result<()> {
    let ServeConfig { models, catalogue, .. } = config;
    config.access.check_reach(config.listen)?;
    gate(config)?;
    if let Some(files) = config.front.tls()? {
        Tls::load(files).await?;
    }
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
    models_opener(config)?()
}

/// Loads ONNX Runtime; what it returns verifies the artefacts and starts the models, each time from what the folder holds
/// then.
pub fn models_opener(config: &ModelConfig) -> anyhow::Result<OpenModels> {
    let config = config.clone();
    let runtime = Runtime::load(&config.onnxruntime, config.device)?;
    let options = config.inference_options(runtime.on_cuda());
    Ok(Arc::new(move || {
        let artefacts = Artefacts::load(&config.models)?;
        let inference = Inference::start(&artefacts, &runtime, options)?;
        info!(
            version = inference.manifest().version,
            workers = options.workers,
            threads = options.threads,
            precision = %Model::ALL.map(|model| inference.variant(model).precision.name()).join(" "),
            "the models are loaded"
        );
        Ok(Arc::new(inference))
    }))
}

/// SIGHUP reads the models anew.
async fn reload_on(mut hangup: Signal, serving: Serving) {
    while hangup.recv().await.is_some() {
        // The log has the reason where they were not.
        let _ = serving.reload().await;
    }
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

/// Listens for a signal from now on.
fn listen(kind: SignalKind) -> Option<Signal> {
    let listening = signal(kind);
    if let Err(error) = &listening {
        warn!(%error, signal = kind.as_raw_value(), "a signal cannot be listened for");
    }
    listening.ok()
}

/// Waits for a signal: for ever where nobody listens.
async fn arrival(signal: Option<Signal>) {
    match signal {
        Some(mut signal) => _ = signal.recv().await,
        None => std::future::pending().await,
    }
}
