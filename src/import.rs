//! `marketrank import`: fills the catalogue from a CSV of listings, in batches, with a progress bar.

mod copy;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use time::{Date, OffsetDateTime, Time, format_description::well_known::Rfc3339, macros::format_description};
use tracing::warn;

use crate::{
    catalogue::{Catalogue, Location, Product, ProductId, StoredProduct},
    config::{CatalogueConfig, LimitConfig, ModelConfig},
    intake::{Intake, MAX_PHOTOS},
    serve::{open_catalogue, open_models},
};

/// Products embedded and made durable together; what an interruption can cost.
const BATCH: usize = 32;
/// Embedding one product may take this long on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What to import, and into which catalogue.
#[derive(Debug, Clone, Args)]
pub struct ImportConfig {
    /// The clean table of `marketrank-train prepare`, or any CSV with columns id and title and, where known, description,
    /// category, price, currency, location, lat, lon, listed_at and photos (file names with `;` between them)
    #[arg(value_name = "CSV", required_unless_present = "to")]
    pub table: Option<PathBuf>,

    /// Instead of a table, copy the catalogue in --data-dir as it is into this Qdrant cluster: no model is asked
    #[arg(long, value_delimiter = ',', value_name = "http://HOST:6334", conflicts_with = "table")]
    pub to: Vec<String>,

    /// Folder of the photo files
    #[arg(long, value_name = "FOLDER")]
    pub photos: Option<PathBuf>,

    /// Embed listings again whose text and photos are stored as they are already
    #[arg(long)]
    pub again: bool,

    #[command(flatten)]
    pub models: ModelConfig,

    #[command(flatten)]
    pub catalogue: CatalogueConfig,

    #[command(flatten)]
    pub limits: LimitConfig,
}

/// A row of the table. Columns it does not name (`split`, ...) are of no concern to the catalogue.
#[derive(Debug, Deserialize)]
struct Row {
    id: String,
    title: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    category: String,
    #[serde(default)]
    subcategory: String,
    #[serde(default)]
    category_path: String,
    price: Option<f64>,
    #[serde(default)]
    currency: String,
    #[serde(default)]
    location: String,
    lat: Option<f64>,
    lon: Option<f64>,
    #[serde(default)]
    listed_at: String,
    #[serde(default)]
    photos: String,
}

#[derive(Debug, Default)]
struct Counts {
    stored: usize,
    present: usize,
    failed: usize,
}

/// Imports every listing of the table that the catalogue does not hold as it is. A listing that cannot be used is counted and
/// named in the log, and the others go on.
pub async fn run(config: ImportConfig) -> anyhow::Result<()> {
    let Some(table) = config.table.clone() else {
        return copy::to_cluster(&config.catalogue.data_dir, &config.catalogue.cluster.options(&config.to))
            .await;
    };
    let last_rows = last_rows(&table)?;
    let inference = open_models(&config.models)?;
    let currency = inference.manifest().currency.clone();
    let catalogue = open_catalogue(&config.catalogue, &inference).await?;
    let intake = Intake::new(inference, config.limits.photo_limits());
    let progress = progress_bar(last_rows.len() as u64);
    let mut counts = Counts::default();

    let mut reader = open_table(&table)?;
    let mut batch = Vec::with_capacity(BATCH);
    for (number, row) in reader.deserialize::<Row>().enumerate() {
        // The header is line 1; a quoted line break makes later lines differ, so rows are counted, not lines.
        let row = row.map_err(anyhow::Error::from).and_then(|row| {
            // Each row is compared with what is stored: an earlier one would undo the last where only that one differs.
            if last_rows.get(&row.id).is_some_and(|&last| number < last) {
                bail!("a later row has the same id {}", row.id);
            }
            row.into_product(&currency)
        });
        match row {
            Ok(listing) => batch.push(listing),
            Err(error) => {
                counts.failed += 1;
                progress
                    .suspend(|| warn!(row = number + 1, error = format!("{error:#}"), "a row is left out"));
            }
        }
        if batch.len() == BATCH {
            store(&config, &intake, catalogue.as_ref(), std::mem::take(&mut batch), &mut counts, &progress)
                .await?;
        }
    }
    store(&config, &intake, catalogue.as_ref(), batch, &mut counts, &progress).await?;
    progress.finish_and_clear();
    let held = catalogue.count().await?;
    catalogue.close().await?;
    let Counts { stored, present, failed } = counts;
    println!(
        "imported {stored} products, {present} were there already, {failed} left out; the catalogue holds {held}"
    );
    if stored + present == 0 && failed > 0 {
        bail!("no row of {} could be used", table.display());
    }
    Ok(())
}

/// Embeds and stores one batch.
async fn store(
    config: &ImportConfig,
    intake: &Intake,
    catalogue: &dyn Catalogue,
    batch: Vec<(Product, Vec<String>)>,
    counts: &mut Counts,
    progress: &ProgressBar,
) -> anyhow::Result<()> {
    let size = batch.len() as u64;
    let ids: Vec<ProductId> = batch.iter().map(|(product, _)| product.id.clone()).collect();
    let present = if config.again { vec![None; ids.len()] } else { catalogue.get(&ids).await? };
    let listings = batch.into_iter().zip(present);
    let embedded = futures::future::join_all(listings.map(|((product, photos), before)| async move {
        let id = product.id.clone();
        let stored = embed(config.photos.as_deref(), intake, product, photos, before.clone()).await;
        (id, stored.map(|stored| if before.as_ref() == Some(&stored) { None } else { Some(stored) }))
    }))
    .await;
    let mut good: Vec<StoredProduct> = Vec::with_capacity(embedded.len());
    for (id, outcome) in embedded {
        match outcome {
            Ok(Some(stored)) => good.push(stored),
            Ok(None) => counts.present += 1,
            Err(error) => {
                counts.failed += 1;
                progress.suspend(|| warn!(%id, error = format!("{error:#}"), "a listing is left out"));
            }
        }
    }
    if !good.is_empty() {
        let stored = good.len();
        catalogue.upsert(good).await?;
        counts.stored += stored;
    }
    progress.inc(size);
    Ok(())
}

async fn embed(
    folder: Option<&Path>,
    intake: &Intake,
    product: Product,
    names: Vec<String>,
    before: Option<StoredProduct>,
) -> anyhow::Result<StoredProduct> {
    let mut photos = Vec::with_capacity(names.len());
    for name in names {
        let Some(folder) = folder else { bail!("it has photos; give their folder with --photos") };
        let path = folder.join(&name);
        let bytes =
            tokio::fs::read(&path).await.with_context(|| format!("cannot read {}", path.display()))?;
        photos.push(Bytes::from(bytes));
    }
    Ok(intake.product(product, photos, before, Instant::now() + PATIENCE).await?)
}

impl Row {
    /// The product and the names of its photo files. A price of no currency is in `currency`, as in the API.
    fn into_product(self, currency: &str) -> anyhow::Result<(Product, Vec<String>)> {
        let id: ProductId = self.id.parse()?;
        id.check_addressable()?;
        if self.title.trim().is_empty() {
            bail!("{id} has no title");
        }
        if self.price.is_some_and(|price| !(price >= 0.0 && price.is_finite())) {
            bail!("{id} has no usable price");
        }
        let given = |text: String| (!text.trim().is_empty()).then_some(text);
        let location = Location { name: given(self.location), lat: self.lat, lon: self.lon };
        if let Err(reason) = location.check_coordinates() {
            bail!("{id} is at no place: {reason}");
        }
        let location = (location.name.is_some() || location.lat.is_some()).then_some(location);
        let listed_at = given(self.listed_at).map(|text| parse_date(&text)).transpose()?;
        let finer = [("subcategory", self.subcategory), ("category_path", self.category_path)];
        let finer =
            finer.into_iter().filter_map(|(name, label)| Some((name.to_owned(), given(label)?.into())));
        let photos = self.photos.split(';').map(str::trim).filter(|name| !name.is_empty()).take(MAX_PHOTOS);
        let photos = photos.map(str::to_owned).collect();
        let product = Product {
            id,
            title: self.title,
            description: given(self.description),
            category: given(self.category),
            category_predicted: false,
            price: self.price,
            currency: given(self.currency).or_else(|| self.price.map(|_| currency.to_owned())),
            location,
            listed_at,
            attributes: finer.collect(),
        };
        Ok((product, photos))
    }
}

/// An RFC 3339 time or a plain date, which means its midnight in UTC.
fn parse_date(text: &str) -> anyhow::Result<OffsetDateTime> {
    let date = format_description!("[year]-[month]-[day]");
    OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| Date::parse(text, date).map(|day| day.with_time(Time::MIDNIGHT).assume_utc()))
        .with_context(|| format!("{text:?} is no date such as 2026-11-24"))
}

fn open_table(path: &Path) -> anyhow::Result<csv::Reader<std::fs::File>> {
    let mut reader =
        csv::Reader::from_path(path).with_context(|| format!("cannot read {}", path.display()))?;
    let headers = reader.headers().with_context(|| format!("{} has no header", path.display()))?;
    for column in ["id", "title"] {
        if !headers.iter().any(|name| name == column) {
            bail!("{} has no column {column:?}", path.display());
        }
    }
    Ok(reader)
}

/// Where the last row of each id stands: of several it is the one that counts, even where it cannot be used.
fn last_rows(path: &Path) -> anyhow::Result<HashMap<String, usize>> {
    let mut reader = open_table(path)?;
    let ids = reader.headers()?.iter().position(|name| name == "id");
    let mut last = HashMap::new();
    for (number, row) in reader.records().enumerate() {
        // One that cannot be read is named when its turn has come.
        if let Some(id) = ids.and_then(|ids| row.ok()?.get(ids).map(str::to_owned)) {
            last.insert(id, number);
        }
    }
    Ok(last)
}

pub(crate) fn progress_bar(rows: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} listings, {per_sec}, {eta} left");
    ProgressBar::new(rows).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
