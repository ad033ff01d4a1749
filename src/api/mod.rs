//! The HTTP API: one file per resource, merged here.

mod body;
mod error;
mod health;
mod listing;
mod observe;
mod photos;
mod predict;
mod products;
mod rank;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    http::{HeaderName, HeaderValue, Request},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
    trace::TraceLayer,
};
use utoipa::{OpenApi, openapi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;
use uuid::Uuid;

pub use error::{ApiError, Problem};
pub use photos::PhotoFetcher;

use crate::{
    catalogue::Catalogue,
    inference::{Inference, Model},
    intake::{Intake, MAX_PHOTOS},
    web::{self, PageLimits},
};

/// The header that carries a request's id in and out.
pub const REQUEST_ID: &str = "x-request-id";

/// What every handler may use.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

struct Parts {
    inference: Arc<Inference>,
    intake: Intake,
    catalogue: Arc<dyn Catalogue>,
    photos: PhotoFetcher,
    timeout: Duration,
    stopping: AtomicBool,
}

impl AppState {
    pub fn new(
        inference: Arc<Inference>,
        intake: Intake,
        catalogue: Arc<dyn Catalogue>,
        photos: PhotoFetcher,
        timeout: Duration,
    ) -> Self {
        let stopping = AtomicBool::new(false);
        Self(Arc::new(Parts { inference, intake, catalogue, photos, timeout, stopping }))
    }

    /// From now on readiness is refused, so that no new work is sent here.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    fn stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }

    fn inference(&self) -> &Inference {
        &self.0.inference
    }

    fn intake(&self) -> &Intake {
        &self.0.intake
    }

    fn catalogue(&self) -> &dyn Catalogue {
        self.0.catalogue.as_ref()
    }

    fn photos(&self) -> &PhotoFetcher {
        &self.0.photos
    }

    fn timeout(&self) -> Duration {
        self.0.timeout
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.0.timeout
    }

    /// The `model` part of an answer.
    fn model_info(&self, model: Model) -> ModelInfo {
        ModelInfo { name: model.name().into(), version: self.inference().manifest().version.clone() }
    }
}

/// Which model answered.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
struct ModelInfo {
    /// `image`, `text` or `combined`.
    #[schema(example = "combined")]
    name: String,
    /// Version of the trained models; changes with every export.
    version: String,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "marketrank",
        description = "Which category is this listing, and which listings should this buyer see first?",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "/", description = "The server that this document came from")),
    components(schemas(Problem)),
    tags(
        (name = "predict", description = "Which category does this listing belong to?"),
        (name = "rank", description = "Which listings should this buyer see first?"),
        (name = "products", description = "The catalogue"),
        (name = "health", description = "Probes and metrics")
    )
)]
struct Description;

fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Description::openapi())
        .merge(predict::routes())
        .merge(rank::routes())
        .merge(products::routes())
        .merge(health::routes())
        .merge(observe::routes())
}

/// The OpenAPI description of every route, as served at `/openapi.json`.
pub fn openapi() -> openapi::OpenApi {
    routes().split_for_parts().1
}

/// The whole service, ready to be served.
pub fn router(state: AppState, max_body_bytes: usize) -> Router {
    let (router, openapi) = routes().split_for_parts();
    let page_limits =
        PageLimits { max_photo_bytes: state.intake().photo_limits().max_bytes, max_photos: MAX_PHOTOS };
    let id = HeaderName::from_static(REQUEST_ID);
    let spec = openapi.clone();
    router
        .with_state(state)
        .route("/openapi.json", get(|| async move { Json(spec) }))
        .merge(SwaggerUi::new("/docs").url("/docs/openapi.json", openapi))
        .merge(web::router(page_limits))
        .fallback(|| async { ApiError::NotFound("there is no such route; /docs lists them all".into()) })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(DefaultBodyLimit::max(max_body_bytes))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(error::render_problems))
        .layer(middleware::from_fn(observe::count))
        .layer(TraceLayer::new_for_http().make_span_with(observe::span))
        .layer(PropagateRequestIdLayer::new(id.clone()))
        .layer(SetRequestIdLayer::new(id, NewRequestId))
}

#[derive(Clone, Copy)]
struct NewRequestId;

impl MakeRequestId for NewRequestId {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        HeaderValue::from_str(&Uuid::now_v7().to_string()).ok().map(RequestId::new)
    }
}

fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let reason = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a handler panicked".into());
    ApiError::Internal(reason).into_response()
}
