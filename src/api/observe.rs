//! `GET /metrics`, and what every request leaves in metrics and traces.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{ApiError, AppState, Problem, REQUEST_ID, Serving};
use crate::{
    inference::Model,
    telemetry::{
        continue_trace,
        metrics::{self, Gauges, Metrics},
    },
};

pub(super) fn routes() -> OpenApiRouter<Serving> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// Everything that is counted, for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "health", operation_id = "metrics",
    responses(
        (status = 200, description = "Prometheus' text form", body = String, content_type = "text/plain"),
        (status = 503, description = "Nothing is counted", body = Problem, content_type = "application/problem+json")
    ))]
async fn metrics(State(state): State<AppState>) -> Result<Response, ApiError> {
    let installed = Metrics::installed()
        .ok_or_else(|| ApiError::NotReady("nothing is counted in this process".into()))?;
    let gauges = Gauges {
        queue_depth: Model::ALL.map(|model| (model, state.inference().queue_depth(model))).into(),
        cache_bytes: state.intake().cache_bytes(),
        products: state.catalogue().count().await.ok(),
    };
    let form = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((form, installed.render(&gauges)).into_response())
}

/// Middleware: counts and times the request under its route's pattern.
pub(super) async fn count(request: Request, next: Next) -> Response {
    let started = Instant::now();
    // What nobody serves is one series, or whoever asks for random paths, or by random methods, fills the memory.
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = known(request.method());
    let response = next.run(request).await;
    metrics::request(&route, method, response.status().as_u16(), started.elapsed());
    response
}

fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// The span that a request's log lines and traces lie in.
pub(super) fn span<B>(request: &axum::http::Request<B>) -> tracing::Span {
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    let span = tracing::info_span!("request", method = %request.method(), path = request.uri().path(), id);
    continue_trace(&span, request.headers());
    span
}
