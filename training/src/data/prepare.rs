//! `marketrank-train prepare`: from the site's tables and photos to the clean table.

use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
};

use anyhow::{Context, Result, ensure};
use time::OffsetDateTime;

use super::{
    clean::{Cleaner, Draft},
    columns::{ListingColumns, PhotoColumns},
    duplicates::{drop_copies, split_ids},
    listing_lines, masked_ids,
    photos::{self, Listed, Photo, PhotoRow},
    publish::publish,
    reason::Reason,
    report::Report,
    split::Split,
    table::{PHOTO_SEPARATOR, Row, hash, labels},
};

/// Cleans a marketplace's listings, splits them, and reports every row that was dropped or mended.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Folder with the listings, the table of photos and the photos.
    #[arg(long, value_name = "FOLDER")]
    pub data: PathBuf,
    /// Table of listings, in the data folder or anywhere.
    #[arg(long, default_value = "Products.csv", value_name = "FILE")]
    pub products: PathBuf,
    /// Table that says which photo shows which product.
    #[arg(long, default_value = "Images.csv", value_name = "FILE")]
    pub images: PathBuf,
    /// Folder of the photos.
    #[arg(long, default_value = "images", value_name = "FOLDER")]
    pub photos: PathBuf,
    /// Folder of the clean table; an older one there is replaced.
    #[arg(long, default_value = "data/clean", value_name = "FOLDER")]
    pub out: PathBuf,
    /// What stands between the parts of a category path; the first part is the category, the second the subcategory.
    #[arg(long, default_value = " / ", value_name = "TEXT")]
    pub category_separator: String,
    /// Currency of the prices, ISO 4217.
    #[arg(long, default_value = "GBP", value_name = "CODE")]
    pub currency: String,
    /// A higher price is taken for a placeholder, as 1,234 or 99,999 are: the listing stays, without a price. With `inf` every
    /// price is believed.
    #[arg(long, default_value_t = 100_000.0, value_name = "AMOUNT")]
    pub max_price: f64,
    #[command(flatten)]
    pub listing_columns: ListingColumns,
    #[command(flatten)]
    pub photo_columns: PhotoColumns,
}

/// Makes the clean table and gives the account of it.
///
/// # Errors
/// When a file or column is missing, nothing usable is left, or the output cannot be written; an older output is untouched then.
pub fn prepare(args: &Args) -> Result<Report> {
    ensure!(!args.category_separator.is_empty(), "--category-separator must not be empty");
    ensure!(
        args.currency.len() == 3 && args.currency.bytes().all(|byte| byte.is_ascii_uppercase()),
        "--currency {:?} is no ISO 4217 code such as GBP",
        args.currency
    );
    let mut report = Report::default();
    let mut raw = listing_lines::read(&args.data.join(&args.products), &args.listing_columns, &mut report)?;
    let photo_rows = photos::read_rows(&args.data.join(&args.images), &args.photo_columns, &mut report)?;
    masked_ids::restore(&mut raw, &photo_rows, &mut report);

    let cleaner = Cleaner::new(&args.category_separator, args.max_price)?;
    let clean = raw.iter().filter_map(|raw| cleaner.clean(raw, &mut report)).collect();
    let drafts = drop_copies(clean, &mut report);
    ensure!(
        !drafts.is_empty(),
        "none of the {} listings of {} is usable: {}",
        report.listings_found,
        args.products.display(),
        report
    );
    report.listings_kept = drafts.len() as u64;

    let kept: BTreeSet<&str> = drafts.iter().map(|draft| draft.id.as_str()).collect();
    let found: BTreeSet<&str> = raw.iter().map(|raw| raw.id.trim()).collect();
    let listed = |id: &str| match (kept.contains(id), found.contains(id)) {
        (true, _) => Listed::Kept,
        (false, true) => Listed::Dropped,
        (false, false) => Listed::Unknown,
    };
    let photo_folder = args.data.join(&args.photos);
    let photos = photos::check(&photo_rows, &photo_folder, listed, &mut report)?;

    let split_ids = split_ids(&drafts, &photos, &mut report);
    let days = listing_days(&photo_rows);
    let rows: Vec<Row> = drafts
        .iter()
        .zip(&split_ids)
        .map(|(draft, split_id)| row(draft, Split::of(split_id), &photos, &days, &args.currency))
        .collect();
    let products = to_csv(&rows).context("cannot write the clean table")?;
    tell(&mut report, &rows, &photos, hash(&products));
    report.verify()?;
    publish(&args.out, &products, &report, &photo_folder)?;
    Ok(report)
}

/// The earliest day any photo of a product was listed.
fn listing_days(rows: &[PhotoRow]) -> HashMap<&str, OffsetDateTime> {
    let mut days = HashMap::new();
    for row in rows {
        if let Some(day) = row.listed_at {
            let earliest = days.entry(row.product.as_str()).or_insert(day);
            *earliest = day.min(*earliest);
        }
    }
    days
}

fn row(
    draft: &Draft,
    split: Split,
    photos: &HashMap<String, Vec<Photo>>,
    days: &HashMap<&str, OffsetDateTime>,
    currency: &str,
) -> Row {
    let part = |depth: usize| draft.path.get(depth).cloned().unwrap_or_default();
    let files: Vec<&str> =
        photos.get(draft.id.as_str()).into_iter().flatten().map(|photo| photo.file.as_str()).collect();
    Row {
        id: draft.id.clone(),
        title: draft.title.clone(),
        description: draft.description.clone(),
        category: part(0),
        subcategory: part(1),
        category_path: draft.path.join(" / "),
        price: draft.price,
        currency: draft.price.map_or("", |_| currency).to_owned(),
        location: draft.location.clone(),
        listed_at: days.get(draft.id.as_str()).copied(),
        split,
        photos: files.join(PHOTO_SEPARATOR),
    }
}

fn to_csv(rows: &[Row]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    Ok(writer.into_inner()?)
}

/// Completes the report with what the clean table holds.
fn tell(report: &mut Report, rows: &[Row], photos: &HashMap<String, Vec<Photo>>, data_sha256: String) {
    for row in rows {
        let shots = photos.get(row.id.as_str()).map_or(0, Vec::len);
        if shots == 0 {
            report.count(Reason::NoPhoto, row.id.as_str());
        }
        let category = report.categories.entry(row.category.clone()).or_default();
        *category.listings.entry(row.split).or_default() += 1;
        category.photos += shots as u64;
    }
    let (_, subcategories) = labels(rows);
    report.subcategories =
        subcategories.into_iter().map(|label| format!("{} / {}", label.category, label.name)).collect();
    report.data_sha256 = data_sha256;
}
