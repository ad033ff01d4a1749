//! Answers that a client keeps, and asks anew whether they still hold (RFC 9110, 8.8.3 and 13.1.2).

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::fingerprint::{hex, of_parts};

/// The first 64 bits of the SHA-256 of all parts, in hexadecimal.
pub(crate) fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    hex(&of_parts(parts)[..8])
}

/// The answer with its tag, or 304 without a body where the client has the one of this tag.
pub(crate) fn answer(request: &HeaderMap, hash: &str, answer: impl IntoResponse) -> Response {
    let tag = format!("\"{hash}\"");
    // A compressing proxy marks the tag as weak (`W/`), and it is the same answer still.
    let known = request.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let same = known.is_some_and(|tags| tags.contains(&tag));
    let caching = [(header::ETAG, tag), (header::CACHE_CONTROL, "no-cache".into())];
    if same { (StatusCode::NOT_MODIFIED, caching).into_response() } else { (caching, answer).into_response() }
}
