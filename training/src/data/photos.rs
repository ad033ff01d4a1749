//! The table of photos, and whether its files are there and can be used.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    fs,
    num::NonZero,
    path::Path,
    thread,
};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use marketrank::preprocess::{Detail, PhotoLimits, decode_photo};
use sha2::{Digest, Sha256};
use time::{
    Date, OffsetDateTime,
    format_description::{self, well_known::Rfc3339},
};

use super::{
    columns::{PhotoColumns, position},
    reason::Reason,
    report::Report,
};

/// One row of the photos' table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhotoRow {
    /// File name, with or without its extension.
    pub name: String,
    /// Id of the product it shows.
    pub product: String,
    /// The day it was listed, where the row has a readable one.
    pub listed_at: Option<OffsetDateTime>,
}

/// A photo that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Photo {
    /// File name in the photos' folder.
    pub file: String,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
}

/// Reads the rows of the photos' table, in its order, counting them.
///
/// # Errors
/// When the file cannot be read or lacks a column.
pub fn read_rows(path: &Path, columns: &PhotoColumns, report: &mut Report) -> Result<Vec<PhotoRow>> {
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_path(path)
        .with_context(|| format!("cannot open the table of photos {}", path.display()))?;
    let header =
        reader.headers().with_context(|| format!("{} line 1: no readable header", path.display()))?;
    let name = position(header, &columns.photo_column, "--photo-column", path)?;
    let product = position(header, &columns.photo_product_column, "--photo-product-column", path)?;
    let listed_at = position(header, &columns.photo_time_column, "--photo-time-column", path)?;
    let mut rows = Vec::new();
    for record in reader.byte_records() {
        let record = record.with_context(|| format!("cannot read {}", path.display()))?;
        report.photo_rows += 1;
        let text =
            |column: usize| record.get(column).and_then(|field| str::from_utf8(field).ok()).map(str::trim);
        let (Some(name), Some(product), Some(day)) = (text(name), text(product), text(listed_at)) else {
            let line = record.position().map_or(0, csv::Position::line);
            report.count(Reason::UnusablePhotoRow, &format!("line {line}"));
            continue;
        };
        let listed_at = parse_day(day);
        if listed_at.is_none() && !super::text::is_absent(day) {
            report.count(Reason::UnreadableDate, name);
        }
        rows.push(PhotoRow { name: name.to_owned(), product: product.to_owned(), listed_at });
    }
    Ok(rows)
}

/// Midnight UTC of `31/12/2025` or `2025-12-31`, or the moment an RFC 3339 text names.
fn parse_day(text: &str) -> Option<OffsetDateTime> {
    let day = |pattern| Date::parse(text, &format_description::parse_borrowed::<2>(pattern).ok()?).ok();
    let named = day("[day padding:none]/[month padding:none]/[year]").or_else(|| day("[year]-[month]-[day]"));
    named.map(|day| day.midnight().assume_utc()).or_else(|| OffsetDateTime::parse(text, &Rfc3339).ok())
}

/// The photos of each product, in the order of the rows: those whose file is in `folder` and can be used.
///
/// Every row that is on no product afterwards is counted by reason; `listed` says what became of a product id.
///
/// # Errors
/// When the folder cannot be read.
pub fn check(
    rows: &[PhotoRow],
    folder: &Path,
    listed: impl Fn(&str) -> Listed,
    report: &mut Report,
) -> Result<HashMap<String, Vec<Photo>>> {
    let files = index(folder)?;
    let mut taken = HashSet::new();
    let mut wanted: Vec<(&PhotoRow, &str)> = Vec::new();
    for row in rows {
        match listed(&row.product) {
            Listed::Unknown => report.count(Reason::PhotoWithoutListing, &row.name),
            Listed::Dropped => report.count(Reason::PhotoOfDroppedListing, &row.name),
            Listed::Kept => match files.get(&row.name) {
                None => report.count(Reason::PhotoWithoutFile, &row.name),
                Some(file) if !taken.insert(file) => report.count(Reason::UnusablePhotoRow, &row.name),
                Some(file) => wanted.push((row, file)),
            },
        }
    }
    let files: Vec<&str> = wanted.iter().map(|&(_, file)| file).collect();
    let mut photos: HashMap<String, Vec<Photo>> = HashMap::new();
    for (&(row, file), digest) in wanted.iter().zip(decode_all(folder, &files)) {
        match digest {
            Some(sha256) => {
                let photo = Photo { file: file.to_owned(), sha256 };
                photos.entry(row.product.clone()).or_default().push(photo);
                report.photos_kept += 1;
            }
            None => report.count(Reason::UnreadablePhoto, file),
        }
    }
    Ok(photos)
}

/// What became of the product a photo shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    Kept,
    Dropped,
    Unknown,
}

/// File names of the folder, by full name and by name without extension; of files that differ in the extension alone, the
/// first in the alphabet has the latter.
fn index(folder: &Path) -> Result<HashMap<String, String>> {
    let entries = fs::read_dir(folder)
        .with_context(|| format!("cannot open the photos' folder {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list the photos' folder {}", folder.display()))?;
        let path = entry.path();
        if let Some(name) = path.file_name().and_then(OsStr::to_str)
            && !name.contains(';')
            && path.is_file()
        {
            names.push(name.to_owned());
        }
    }
    // Folders are listed in any order, and the same data must give the same table.
    names.sort();
    let mut files = HashMap::new();
    for name in &names {
        if let Some(stem) = Path::new(name).file_stem().and_then(OsStr::to_str) {
            files.entry(stem.to_owned()).or_insert_with(|| name.clone());
        }
    }
    // Last, so that `a.jpg` means that file and not `a.jpg.png`.
    files.extend(names.into_iter().map(|name| (name.clone(), name)));
    Ok(files)
}

/// Decodes every file on all cores; the SHA-256 of each that can be used, in order.
fn decode_all(folder: &Path, files: &[&str]) -> Vec<Option<[u8; 32]>> {
    let style = ProgressStyle::with_template("photos {bar:40} {pos}/{len} {per_sec} {eta}");
    let progress = ProgressBar::new(files.len() as u64);
    progress.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let share = files.len().div_ceil(workers).max(1);
    let mut digests = vec![None; files.len()];
    thread::scope(|scope| {
        for (files, digests) in files.chunks(share).zip(digests.chunks_mut(share)) {
            let progress = &progress;
            scope.spawn(move || {
                for (file, digest) in files.iter().zip(digests) {
                    *digest = decode(&folder.join(file)).ok();
                    progress.inc(1);
                }
            });
        }
    });
    progress.finish_and_clear();
    digests
}

/// The SHA-256 of a file that is a photo as training and the server take it.
fn decode(path: &Path) -> Result<[u8; 32]> {
    let bytes = fs::read(path)?;
    decode_photo(&bytes, &PhotoLimits::default(), Detail::Full)?;
    Ok(Sha256::digest(&bytes).into())
}
