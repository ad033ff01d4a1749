//! `/v1/admin`: what is the operator's.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use tracing::{error, info};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{ApiError, AppState, Problem};
use crate::backup::{self, Description};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(back_up))
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
