//! Every way a request can fail, and the `application/problem+json` (RFC 9457) it becomes.

use std::time::Duration;

use axum::{
    Json,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use tracing::error;
use utoipa::ToSchema;

use crate::{
    catalogue::CatalogueError, inference::InferenceError, intake::IntakeError, preprocess::PhotoError,
};

/// Why a request failed. A request that fails changes nothing.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// 400: the body or the path is not what its content type says.
    #[error("{0}")]
    Malformed(String),
    /// 401: who asks is not known. `presented`: a key came, and it is not one.
    #[error("{detail}")]
    Unauthorized { detail: String, presented: bool },
    /// 403: the key does not have the scope.
    #[error("this API key does not have the scope {needed:?}, which this needs")]
    Forbidden { needed: &'static str },
    /// 404: there is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// 405: the route exists, the method does not.
    #[error("this route does not take that method")]
    MethodNotAllowed,
    /// 409: it cannot be done as things stand.
    #[error("{0}")]
    Conflict(String),
    /// 408: the body came too slowly.
    #[error("the body came too slowly, see --body-timeout-ms; send it again")]
    TooSlow,
    /// 413: more bytes, pixels or items than are taken.
    #[error("{detail}")]
    TooLarge { field: Option<String>, detail: String },
    /// 415: the body or a photo is of a type that is not taken.
    #[error("{detail}")]
    UnsupportedType { field: Option<String>, detail: String },
    /// 422: well-formed, but this field cannot be used.
    #[error("{detail}")]
    Unusable { field: String, detail: String },
    /// 429: the queue is full; come again.
    #[error("{detail}")]
    Overloaded { detail: String, retry_after: Duration },
    /// 429: this client asks too often.
    #[error("{detail}")]
    RateLimited { detail: String, retry_after: Duration },
    /// 500: our fault.
    #[error("something went wrong here; the log has more under this request id")]
    Internal(String),
    /// 503: not ready, or stopping.
    #[error("{0}")]
    NotReady(String),
    /// 504: the answer took longer than it may.
    #[error("the answer did not come before the deadline")]
    DeadlineExceeded,
}

/// The body of every error.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the meaning is in `status` and `code`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    pub status: u16,
    /// What went wrong, for programs; stable.
    #[schema(example = "unusable")]
    pub code: String,
    /// What was wrong, where, and what to do, for people.
    pub detail: String,
    /// The field at fault, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "images[0]")]
    pub field: Option<String>,
    /// The `x-request-id` of the answer; the log has it too.
    pub request_id: String,
    /// `detail` again, on the routes under `/v2`, whose clients look for it here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl ApiError {
    /// A field that cannot be used.
    pub fn unusable(field: impl Into<String>, detail: impl ToString) -> Self {
        Self::Unusable { field: field.into(), detail: detail.to_string() }
    }

    /// A photo at `field` that cannot be used.
    pub fn photo(field: impl Into<String>, error: &PhotoError) -> Self {
        let (field, detail) = (field.into(), error.to_string());
        match error {
            PhotoError::UnknownFormat => Self::UnsupportedType { field: Some(field), detail },
            PhotoError::TooManyBytes { .. } | PhotoError::TooManyPixels { .. } => {
                Self::TooLarge { field: Some(field), detail }
            }
            PhotoError::TooSmall { .. } | PhotoError::Truncated | PhotoError::Broken(_) => {
                Self::Unusable { field, detail }
            }
        }
    }

    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed"),
            Self::Unauthorized { .. } => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Forbidden { .. } => (StatusCode::FORBIDDEN, "forbidden"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "too_slow"),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::UnsupportedType { .. } => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_type"),
            Self::Unusable { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "unusable"),
            Self::Overloaded { .. } => (StatusCode::TOO_MANY_REQUESTS, "overloaded"),
            Self::RateLimited { .. } => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            Self::NotReady(_) => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
            Self::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded"),
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::TooLarge { field, .. } | Self::UnsupportedType { field, .. } => field.clone(),
            Self::Unusable { field, .. } => Some(field.clone()),
            _ => None,
        }
    }

    /// What a client that has no fitting key is to bring (RFC 6750, section 3).
    fn challenge(&self) -> Option<HeaderValue> {
        match self {
            Self::Unauthorized { presented: false, .. } => {
                Some(HeaderValue::from_static("Bearer realm=\"marketrank\""))
            }
            Self::Unauthorized { presented: true, .. } => {
                Some(HeaderValue::from_static("Bearer realm=\"marketrank\", error=\"invalid_token\""))
            }
            Self::Forbidden { needed } => {
                let challenge =
                    format!("Bearer realm=\"marketrank\", error=\"insufficient_scope\", scope=\"{needed}\"");
                HeaderValue::from_str(&challenge).ok()
            }
            _ => None,
        }
    }

    /// The problem as a value, for answers that hold several results.
    pub fn problem(&self, request_id: &str) -> Problem {
        if let Self::Internal(reason) = self {
            error!(%reason, request_id, "a request failed");
        }
        let (status, code) = self.status_and_code();
        Problem {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or_default().into(),
            status: status.as_u16(),
            code: code.into(),
            detail: self.to_string(),
            field: self.field(),
            request_id: request_id.into(),
            error: None,
        }
    }
}

/// Carries the error to [`render_problems`], which knows the request's id.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status_and_code().0.into_response();
        if let Self::Overloaded { retry_after, .. } | Self::RateLimited { retry_after, .. } = &self {
            // The header knows whole seconds only: rounded up, so that whoever keeps to it is not early.
            let seconds = retry_after.as_millis().div_ceil(1_000).max(1) as u64;
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge() {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response.extensions_mut().insert(std::sync::Arc::new(self));
        response
    }
}

/// Middleware: gives every failed answer its problem body with the request's id.
pub async fn render_problems(request: Request, next: Next) -> Response {
    let request_id = request_id(&request).to_owned();
    let path = request.uri().path();
    let is_v2 = path == "/v2" || path.starts_with("/v2/");
    let mut response = next.run(request).await;
    let Some(error) = response.extensions_mut().remove::<std::sync::Arc<ApiError>>() else {
        return response;
    };
    let (parts, _) = response.into_parts();
    let mut problem = error.problem(&request_id);
    problem.error = is_v2.then(|| problem.detail.clone());
    let mut rendered = (parts.status, Json(problem)).into_response();
    rendered.headers_mut().extend(parts.headers);
    rendered.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    rendered
}

/// The id the request came with or was given.
pub fn request_id(request: &Request) -> &str {
    request.headers().get(super::REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default()
}

impl From<InferenceError> for ApiError {
    fn from(error: InferenceError) -> Self {
        match error {
            InferenceError::Empty => Self::unusable("title", error),
            InferenceError::QueueFull { retry_after, .. } => {
                Self::Overloaded { detail: error.to_string(), retry_after }
            }
            InferenceError::DeadlineExceeded => Self::DeadlineExceeded,
            InferenceError::Failed(reason) => Self::Internal(reason),
        }
    }
}

impl IntakeError {
    /// The error, with a photo's position named as the request names it.
    pub(super) fn at(self, photo_field: impl FnOnce(usize) -> String) -> ApiError {
        match self {
            Self::Photo { index, error } => ApiError::photo(photo_field(index), &error),
            Self::Inference(error) => error.into(),
            Self::Text(_) | Self::Interrupted(_) => ApiError::Internal(self.to_string()),
        }
    }
}

impl From<IntakeError> for ApiError {
    fn from(error: IntakeError) -> Self {
        error.at(|index| format!("images[{index}]"))
    }
}

impl From<CatalogueError> for ApiError {
    fn from(error: CatalogueError) -> Self {
        Self::from(&error)
    }
}

/// For an error that befell several products at once.
impl From<&CatalogueError> for ApiError {
    fn from(error: &CatalogueError) -> Self {
        match error {
            CatalogueError::Unavailable(_) | CatalogueError::Halted(_) | CatalogueError::Closed => {
                Self::NotReady(error.to_string())
            }
            CatalogueError::Unusable(_) | CatalogueError::Embedding(_) | CatalogueError::Engine(_) => {
                Self::Internal(error.to_string())
            }
        }
    }
}
