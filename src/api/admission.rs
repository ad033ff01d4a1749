//! Who is let in: keys and scopes, rates, and origins of web pages.
//!
//! [`identify`] runs for every request and finds out who asks; [`guard`] puts before a group of routes what a caller needs
//! for them. A route that is not guarded is for everyone.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa_axum::router::OpenApiRouter;

use super::{ApiError, REQUEST_ID, Serving};
use crate::access::{Access, Caller, RateLimits, Scope, TooOften};

/// What requests are let in by.
#[derive(Clone)]
pub struct Admission(Arc<Rules>);

struct Rules {
    access: Access,
    rates: RateLimits,
}

impl Admission {
    pub fn new(access: Access, rates: RateLimits) -> Self {
        Self(Arc::new(Rules { access, rates }))
    }

    pub fn access(&self) -> &Access {
        &self.0.access
    }

    pub fn rates(&self) -> &RateLimits {
        &self.0.rates
    }
}

/// What a caller needs for a group of routes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Need {
    Scope(Scope),
    /// Any scope will do.
    AnyKey,
    /// `rank` to read (GET, HEAD), `write` for the rest.
    ReadOrWrite,
}

impl Need {
    /// The scope that is missing; none where the caller may go on.
    fn missing(self, caller: &Caller, method: &Method) -> Option<Scope> {
        let needed = match self {
            Self::Scope(scope) => scope,
            Self::AnyKey => *caller.scopes.first().unwrap_or(&Scope::Admin),
            Self::ReadOrWrite if matches!(*method, Method::GET | Method::HEAD) => Scope::Rank,
            Self::ReadOrWrite => Scope::Write,
        };
        (!caller.may(needed)).then_some(needed)
    }
}

/// Puts the need before these routes.
pub(super) fn guard(need: Need, routes: OpenApiRouter<Serving>) -> OpenApiRouter<Serving> {
    routes.route_layer(middleware::from_fn_with_state(need, check))
}

async fn check(State(need): State<Need>, request: Request, next: Next) -> Response {
    let Some(caller) = request.extensions().get::<Caller>() else {
        return ApiError::Internal("nobody found out who asks".into()).into_response();
    };
    match need.missing(caller, request.method()) {
        None => next.run(request).await,
        Some(needed) if caller.name.is_some() => {
            ApiError::Forbidden { needed: needed.name() }.into_response()
        }
        Some(_) => {
            let detail = "this needs an API key: send it as `Authorization: Bearer <key>`".into();
            ApiError::Unauthorized { detail, presented: false }.into_response()
        }
    }
}

/// Middleware: counts the request, finds out whose key it has, and leaves the [`Caller`] for [`guard`].
pub(super) async fn identify(
    State(admission): State<Admission>,
    mut request: Request,
    next: Next,
) -> Response {
    match admission.caller(&request) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

impl Admission {
    fn caller(&self, request: &Request) -> Result<Caller, ApiError> {
        // A probe that is told to wait would have the server restarted.
        let path = request.uri().path();
        let is_probe = ["/health/", "/v2/health/"].iter().any(|probes| path.starts_with(probes));
        if let Some(ConnectInfo(address)) = request.extensions().get::<ConnectInfo<SocketAddr>>()
            && !is_probe
        {
            self.rates().count_address(address.ip()).map_err(|wait| too_often("address", wait))?;
        }
        let presented = if self.access().asks_for_keys() { bearer(request.headers())? } else { None };
        let caller = self.access().caller(presented).ok_or_else(|| {
            let detail = "this API key is not one that is let in".into();
            ApiError::Unauthorized { detail, presented: true }
        })?;
        if let Some(name) = &caller.name {
            self.rates().count_key(name).map_err(|wait| too_often("key", wait))?;
        }
        Ok(caller)
    }
}

fn too_often(whose: &str, TooOften(wait): TooOften) -> ApiError {
    let detail = format!("too many requests of this {whose} in a second; slow down");
    ApiError::RateLimited { detail, retry_after: wait }
}

/// The key in the `Authorization` header (RFC 6750).
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let key = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .and_then(|(scheme, key)| scheme.eq_ignore_ascii_case("bearer").then(|| key.trim()));
    key.map(Some).ok_or_else(|| {
        let detail = "the Authorization header is not `Bearer <key>`".into();
        ApiError::Unauthorized { detail, presented: true }
    })
}

/// Lets web pages of these origins call from a browser; with none, browsers keep them from it.
pub fn cors(origins: &[String]) -> anyhow::Result<CorsLayer> {
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION, HeaderName::from_static(REQUEST_ID)])
        .expose_headers([HeaderName::from_static(REQUEST_ID), header::RETRY_AFTER]);
    if origins.is_empty() {
        return Ok(CorsLayer::new());
    }
    if origins.iter().any(|origin| origin == "*") {
        return Ok(layer.allow_origin(AllowOrigin::any()));
    }
    let origins = origins
        .iter()
        .map(|origin| {
            let has_scheme = origin.starts_with("http://") || origin.starts_with("https://");
            let is_bare = origin.matches('/').count() == 2;
            HeaderValue::from_str(origin).ok().filter(|_| has_scheme && is_bare).with_context(|| {
                format!("--cors-origin {origin:?} is no origin; give one such as https://shop.example, without a path")
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(layer.allow_origin(AllowOrigin::list(origins)))
}
