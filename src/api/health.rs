//! Probes: is the process alive, and should it be sent work?

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{ApiError, AppState, Problem, Serving};

pub(super) fn routes() -> OpenApiRouter<Serving> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready))
}

#[derive(Serialize, ToSchema)]
struct Live {
    #[schema(example = "live")]
    status: &'static str,
}

#[derive(Serialize, ToSchema)]
struct Ready {
    #[schema(example = "ready")]
    status: &'static str,
    /// Version of the loaded models.
    model_version: String,
    /// Products in the catalogue.
    products: u64,
}

/// The process runs
#[utoipa::path(get, path = "/health/live", tag = "health", operation_id = "live",
    responses((status = 200, description = "It runs", body = Live)))]
async fn live() -> Json<Live> {
    Json(Live { status: "live" })
}

/// Models and catalogue answer; refused while the server stops
#[utoipa::path(get, path = "/health/ready", tag = "health", operation_id = "ready",
    responses(
        (status = 200, description = "Send it work", body = Ready),
        (status = 503, description = "Send it nothing", body = Problem, content_type = "application/problem+json")
    ))]
async fn ready(State(state): State<AppState>) -> Result<Json<Ready>, ApiError> {
    if state.stopping() {
        return Err(ApiError::NotReady("the server is stopping".into()));
    }
    let products = state
        .catalogue()
        .count()
        .await
        .map_err(|error| ApiError::NotReady(format!("the catalogue does not answer: {error}")))?;
    let model_version = state.inference().manifest().version.clone();
    Ok(Json(Ready { status: "ready", model_version, products }))
}
