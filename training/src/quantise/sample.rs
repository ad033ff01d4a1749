//! Listings as the models read them, for calibrating and for timing.

use anyhow::{Context, Result};
use marketrank::{
    artefacts::Artefacts,
    inference::Example,
    preprocess::{Detail, Letterbox, PhotoLimits, TextEncoder, decode_photo},
};

use crate::data::{CleanTable, Listing, Split};

/// At most `count` listings of a split that have a photo, evenly spread over it: the text and the first photo of each.
///
/// # Errors
/// The tokenizer or a photo cannot be read.
pub fn sample(artefacts: &Artefacts, table: &CleanTable, split: Split, count: usize) -> Result<Vec<Example>> {
    let manifest = artefacts.manifest();
    let combined = &manifest.models.combined;
    let (photo, text) =
        combined.image.zip(combined.text).context("the combined model reads no photo or no text")?;
    let encoder = TextEncoder::from_file(&artefacts.path(&manifest.tokenizer), text)?;
    let letterbox = Letterbox::new(photo);
    let listings: Vec<_> = table.of(split).filter(|listing| !listing.photos.is_empty()).collect();
    let step = listings.len().div_ceil(count.max(1)).max(1);
    let example = |listing: &&Listing| -> Result<Example> {
        let path = table.photo_path(&listing.photos[0]);
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let photo = decode_photo(&bytes, &PhotoLimits::default(), Detail::Full)
            .with_context(|| path.display().to_string())?;
        Ok(Example {
            photo: Some(letterbox.apply(&photo)),
            tokens: Some(encoder.encode(&listing.title, &listing.description)?),
            activation: false,
        })
    };
    listings.iter().step_by(step).map(example).collect()
}
