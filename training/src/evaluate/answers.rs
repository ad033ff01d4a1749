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
    artefacts::Artefacts,
    inference::{Inference, InferenceOptions, Model, Outputs, Runtime},
    intake::{Intake, MAX_PHOTOS},
    preprocess::PhotoLimits,
};

use crate::data::{CleanTable, Listing, Split};

/// Listings on their way through the models at once.
const IN_FLIGHT: usize = 16;
/// No answer takes longer; a machine that is busy with other work may be slow.
const PATIENCE: Duration = Duration::from_secs(600);

/// One question put to a model, its labels, and what the model said.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
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
pub fn open_models(models: &Path, runtime: &Runtime) -> Result<Arc<Inference>> {
    let artefacts = Artefacts::load(models)?;
    let options = InferenceOptions {
        workers: 1,
        threads: available_parallelism().map_or(1, usize::from),
        max_batch: 16,
        queue: IN_FLIGHT * MAX_PHOTOS,
    };
    Ok(Arc::new(Inference::start(&artefacts, runtime, options)?))
}

/// What a model says of a split: of each photo (image), of each listing's text (text), or of each listing with photos,
/// text and all photos together (combined).
pub async fn answers(
    inference: &Arc<Inference>,
    table: &CleanTable,
    split: Split,
    model: Model,
) -> Result<Vec<Answer>> {
    let intake = Intake::new(inference.clone(), PhotoLimits::default());
    let questions: Vec<(&Listing, Vec<&String>)> = table
        .of(split)
        .flat_map(|listing| match model {
            Model::Image => listing.photos.iter().map(|photo| (listing, vec![photo])).collect(),
            Model::Text => vec![(listing, Vec::new())],
            Model::Combined if listing.photos.is_empty() => Vec::new(),
            Model::Combined => vec![(listing, listing.photos.iter().take(MAX_PHOTOS).collect())],
        })
        .collect();
    let progress = progress_bar(questions.len(), model);
    stream::iter(questions)
        .map(|(listing, photos)| {
            let (intake, progress) = (&intake, &progress);
            async move {
                let answer = ask(intake, table, model, listing, photos).await;
                progress.inc(1);
                answer.with_context(|| format!("listing {}", listing.id))
            }
        })
        .buffered(IN_FLIGHT)
        .try_collect()
        .await
}

async fn ask(
    intake: &Intake,
    table: &CleanTable,
    model: Model,
    listing: &Listing,
    photos: Vec<&String>,
) -> Result<Answer> {
    let mut files = Vec::with_capacity(photos.len());
    for photo in photos {
        let path = table.photo_path(photo);
        files.push(Bytes::from(
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?,
        ));
    }
    let (title, description) = match model {
        Model::Image => ("", ""),
        Model::Text | Model::Combined => (listing.title.as_str(), listing.description.as_str()),
    };
    let tensors = intake.tensors(title, description, files).await?;
    let inferred = intake.inference().infer(tensors, Instant::now() + PATIENCE).await?;
    Ok(Answer {
        category: listing.category,
        subcategory: listing.subcategory,
        price: listing.price.filter(|price| *price > 0.0),
        rows: inferred.rows,
    })
}

fn progress_bar(length: usize, model: Model) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:10} {bar:40} {pos}/{len}, {per_sec}, {eta} left");
    ProgressBar::new(length as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(model.name())
}
