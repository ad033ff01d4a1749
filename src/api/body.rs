//! Request bodies: JSON that says which field is wrong, and text within bounds.

use std::{error::Error, time::Duration};

use axum::{
    extract::{FromRequest, Request, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::{body_memory::NoRoom, error::ApiError, pace::TooSlow};

/// Longest accepted title, in characters.
pub const MAX_TITLE: usize = 1_000;
/// Longest accepted description, in characters.
pub const MAX_DESCRIPTION: usize = 50_000;

/// A JSON body. Unknown fields and wrong types are 422 and name the field; what is no JSON is 400.
pub struct ApiJson<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ApiJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::UnsupportedType {
                field: None,
                detail: "send the body as application/json".into(),
            });
        }
        parse_json(&read_body(request, state).await?).map(Self)
    }
}

/// The whole body, within the server's limit.
pub async fn read_body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, state).await.map_err(|rejection: BytesRejection| {
        arrival_error("body", rejection.status(), &rejection, rejection.body_text())
    })
}

/// What went wrong with a body, or a form, on its way; `reason` is axum's own account of it.
pub fn arrival_error(
    what: &str,
    status: StatusCode,
    error: &(dyn Error + 'static),
    reason: String,
) -> ApiError {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = format!("the {what} is larger than --max-body-mb allows");
        ApiError::TooLarge { field: None, detail }
    } else if is_caused_by::<TooSlow>(error) {
        ApiError::TooSlow
    } else if is_caused_by::<NoRoom>(error) {
        ApiError::Overloaded { detail: NoRoom.to_string(), retry_after: Duration::from_secs(1) }
    } else {
        ApiError::Malformed(format!("the {what} cannot be read: {reason}"))
    }
}

fn is_caused_by<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| (*error).source()).any(|error| error.is::<E>())
}

/// Parses JSON; the error names the field and the place.
pub fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if body.is_empty() {
        return Err(ApiError::Malformed("the body is empty; send a JSON object".into()));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let field = error.path().to_string();
        let reason = error.into_inner();
        if reason.is_data() {
            // An unknown field is reported at its parent; the message names the field itself.
            ApiError::unusable(if field == "." { "body".into() } else { field }, reason)
        } else {
            ApiError::Malformed(format!("the body is not valid JSON: {reason}"))
        }
    })?;
    json.end().map_err(|error| ApiError::Malformed(format!("the body is not valid JSON: {error}")))?;
    Ok(value)
}

/// Whether the content type is JSON.
pub fn is_json(headers: &HeaderMap) -> bool {
    content_type(headers).is_some_and(|kind| kind == "application/json" || kind.ends_with("+json"))
}

/// The content type without parameters, in lower case.
pub fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next()?.trim().to_ascii_lowercase())
}

/// Refuses a text that is longer than `max` characters.
pub fn check_length(field: &str, text: &str, max: usize) -> Result<(), ApiError> {
    match text.chars().count() {
        length if length > max => {
            Err(ApiError::unusable(field, format!("it has {length} characters, at most {max} are taken")))
        }
        _ => Ok(()),
    }
}
