//! Multipart forms: opened, read to their end whatever happens, errors in the API's words.

use axum::extract::{FromRequest, Multipart, Request, multipart::MultipartError};

use super::{ApiError, AppState, body::arrival_error};

/// What `read_fields` makes of the form of a request.
///
/// Where it refuses half-way the rest is read all the same: a client that is still sending would meet a closed connection
/// instead of the answer. The body's limit bounds this.
pub(super) async fn read<T>(
    state: &AppState,
    request: Request,
    read_fields: impl AsyncFnOnce(&mut Multipart) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    let mut form = Multipart::from_request(request, state)
        .await
        .map_err(|rejection| ApiError::Malformed(rejection.body_text()))?;
    let fields = read_fields(&mut form).await;
    if fields.is_err() {
        while let Ok(Some(_)) = form.next_field().await {}
    }
    fields
}

pub(super) fn form_error(error: MultipartError) -> ApiError {
    arrival_error("form", error.status(), &error, error.body_text())
}
