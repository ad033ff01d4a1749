//! Multipart forms: opened, read to their end whatever happens, errors in the API's words.

use axum::{
    extract::{FromRequest, Multipart, Request, multipart::MultipartError},
    http::StatusCode,
};

use super::{ApiError, AppState, pace::is_too_slow};

pub(super) async fn open(state: &AppState, request: Request) -> Result<Multipart, ApiError> {
    Multipart::from_request(request, state)
        .await
        .map_err(|rejection| ApiError::Malformed(rejection.body_text()))
}

/// Reads what is left of a form that was refused half-way: a client that is still sending would meet a closed connection
/// instead of the answer. The body's limit bounds this.
pub(super) async fn read_to_the_end(form: &mut Multipart) {
    while let Ok(Some(_)) = form.next_field().await {}
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
