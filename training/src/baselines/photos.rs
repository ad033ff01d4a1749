//! Photos as the baselines see them.

use anyhow::{Result, ensure};
use marketrank::{artefacts::ImageInput, preprocess::PhotoTensor};

use crate::{
    data::Split,
    learn::{
        corpus::Corpus,
        targets::Target,
        views::{View, read_photos},
    },
};

/// The photos of a split, and what is to be learnt of each.
///
/// # Errors
/// A photo cannot be read, or there is none.
pub fn read(corpus: &Corpus<'_>, split: Split, input: ImageInput) -> Result<(Vec<PhotoTensor>, Vec<Target>)> {
    let (listings, files) = corpus.photos(split);
    ensure!(!files.is_empty(), "no listing of the {split} split has a photo");
    let targets = listings.into_iter().map(|listing| corpus.target(listing)).collect();
    Ok((read_photos(&files, input, View::Plain)?, targets))
}
