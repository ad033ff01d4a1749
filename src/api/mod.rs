//! The HTTP API: one file per resource, merged here.

mod admin;
mod admission;
mod body;
mod body_memory;
mod byte_budget;
mod error;
mod form;
pub(crate) mod fuzz;
mod health;
mod listing;
mod observe;
mod older;
mod pace;
mod photos;
mod predict;
mod products;
mod rank;
mod state;
mod v2;

use std::time::Duration;

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
    cors::CorsLayer,
    request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
    trace::TraceLayer,
};
use utoipa::{
    Modify, OpenApi, openapi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;
use uuid::Uuid;

pub use admission::{Admission, cors};
pub use byte_budget::ByteBudget;
pub use error::{ApiError, Problem};
pub use photos::PhotoFetcher;
pub use state::{AppState, OpenModels, ReloadError, Serving};

use self::admission::{Need, guard};
use crate::{
    access::Scope,
    intake::MAX_PHOTOS,
    web::{self, PageLimits},
};

/// The header that carries a request's id in and out.
pub const REQUEST_ID: &str = "x-request-id";

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
    modifiers(&ApiKey),
    security((), ("api_key" = [])),
    tags(
        (name = "predict", description = "Which category does this listing belong to?"),
        (name = "older", description = "The routes of the service that this one replaces, for clients that still call them"),
        (name = "v2", description = "The models themselves, by the Open Inference Protocol of KServe and Triton"),
        (name = "rank", description = "Which listings should this buyer see first?"),
        (name = "products", description = "The catalogue"),
        (name = "admin", description = "What is the operator's"),
        (name = "health", description = "Probes and metrics")
    )
)]
struct Description;

/// Says in the document how a key is sent, where a server asks for one.
struct ApiKey;

impl Modify for ApiKey {
    fn modify(&self, openapi: &mut openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
            "An API key, on a server that was started with --api-keys-file. Scopes: predict, rank (and reading the \
             catalogue), write, admin.",
        ));
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("api_key", SecurityScheme::Http(scheme.build()));
    }
}

fn routes() -> OpenApiRouter<Serving> {
    OpenApiRouter::with_openapi(Description::openapi())
        .merge(guard(Need::Scope(Scope::Predict), predict::routes()))
        .merge(guard(Need::Scope(Scope::Predict), older::routes()))
        .merge(guard(Need::Scope(Scope::Predict), v2::routes()))
        .merge(guard(Need::Scope(Scope::Rank), rank::routes()))
        .merge(guard(Need::ReadOrWrite, products::routes()))
        .merge(guard(Need::Scope(Scope::Admin), admin::routes()))
        .merge(v2::probes())
        .merge(health::routes())
        .merge(guard(Need::AnyKey, observe::routes()))
}

/// The OpenAPI description of every route, as served at `/openapi.json`.
pub fn openapi() -> openapi::OpenApi {
    routes().split_for_parts().1
}

/// Who is let in, and what their requests may cost.
#[derive(Clone)]
pub struct Gate {
    pub admission: Admission,
    pub cors: CorsLayer,
    pub max_body_bytes: usize,
    /// What all bodies under way may take together.
    pub body_memory: ByteBudget,
    /// How long a body may keep the server waiting.
    pub body_timeout: Duration,
}

/// The whole service, ready to be served.
pub fn router(serving: Serving, gate: Gate) -> Router {
    let (router, openapi) = routes().split_for_parts();
    let page_limits = PageLimits {
        max_photo_bytes: serving.current().intake().photo_limits().max_bytes,
        max_photos: MAX_PHOTOS,
    };
    let id = HeaderName::from_static(REQUEST_ID);
    let spec = openapi.clone();
    router
        .with_state(serving)
        .route("/openapi.json", get(|| async move { Json(spec) }))
        .merge(SwaggerUi::new("/docs").url("/docs/openapi.json", openapi))
        .merge(web::router(page_limits))
        .fallback(|| async { ApiError::NotFound("there is no such route; /docs lists them all".into()) })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(DefaultBodyLimit::max(gate.max_body_bytes))
        .layer(middleware::from_fn_with_state(gate.body_memory, body_memory::count_body))
        .layer(middleware::from_fn_with_state(gate.body_timeout, pace::pace_body))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(gate.admission, admission::identify))
        .layer(middleware::from_fn(error::render_problems))
        .layer(gate.cors)
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
