//! Photos as clients send them: base64 in JSON, or a URL that the server fetches.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use futures::future::{BoxFuture, try_join_all};
use reqwest::{
    Client, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    byte_budget::{ByteBudget, Share},
    error::ApiError,
};
use crate::{config::LimitConfig, preprocess::PhotoError};

/// Redirects followed, at most.
const MAX_REDIRECTS: usize = 3;
/// Bytes of fetched photos that may be in memory at once, over all requests: a short request can ask for many long photos.
const MAX_MEMORY: usize = 256 << 20;
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
    memory: ByteBudget,
}

/// A fetched photo and its share of the memory, which is given back when the last handle on the bytes is gone.
struct Fetched {
    bytes: BytesMut,
    _memory: Share,
}

impl AsRef<[u8]> for Fetched {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl PhotoFetcher {
    pub fn new(limits: &LimitConfig) -> Result<Self, reqwest::Error> {
        Self::with_lookup(limits, Arc::new(|name| Box::pin(look_up(name))))
    }

    fn with_lookup(limits: &LimitConfig, lookup: Lookup) -> Result<Self, reqwest::Error> {
        let allow_private = limits.fetch_private;
        let resolver = PublicResolver { allow_private, lookup };
        let client = if limits.no_fetch { None } else { Some(client(resolver)?) };
        let memory = ByteBudget::new(MAX_MEMORY);
        Ok(Self { client, allow_private, max_bytes: limits.photo_limits().max_bytes, memory })
    }

    /// The bytes of all photos in their order, at the same time and until the deadline; `field` names each in errors.
    pub async fn all(
        &self,
        field: impl Fn(usize) -> String,
        sources: Vec<PhotoSource>,
        deadline: Instant,
    ) -> Result<Vec<Bytes>, ApiError> {
        let photos = sources.into_iter().enumerate().map(|(index, source)| {
            let field = field(index);
            async move {
                let late = || ApiError::unusable(&field, "the photo cannot be fetched: it took too long");
                let photo = self.bytes(&field, source);
                tokio::time::timeout_at(deadline.into(), photo).await.unwrap_or_else(|_| Err(late()))
            }
        });
        try_join_all(photos).await
    }

    /// The bytes of a photo; `field` names it in errors.
    async fn bytes(&self, field: &str, source: PhotoSource) -> Result<Bytes, ApiError> {
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
        let mut answer = client.get(url).send().await.map_err(failed)?;
        if !answer.status().is_success() {
            let detail = format!("the photo cannot be fetched: its server answers {}", answer.status());
            return Err(ApiError::unusable(field, detail));
        }
        let announced = answer.content_length().and_then(|length| usize::try_from(length).ok());
        self.check_size(field, announced.unwrap_or(0))?;
        let mut bytes = BytesMut::new();
        let mut memory = self.memory.share();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            self.check_size(field, bytes.len() + chunk.len())?;
            memory.take(chunk.len()).map_err(|_| ApiError::Overloaded {
                detail: "too many photos are being fetched".into(),
                retry_after: Duration::from_secs(1),
            })?;
            bytes.extend_from_slice(&chunk);
        }
        Ok(Bytes::from_owner(Fetched { bytes, _memory: memory }))
    }

    fn check_size(&self, field: &str, bytes: usize) -> Result<(), ApiError> {
        if bytes > self.max_bytes {
            return Err(ApiError::photo(field, &PhotoError::TooManyBytes { bytes, max: self.max_bytes }));
        }
        Ok(())
    }
}

fn client(resolver: PublicResolver) -> Result<Client, reqwest::Error> {
    let allow_private = resolver.allow_private;
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
        // An address may hold a signature that its server gave to this client alone.
        .referer(false)
        .redirect(redirects)
        .dns_resolver(resolver)
        .build()
}

/// Finds the addresses of a name.
type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

async fn look_up(name: String) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((name, 0)).await?.collect())
}

/// Resolves names and drops the addresses a client must not reach through us. The connection is made to exactly the
/// addresses that passed, so a name that changes its address between check and use gains nothing.
struct PublicResolver {
    allow_private: bool,
    lookup: Lookup,
}

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        let found = (self.lookup)(name.as_str().to_owned());
        Box::pin(async move {
            let mut found = found.await?;
            found.retain(|address| allow_private || is_public(address.ip()));
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

/// Whether an address belongs to the public internet: none of the IANA special-purpose registries names it. The metadata
/// services of the clouds have link-local (169.254.169.254) or private addresses (fd00:ec2::254).
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
                || (a == 192 && b == 88 && c == 99)
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_public(IpAddr::V4(v4)),
            // 2000::/3 is all that is handed out for the public; 2002::/16 and 2001::/32 tunnel to any IPv4 address;
            // 2001:db8::/32 and 3fff::/20 stand in documentation.
            None => {
                let [first, second, ..] = v6.segments();
                first & 0xE000 == 0x2000
                    && first != 0x2002
                    && !(first == 0x2001 && (second < 0x0200 || second == 0x0DB8))
                    && !(first == 0x3FFF && second < 0x1000)
            }
        },
    }
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        limits: LimitConfig,
    }

    /// A fetcher for which every name has these addresses, one set a lookup, the last for ever.
    fn fetcher(lookups: &[&[&str]]) -> PhotoFetcher {
        let lookups: Vec<Vec<SocketAddr>> = lookups
            .iter()
            .map(|addresses| addresses.iter().map(|a| SocketAddr::new(a.parse().unwrap(), 0)).collect())
            .collect();
        let asked = AtomicUsize::new(0);
        let lookup = move |_: String| -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            let turn = asked.fetch_add(1, Ordering::Relaxed).min(lookups.len() - 1);
            Box::pin(std::future::ready(Ok(lookups[turn].clone())))
        };
        let limits = Cli::parse_from(["test", "--timeout-ms", "500"]).limits;
        PhotoFetcher::with_lookup(&limits, Arc::new(lookup)).unwrap()
    }

    /// A server on loopback that counts who comes.
    fn loopback() -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let visits = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&visits);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut connection = connection.unwrap();
                let _ = connection.read(&mut [0; 1024]);
                let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            }
        });
        (port, visits)
    }

    async fn refused(fetcher: &PhotoFetcher, url: String) -> String {
        let source = PhotoSource { url: Some(url), base64: None };
        // Where packets to strangers are dropped without an answer, connecting takes minutes to fail.
        let fetched = tokio::time::timeout(Duration::from_secs(5), fetcher.bytes("image", source)).await;
        fetched.map_or("no answer".to_owned(), |fetched| fetched.unwrap_err().to_string())
    }

    #[tokio::test]
    async fn a_name_with_a_public_and_a_private_address_never_leads_to_the_private_one() {
        let (port, visits) = loopback();
        // 198.41.0.4 is a root name server: it answers no HTTP, and on a machine without a network nothing does.
        let fetcher = fetcher(&[&["127.0.0.1", "198.41.0.4", "::1", "::ffff:127.0.0.1"]]);
        refused(&fetcher, format!("http://both.example:{port}/")).await;
        assert_eq!(visits.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_name_that_turns_private_between_two_lookups_is_refused_at_the_second() {
        let (port, visits) = loopback();
        let fetcher = fetcher(&[&["198.41.0.4"], &["127.0.0.1"]]);
        refused(&fetcher, format!("http://rebind.example:{port}/")).await;
        let second = refused(&fetcher, format!("http://rebind.example:{port}/")).await;
        assert!(second.contains("no public address"), "{second}");
        assert_eq!(visits.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn special_addresses_are_not_public_and_others_are() {
        for special in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.53",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
        for public in
            ["1.1.1.1", "172.32.0.1", "100.128.0.1", "198.41.0.4", "2606:4700::1111", "2a00:1450::1"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
