//! What the served models say of listings whose labels are known.

use std::{
    path::Path,
    sync::Arc,
    thread::available_parallelism,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use marketrank::{
    artefacts::{Artefacts, PrecisionChoice},
    inference::{BatchSizes, Inference, InferenceOptions, Outputs, Patience, Runtime},
    intake::{Intake, MAX_PHOTOS, Question, Turn},
    preprocess::PhotoLimits,
};

use crate::data::{CleanTable, Split};

/// Listings on their way through the models at once.
const IN_FLIGHT: usize = 16;
/// No answer takes longer; a machine that is busy with other work may be slow.
const PATIENCE: Duration = Duration::from_secs(600);

/// What of a listing is shown to the models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Each photo alone.
    EachPhoto,
    /// The title alone.
    Title,
    /// Title and description.
    Text,
    /// Title, description and all photos, of listings that have photos.
    TextAndPhotos,
    /// Title, description, and photos if there are any: what the catalogue stores.
    All,
}

/// One question put to a model, its labels, and what the model said.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Index of the listing in the table.
    pub listing: usize,
    /// File names of the photos that were shown.
    pub photos: Vec<String>,
    /// Index of the right category.
    pub category: usize,
    /// Index of the right subcategory, where it is one the models know.
    pub subcategory: Option<usize>,
    /// The known price.
    pub price: Option<f64>,
    /// A row per photo, or one for a text alone.
    pub rows: Vec<Outputs>,
}

/// Opens the models of a folder for measuring.
pub fn open_models(models: &Path, runtime: &Runtime, precision: PrecisionChoice) -> Result<Arc<Inference>> {
    let artefacts = Artefacts::load(models)?;
    let options = InferenceOptions {
        precision,
        workers: 1,
        threads: available_parallelism().map_or(1, usize::from),
        max_batch: 16,
        batch_sizes: BatchSizes::suited_to(runtime.on_cuda()),
        batch_wait: Duration::ZERO,
        queue: IN_FLIGHT * MAX_PHOTOS,
        patience: Patience::always(PATIENCE),
    };
    Ok(Arc::new(Inference::start(&artefacts, runtime, options)?))
}

/// What the models say of the listings of some splits, listing by listing.
///
/// # Errors
/// A photo cannot be read, or a model fails.
pub async fn answers(
    inference: &Arc<Inference>,
    table: &CleanTable,
    splits: &[Split],
    shown: Shown,
) -> Result<Vec<Answer>> {
    let intake = Intake::new(inference.clone(), PhotoLimits::default());
    let listings = table.listings.iter().enumerate().filter(|(_, listing)| splits.contains(&listing.split));
    let questions: Vec<(usize, Vec<&String>)> = listings
        .flat_map(|(index, listing)| {
            let photos = || listing.photos.iter().take(MAX_PHOTOS).collect::<Vec<_>>();
            match shown {
                Shown::EachPhoto => listing.photos.iter().map(|photo| (index, vec![photo])).collect(),
                Shown::Title | Shown::Text => vec![(index, Vec::new())],
                Shown::TextAndPhotos if listing.photos.is_empty() => Vec::new(),
                Shown::TextAndPhotos | Shown::All => vec![(index, photos())],
            }
        })
        .collect();
    let progress = progress_bar(questions.len(), shown);
    stream::iter(questions)
        .map(|(index, photos)| {
            let (intake, progress) = (&intake, &progress);
            async move {
                let answer = ask(intake, table, index, shown, photos).await;
                progress.inc(1);
                answer.with_context(|| format!("listing {}", table.listings[index].id))
            }
        })
        .buffered(IN_FLIGHT)
        .try_collect()
        .await
}

async fn ask(
    intake: &Intake,
    table: &CleanTable,
    index: usize,
    shown: Shown,
    photos: Vec<&String>,
) -> Result<Answer> {
    let listing = &table.listings[index];
    let mut files = Vec::with_capacity(photos.len());
    for photo in &photos {
        let path = table.photo_path(photo);
        files.push(Bytes::from(
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?,
        ));
    }
    let (title, description) = match shown {
        Shown::EachPhoto => ("", ""),
        Shown::Title => (listing.title.as_str(), ""),
        Shown::Text | Shown::TextAndPhotos | Shown::All => {
            (listing.title.as_str(), listing.description.as_str())
        }
    };
    let question = Question { title, description, photos: files, activation: false };
    let inferred = intake.understand(question, Turn::Patient, Instant::now() + PATIENCE).await?;
    Ok(Answer {
        listing: index,
        photos: photos.into_iter().cloned().collect(),
        category: listing.category,
        subcategory: listing.subcategory,
        price: listing.price.filter(|price| *price > 0.0),
        rows: inferred.rows.clone(),
    })
}

fn progress_bar(length: usize, shown: Shown) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:16} {bar:40} {pos}/{len}, {per_sec}, {eta} left");
    ProgressBar::new(length as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(match shown {
            Shown::EachPhoto => "photos",
            Shown::Title => "titles",
            Shown::Text => "texts",
            Shown::TextAndPhotos => "texts and photos",
            Shown::All => "listings",
        })
}
