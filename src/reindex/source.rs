//! Where `reindex` reads from: a folder that nobody uses, or a server that goes on serving.

use std::{path::Path, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};
use serde::Deserialize;

use crate::{
    catalogue::{Catalogue, Filter, Position, Product, StoredProduct, embedded::EmbeddedCatalogue},
    remote::usable,
    secret::Secret,
};

/// A server that does not answer in this time is not going to.
const PATIENCE: Duration = Duration::from_secs(60);

/// A product and the thumbnail of its first photo: the photos themselves are not kept.
pub struct Listing {
    pub product: Product,
    pub photo: Option<Bytes>,
}

/// Where a page begins.
pub enum Cursor {
    Folder(Position),
    Server(String),
}

pub struct Listings {
    pub listings: Vec<Listing>,
    pub next: Option<Cursor>,
}

pub enum Source {
    Folder(EmbeddedCatalogue),
    Server { client: Client, products: Url, ready: Url },
}

#[derive(Deserialize)]
struct ProductPage {
    products: Vec<Product>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Ready {
    products: u64,
}

impl Source {
    /// A server is sent the key with every request, where there is one.
    pub fn open(from: &str, key: Option<&Secret>) -> anyhow::Result<Self> {
        if !from.starts_with("http://") && !from.starts_with("https://") {
            return Ok(Self::Folder(EmbeddedCatalogue::open_as_it_is(Path::new(from))?));
        }
        let base = Url::parse(from).with_context(|| format!("--from {from} is no address"))?;
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.reveal()))
                .context("the key of --api-key has characters that no key has")?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let client = Client::builder().timeout(PATIENCE).default_headers(headers).build();
        let client = client.context("the HTTP client does not start")?;
        Ok(Self::Server { client, products: base.join("/v1/products")?, ready: base.join("/health/ready")? })
    }

    pub async fn count(&self) -> anyhow::Result<u64> {
        match self {
            Self::Folder(catalogue) => Ok(catalogue.count().await?),
            Self::Server { client, ready, .. } => {
                Ok(answer(client, ready.clone()).await?.json::<Ready>().await?.products)
            }
        }
    }

    pub async fn page(&self, cursor: Option<Cursor>, limit: usize) -> anyhow::Result<Listings> {
        match self {
            Self::Folder(catalogue) => {
                let from = match cursor {
                    Some(Cursor::Folder(position)) => Some(position),
                    _ => None,
                };
                let page = catalogue.page(&Filter::default(), from, limit).await?;
                let stored = catalogue.get(&page.ids).await?.into_iter().flatten();
                let listing = |StoredProduct { product, thumbnail, .. }| Listing {
                    product,
                    photo: thumbnail.map(Bytes::from),
                };
                Ok(Listings { listings: stored.map(listing).collect(), next: page.next.map(Cursor::Folder) })
            }
            Self::Server { client, products, .. } => {
                let mut url = products.clone();
                url.query_pairs_mut().append_pair("limit", &limit.to_string());
                if let Some(Cursor::Server(cursor)) = cursor {
                    url.query_pairs_mut().append_pair("cursor", &cursor);
                }
                let page: ProductPage = answer(client, url).await?.json().await?;
                let mut listings = Vec::with_capacity(page.products.len());
                for product in page.products {
                    let photo = photo(client, products, &product).await?;
                    listings.push(Listing { product, photo });
                }
                Ok(Listings { listings, next: page.next.map(Cursor::Server) })
            }
        }
    }

    pub async fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Folder(catalogue) => Ok(catalogue.close().await?),
            Self::Server { .. } => Ok(()),
        }
    }
}

async fn photo(client: &Client, products: &Url, product: &Product) -> anyhow::Result<Option<Bytes>> {
    // An id needs no escaping in a path.
    let url = Url::parse(&format!("{products}/{}/photo", product.id))?;
    let response = ask(client, url.clone()).await?;
    if response.status() == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    Ok(Some(usable(response, &url).await?.bytes().await?))
}

async fn answer(client: &Client, url: Url) -> anyhow::Result<Response> {
    usable(ask(client, url.clone()).await?, &url).await
}

async fn ask(client: &Client, url: Url) -> anyhow::Result<Response> {
    client.get(url.clone()).send().await.with_context(|| format!("cannot reach {url}"))
}
