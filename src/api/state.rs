//! What every handler may use, and how other models take the place of those that serve.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::extract::FromRef;
use tokio::{sync::Mutex, task::spawn_blocking};
use tracing::{error, info};

use super::{ModelInfo, PhotoFetcher};
use crate::{
    catalogue::Catalogue,
    inference::{Inference, Model},
    intake::Intake,
};

/// What every handler may use. A request has the same one from its first byte to its last, so that the model that looked at
/// it is the one whose labels and version are in the answer.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

struct Parts {
    /// With the models that answer.
    intake: Intake,
    catalogue: Arc<dyn Catalogue>,
    photos: Arc<PhotoFetcher>,
    timeout: Duration,
    stopping: Arc<AtomicBool>,
}

/// The state that the next request gets.
#[derive(Clone)]
pub struct Serving(Arc<Now>);

struct Now {
    state: RwLock<AppState>,
    open_models: OpenModels,
    /// Held by the one reload that may be under way.
    reloading: Mutex<()>,
}

/// Opens the models anew from where they came from.
pub type OpenModels = Arc<dyn Fn() -> anyhow::Result<Arc<Inference>> + Send + Sync>;

/// Why the models from before stay.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error("the models are being reloaded already; wait for that to end")]
    UnderWay,
    /// They do not load, or fail their self-test.
    #[error("the models from before stay in place: {0:#}")]
    Unusable(anyhow::Error),
    #[error(
        "the models from before stay in place: the catalogue holds embeddings of models {held} ({held_width} wide), these are {found} ({found_width} wide); stop the server, run `marketrank reindex`, and start it again"
    )]
    OtherSpace { held: String, held_width: usize, found: String, found_width: usize },
}

impl AppState {
    pub fn new(
        intake: Intake,
        catalogue: Arc<dyn Catalogue>,
        photos: PhotoFetcher,
        timeout: Duration,
    ) -> Self {
        let (photos, stopping) = (Arc::new(photos), Arc::default());
        Self(Arc::new(Parts { intake, catalogue, photos, timeout, stopping }))
    }

    /// The same over other models.
    fn over(&self, inference: Arc<Inference>) -> Self {
        let Parts { intake, catalogue, photos, timeout, stopping } = &*self.0;
        Self(Arc::new(Parts {
            intake: intake.over(inference),
            catalogue: Arc::clone(catalogue),
            photos: Arc::clone(photos),
            timeout: *timeout,
            stopping: Arc::clone(stopping),
        }))
    }

    /// From now on readiness is refused, so that no new work is sent here.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    pub(super) fn stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }

    pub(super) fn inference(&self) -> &Inference {
        self.0.intake.inference()
    }

    pub(super) fn intake(&self) -> &Intake {
        &self.0.intake
    }

    pub(super) fn catalogue(&self) -> &dyn Catalogue {
        self.0.catalogue.as_ref()
    }

    pub(super) fn shared_catalogue(&self) -> Arc<dyn Catalogue> {
        Arc::clone(&self.0.catalogue)
    }

    pub(super) fn photos(&self) -> &PhotoFetcher {
        &self.0.photos
    }

    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.0.timeout
    }

    /// The `model` part of an answer.
    pub(super) fn model_info(&self, model: Model) -> ModelInfo {
        ModelInfo { name: model.name().into(), version: self.inference().manifest().version.clone() }
    }
}

impl Serving {
    /// Serves with this state until [`reload`](Self::reload) puts models from `open_models` in its place.
    pub fn new(state: AppState, open_models: OpenModels) -> Self {
        Self(Arc::new(Now { state: RwLock::new(state), open_models, reloading: Mutex::new(()) }))
    }

    /// What a request that comes now is answered by.
    pub fn current(&self) -> AppState {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Opens, verifies and warms the models up beside those that serve, and lets them answer every request from then on.
    /// Requests under way end with the models they began with, which are closed after the last of them. The log says how it
    /// went. Whoever asked may go away meanwhile: it goes on.
    ///
    /// # Errors
    /// Nothing has changed: a reload is under way, the models cannot be used, or their embeddings do not lie in the
    /// catalogue's space.
    pub async fn reload(&self) -> Result<AppState, ReloadError> {
        let serving = self.clone();
        let reloading = async move {
            let outcome = serving.replace_models().await;
            match &outcome {
                Ok(state) => {
                    info!(version = state.inference().manifest().version, "the models were reloaded")
                }
                Err(reason) => error!(%reason, "the models were not reloaded"),
            }
            outcome
        };
        tokio::spawn(reloading).await.unwrap_or_else(|error| Err(ReloadError::Unusable(error.into())))
    }

    async fn replace_models(&self) -> Result<AppState, ReloadError> {
        let Ok(_alone) = self.0.reloading.try_lock() else {
            return Err(ReloadError::UnderWay);
        };
        let open_models = Arc::clone(&self.0.open_models);
        let opened = spawn_blocking(move || open_models()).await;
        let inference =
            opened.map_err(anyhow::Error::from).and_then(|outcome| outcome).map_err(ReloadError::Unusable)?;
        let before = self.current();
        let (held, found) = (before.inference().manifest(), inference.manifest());
        if (&held.version, held.embedding_width) != (&found.version, found.embedding_width) {
            return Err(ReloadError::OtherSpace {
                held: held.version.clone(),
                held_width: held.embedding_width,
                found: found.version.clone(),
                found_width: found.embedding_width,
            });
        }
        let next = before.over(inference);
        *self.0.state.write().unwrap_or_else(PoisonError::into_inner) = next.clone();
        Ok(next)
    }
}

impl FromRef<Serving> for AppState {
    fn from_ref(serving: &Serving) -> Self {
        serving.current()
    }
}
