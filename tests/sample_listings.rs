//! The repository's own listings: what `make run` fills the catalogue with.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use marketrank::catalogue::ProductId;
use serde::Deserialize;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

const CATEGORIES: usize = 13;

#[derive(Deserialize)]
struct SampleListing {
    id: ProductId,
    title: String,
    description: String,
    category: String,
    subcategory: String,
    category_path: String,
    price: f64,
    currency: String,
    location: String,
    lat: f64,
    lon: f64,
    #[serde(with = "time::serde::rfc3339")]
    listed_at: OffsetDateTime,
    photos: String,
}

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sample")
}

fn listings() -> Vec<SampleListing> {
    let table = csv::Reader::from_path(sample().join("products.csv")).unwrap();
    table.into_deserialize().map(Result::unwrap).collect()
}

#[test]
fn every_category_has_five_listings_or_more() {
    let mut categories: BTreeMap<String, usize> = BTreeMap::new();
    for listing in listings() {
        *categories.entry(listing.category).or_default() += 1;
    }
    assert_eq!(categories.len(), CATEGORIES);
    assert!(categories.values().all(|&listings| listings >= 5), "{categories:?}");
}

#[test]
fn no_id_is_used_twice() {
    let mut ids = BTreeSet::new();
    for listing in listings() {
        assert!(ids.insert(listing.id.to_string()), "{}", listing.id);
    }
}

#[test]
fn every_listing_is_complete_and_plausible() {
    let newest = OffsetDateTime::parse("2026-11-24T00:00:00Z", &Rfc3339).unwrap();
    for listing in listings() {
        let id = &listing.id;
        assert!(!listing.title.is_empty() && listing.description.len() > 20, "{id}");
        let path = format!("{} / {}", listing.category, listing.subcategory);
        assert!(listing.category_path.starts_with(&path), "{id}: {}", listing.category_path);
        assert!((1.0..2000.0).contains(&listing.price) && listing.currency == "GBP", "{id}");
        assert!(!listing.location.is_empty(), "{id}");
        let in_britain = (49.8..61.0).contains(&listing.lat) && (-8.7..1.8).contains(&listing.lon);
        assert!(in_britain, "{id}: {}, {}", listing.lat, listing.lon);
        let age = newest - listing.listed_at;
        assert!((Duration::ZERO..=Duration::days(60)).contains(&age), "{id}: {}", listing.listed_at);
    }
}

#[test]
fn every_photo_is_named_by_a_listing_and_decodes() {
    let named: BTreeSet<String> =
        listings().into_iter().map(|listing| listing.photos).filter(|photo| !photo.is_empty()).collect();
    let drawn: BTreeSet<String> = std::fs::read_dir(sample().join("photos"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(named, drawn);
    for photo in drawn {
        let decoded = image::open(sample().join("photos").join(&photo)).unwrap();
        assert_eq!((decoded.width(), decoded.height()), (512, 512), "{photo}");
    }
}
