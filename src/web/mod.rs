//! The page served at `/`, for people who want to see what the service does. It is held by the binary, needs no build step
//! and talks to this server only.

mod assets;

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tower_http::{compression::CompressionLayer, set_header::SetResponseHeaderLayer};

use crate::revalidate::{self, hash};
use assets::ASSETS;

/// Where the page's files are: their hash is in the path, so they never change there.
const FOLDER: &str = "/page";

/// What the page tells its visitor before a photo travels.
#[derive(Debug, Clone, Copy)]
pub struct PageLimits {
    pub max_photo_bytes: usize,
    pub max_photos: usize,
}

/// Nothing from elsewhere, nothing inline, nothing around it. `blob:` shows photos that were chosen and not yet sent.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; \
     img-src 'self' blob: data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), payment=(), usb=(), geolocation=(self)",
    ),
];

/// The page and its files.
pub fn router(limits: PageLimits) -> Router {
    let version = hash(ASSETS.iter().flat_map(|asset| [asset.path.as_bytes(), asset.bytes]));
    let page = include_str!("assets/index.html")
        .replace("%ASSETS%", &format!("{FOLDER}/{version}"))
        .replace("%MAX_PHOTO_BYTES%", &limits.max_photo_bytes.to_string())
        .replace("%MAX_PHOTOS%", &limits.max_photos.to_string());
    let page_hash = hash([page.as_bytes()]);
    let router =
        Router::new()
            .route("/", get(move |headers: HeaderMap| async move { index(&headers, page, &page_hash) }))
            .route(
                &format!("{FOLDER}/{{version}}/{{*path}}"),
                get(move |Path((asked, path)): Path<(String, String)>| async move {
                    file(asked == version, &path)
                }),
            )
            .layer(CompressionLayer::new());
    HEADERS.into_iter().fold(router, |router, (name, value)| {
        router.layer(SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value)))
    })
}

/// Asked for anew each time, sent only when it is another.
fn index(headers: &HeaderMap, page: String, hash: &str) -> Response {
    revalidate::answer(headers, hash, ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page))
}

fn file(current: bool, path: &str) -> Response {
    match ASSETS.iter().find(|asset| current && asset.path == path) {
        Some(asset) => {
            let caching = (header::CACHE_CONTROL, "public, max-age=31536000, immutable");
            ([caching, (header::CONTENT_TYPE, asset.content_type)], asset.bytes).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
