//! The clean table, written by `prepare` and read by everything after it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use marketrank::{artefacts::Subcategory, catalogue::ProductId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::{price::names_amount, split::Split};

/// A subcategory with fewer training listings is no label: there is too little to learn it from.
pub const MIN_SUBCATEGORY_LISTINGS: usize = 20;

pub(super) const PRODUCTS_FILE: &str = "products.csv";
pub(super) const PHOTOS_LINK: &str = "photos";
pub(super) const REPORT_FILE: &str = "report.json";

/// Stands between the file names in the `photos` column.
pub(super) const PHOTO_SEPARATOR: &str = ";";

/// One row of `products.csv`; the order of the fields is that of the columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    pub id: ProductId,
    pub title: String,
    pub description: String,
    pub category: String,
    pub subcategory: String,
    pub category_path: String,
    pub price: Option<f64>,
    pub currency: String,
    pub location: String,
    #[serde(with = "time::serde::rfc3339::option")]
    pub listed_at: Option<OffsetDateTime>,
    pub split: Split,
    pub photos: String,
}

/// A clean listing with its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    pub id: ProductId,
    pub title: String,
    /// Empty where the seller wrote none.
    pub description: String,
    /// Index into [`CleanTable::categories`].
    pub category: usize,
    /// Index into [`CleanTable::subcategories`]; none where the listing's own is no label.
    pub subcategory: Option<usize>,
    /// The whole category path as the site writes it.
    pub category_path: String,
    /// In units of `currency`; zero is free.
    pub price: Option<f64>,
    /// ISO 4217; empty without a price.
    pub currency: String,
    /// Name of a place; empty where unknown.
    pub location: String,
    pub listed_at: Option<OffsetDateTime>,
    pub split: Split,
    /// File names; [`CleanTable::photo_path`] says where they lie.
    pub photos: Vec<String>,
}

impl Listing {
    /// Whether its title or description names an amount of money.
    pub fn names_amount(&self) -> bool {
        names_amount(&self.title) || names_amount(&self.description)
    }
}

/// The clean table of a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct CleanTable {
    /// In the order of the file.
    pub listings: Vec<Listing>,
    /// Category labels, sorted: the order of the `logits` columns.
    pub categories: Vec<String>,
    /// Subcategories with [`MIN_SUBCATEGORY_LISTINGS`] training listings or more, sorted: the order of the
    /// `subcategory_logits` columns.
    pub subcategories: Vec<Subcategory>,
    /// Lower-case hexadecimal SHA-256 of `products.csv`.
    pub sha256: String,
    folder: PathBuf,
}

impl CleanTable {
    /// Reads the table that `marketrank-train prepare` wrote into `folder`.
    ///
    /// # Errors
    /// When the file is missing, has a row that does not read, or no listing at all; the message names file and line.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(PRODUCTS_FILE);
        let bytes = fs::read(&path).with_context(|| {
            format!("cannot read {}; `marketrank-train prepare` makes it", path.display())
        })?;
        let mut rows = Vec::new();
        for row in csv::Reader::from_reader(bytes.as_slice()).into_deserialize() {
            rows.push(row.with_context(|| format!("{} is no clean table", path.display()))?);
        }
        ensure!(!rows.is_empty(), "{} holds no listing", path.display());
        let (categories, subcategories) = labels(&rows);
        let mut listings = Vec::with_capacity(rows.len());
        for row in rows {
            let id = row.id.clone();
            let listing = Listing::labelled(row, &categories, &subcategories);
            listings.push(listing.with_context(|| format!("{}: listing {id}", path.display()))?);
        }
        Ok(Self { listings, categories, subcategories, sha256: hash(&bytes), folder: folder.to_owned() })
    }

    /// The listings of one split, in the order of the file.
    pub fn of(&self, split: Split) -> impl Iterator<Item = &Listing> {
        self.listings.iter().filter(move |listing| listing.split == split)
    }

    /// Where a photo of a listing lies.
    pub fn photo_path(&self, photo: &str) -> PathBuf {
        self.folder.join(PHOTOS_LINK).join(photo)
    }
}

impl Listing {
    fn labelled(row: Row, categories: &[String], subcategories: &[Subcategory]) -> Result<Self> {
        let Ok(category) = categories.binary_search(&row.category) else { bail!("has no category") };
        let label = Subcategory { category: row.category, name: row.subcategory };
        let photos: Vec<String> =
            row.photos.split(PHOTO_SEPARATOR).filter(|photo| !photo.is_empty()).map(str::to_owned).collect();
        if let Some(photo) = photos.iter().find(|photo| photo.contains(['/', '\\']) || *photo == "..") {
            bail!("its photo {photo:?} is no plain file name");
        }
        Ok(Self {
            id: row.id,
            title: row.title,
            description: row.description,
            category,
            subcategory: subcategories.iter().position(|subcategory| *subcategory == label),
            category_path: row.category_path,
            price: row.price,
            currency: row.currency,
            location: row.location,
            listed_at: row.listed_at,
            split: row.split,
            photos,
        })
    }
}

/// The categories and subcategories that rows make labels of, each in its order.
pub(super) fn labels(rows: &[Row]) -> (Vec<String>, Vec<Subcategory>) {
    let categories: BTreeSet<&str> =
        rows.iter().map(|row| row.category.as_str()).filter(|category| !category.is_empty()).collect();
    let mut training_listings: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.split == Split::Train && !row.subcategory.is_empty()) {
        *training_listings.entry((&row.category, &row.subcategory)).or_default() += 1;
    }
    let subcategories = training_listings
        .into_iter()
        .filter(|&(_, listings)| listings >= MIN_SUBCATEGORY_LISTINGS)
        .map(|((category, name), _)| Subcategory { category: category.to_owned(), name: name.to_owned() })
        .collect();
    (categories.into_iter().map(str::to_owned).collect(), subcategories)
}

/// Lower-case hexadecimal SHA-256.
pub(super) fn hash(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}
