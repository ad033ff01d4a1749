//! `/v1/admin`: what is the operator's.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tracing::{error, info};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{ApiError, AppState, Problem, ReloadError, Serving};
use crate::{
    backup::{self, Description},
    inference::Model,
};

pub(super) fn routes() -> OpenApiRouter<Serving> {
    OpenApiRouter::new().routes(routes!(back_up)).routes(routes!(reload))
}

/// Back the catalogue up
///
/// Answers with a file, a gzipped tar, that `marketrank restore` makes a catalogue of; `marketrank backup --from` asks for it
/// and checks it. Requests are answered meanwhile; a product that changes is in the file as it was before or as it is after. A
/// file that broke off lacks its last entry, and `restore` refuses it.
#[utoipa::path(post, path = "/v1/admin/backup", tag = "admin", operation_id = "backUp",
    responses(
        (status = 200, content_type = "application/gzip", body = Vec<u8>, description = "The backup"),
        (status = "4XX", description = "The request cannot be answered as it is", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The server cannot answer", body = Problem, content_type = "application/problem+json")
    ))]
async fn back_up(State(state): State<AppState>) -> Result<Response, ApiError> {
    // A catalogue that does not answer is refused while there can still be a status.
    let products = state.catalogue().count().await?;
    info!(products, "a backup was asked for");
    let manifest = state.inference().manifest();
    let description = Description::now(manifest.embedding_width, &manifest.version);
    let pieces = futures::StreamExt::inspect(backup::pack(state.shared_catalogue(), description), |piece| {
        if let Err(reason) = piece {
            error!(%reason, "a backup broke off");
        }
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/gzip")),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment; filename=\"marketrank-backup.tar.gz\""),
        ),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// The models that serve from now on.
#[derive(Debug, Serialize, ToSchema)]
struct Reloaded {
    /// Version of the trained models.
    #[schema(example = "ac13cb62b3ab")]
    version: String,
    /// One for each of the three models.
    models: Vec<ReloadedModel>,
}

/// The file that a model runs from.
#[derive(Debug, Serialize, ToSchema)]
struct ReloadedModel {
    /// `image`, `text` or `combined`.
    #[schema(example = "text")]
    name: String,
    #[schema(example = "int8")]
    precision: String,
    #[schema(example = "text.int8.onnx")]
    file: String,
    sha256: String,
}

/// Read the models anew
///
/// Opens the folder of --models again, beside the models that serve: hashes, shapes and the self-test of the manifest must be
/// right, and the embeddings must lie in the catalogue's space. Then the new ones answer; no request is lost meanwhile, and
/// none is answered by both. Where anything is wrong the models from before stay, and the answer, 409, says why. SIGHUP does
/// the same.
#[utoipa::path(post, path = "/v1/admin/reload", tag = "admin", operation_id = "reloadModels",
    responses(
        (status = 200, description = "The models that serve from now on", body = Reloaded),
        (status = "4XX", description = "The models from before stay", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The server cannot answer", body = Problem, content_type = "application/problem+json")
    ))]
async fn reload(State(serving): State<Serving>) -> Result<Json<Reloaded>, ApiError> {
    let state = serving.reload().await?;
    let inference = state.inference();
    let served = |model: Model| {
        let variant = inference.variant(model);
        ReloadedModel {
            name: model.name().into(),
            precision: variant.precision.name().into(),
            file: variant.file.file.clone(),
            sha256: variant.file.sha256.clone(),
        }
    };
    Ok(Json(Reloaded {
        version: inference.manifest().version.clone(),
        models: Model::ALL.map(served).into(),
    }))
}

impl From<ReloadError> for ApiError {
    fn from(error: ReloadError) -> Self {
        Self::Conflict(error.to_string())
    }
}
