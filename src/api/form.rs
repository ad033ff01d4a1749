//! Multipart forms: opened, read to their end whatever happens, errors in the API's words.

use axum::{
    extract::{FromRequest, Multipart, Request, multipart::MultipartError},
    http::StatusCode,
};

use super::{ApiError, AppState, pace::is_too_slow};

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
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        ApiError::TooLarge { field: None, detail: "the form is larger than --max-body-mb allows".into() }
    } else if is_too_slow(&error) {
        ApiError::TooSlow
    } else {
        ApiError::Malformed(format!("the form cannot be read: {}", error.body_text()))
    }
}
