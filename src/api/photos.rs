//! Photos as clients send them: base64 in JSON, or a URL that the server fetches.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use reqwest::{
    Client, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::error::ApiError;
use crate::{config::LimitConfig, preprocess::PhotoError};

/// Redirects followed, at most.
const MAX_REDIRECTS: usize = 3;
/// Longest accepted URL, in bytes.
const MAX_URL: usize = 2_048;

/// A photo in a JSON body: exactly one of `url` and `base64`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PhotoSource {
    /// An http or https address the server fetches the photo from.
    #[schema(example = "https://example.com/sofa.jpg")]
    pub url: Option<String>,
    /// The file's bytes, standard base64, with or without a `data:` prefix.
    pub base64: Option<String>,
}

/// Brings photos in.
pub struct PhotoFetcher {
    client: Option<Client>,
    allow_private: bool,
    max_bytes: usize,
}

impl PhotoFetcher {
    pub fn new(limits: &LimitConfig) -> Result<Self, reqwest::Error> {
        let allow_private = limits.fetch_private;
        let client = if limits.no_fetch { None } else { Some(client(allow_private, limits.timeout())?) };
        Ok(Self { client, allow_private, max_bytes: limits.photo_limits().max_bytes })
    }

    /// The bytes of a photo; `field` names it in errors.
    pub async fn bytes(&self, field: &str, source: PhotoSource) -> Result<Bytes, ApiError> {
        match (source.url, source.base64) {
            (Some(url), None) => self.fetch(field, &url).await,
            (None, Some(text)) => self.decode(field, &text),
            _ => Err(ApiError::unusable(field, "give a photo exactly one of url and base64")),
        }
    }

    fn decode(&self, field: &str, text: &str) -> Result<Bytes, ApiError> {
        let payload = match text.strip_prefix("data:") {
            Some(data) => data.split_once(";base64,").map_or(data, |(_, payload)| payload),
            None => text,
        };
        let bytes = STANDARD
            .decode(payload.trim())
            .map_err(|error| ApiError::unusable(field, format!("it is not standard base64: {error}")))?;
        self.check_size(field, bytes.len())?;
        Ok(bytes.into())
    }

    async fn fetch(&self, field: &str, text: &str) -> Result<Bytes, ApiError> {
        let Some(client) = &self.client else {
            return Err(ApiError::unusable(field, "this server does not fetch photos by URL; send base64"));
        };
        if text.len() > MAX_URL {
            return Err(ApiError::unusable(field, format!("the URL is longer than {MAX_URL} bytes")));
        }
        let url = Url::parse(text)
            .map_err(|error| ApiError::unusable(field, format!("the URL cannot be read: {error}")))?;
        check_url(&url, self.allow_private).map_err(|reason| ApiError::unusable(field, reason))?;

        let failed = |error: reqwest::Error| {
            ApiError::unusable(field, format!("the photo cannot be fetched: {}", root_cause(&error)))
        };
        let mut answer = client.get(url).send().await.map_err(failed)?.error_for_status().map_err(failed)?;
        let announced = answer.content_length().and_then(|length| usize::try_from(length).ok());
        self.check_size(field, announced.unwrap_or(0))?;
        let mut bytes = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            self.check_size(field, bytes.len() + chunk.len())?;
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    fn check_size(&self, field: &str, bytes: usize) -> Result<(), ApiError> {
        if bytes > self.max_bytes {
            return Err(ApiError::photo(field, &PhotoError::TooManyBytes { bytes, max: self.max_bytes }));
        }
        Ok(())
    }
}

fn client(allow_private: bool, timeout: Duration) -> Result<Client, reqwest::Error> {
    let redirects = Policy::custom(move |attempt| {
        if attempt.previous().len() > MAX_REDIRECTS {
            return attempt.error("too many redirects");
        }
        match check_url(attempt.url(), allow_private) {
            Ok(()) => attempt.follow(),
            Err(reason) => attempt.error(reason),
        }
    });
    Client::builder()
        .user_agent(concat!("marketrank/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .timeout(timeout)
        .redirect(redirects)
        .dns_resolver(PublicResolver { allow_private })
        .build()
}

/// Resolves names and drops the addresses a client must not reach through us. The connection is made to exactly the
/// addresses that passed, so a name that changes its address between check and use gains nothing.
struct PublicResolver {
    allow_private: bool,
}

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0))
                .await?
                .filter(|address| allow_private || is_public(address.ip()))
                .collect();
            if found.is_empty() {
                return Err("its host has no public address".into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Refuses other schemes and literal addresses that are not public (those never reach the resolver).
fn check_url(url: &Url, allow_private: bool) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("only http and https are fetched, not {}", url.scheme()));
    }
    let literal = url.host_str().map(|host| host.trim_matches(['[', ']'])).and_then(|host| host.parse().ok());
    match literal {
        Some(address) if !allow_private && !is_public(address) => {
            Err(format!("{address} is not a public address"))
        }
        _ => Ok(()),
    }
}

/// Whether an address belongs to the public internet (IANA special-purpose registries).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_public(IpAddr::V4(v4)),
            // 2000::/3 is all that is handed out for the public; 2002::/16 and 2001::/32 tunnel to any IPv4 address.
            None => {
                let [first, second, ..] = v6.segments();
                first & 0xE000 == 0x2000 && first != 0x2002 && !(first == 0x2001 && second < 0x0200)
            }
        },
    }
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if error.is_timeout() { "it took too long".into() } else { cause.to_string() }
}
