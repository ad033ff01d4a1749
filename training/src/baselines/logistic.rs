//! Logistic regression on the pixels of small photos.

use anyhow::{Context, Result, ensure};
use linfa::{DatasetBase, traits::Fit};
use linfa_logistic::MultiLogisticRegression;
use marketrank::{
    artefacts::ImageInput,
    preprocess::{Detail, Letterbox, PhotoLimits, decode_photo},
};
use ndarray::{Array1, Array2};

use super::result::Outcome;
use crate::{
    data::{CleanTable, Split},
    evaluate::metrics::{Scored, metrics},
};

const SIDE: u32 = 30;
const INPUT: ImageInput = ImageInput { height: SIDE, width: SIDE, letterbox: [0; 3] };
/// The penalty of a half squared weight against the summed loss; 1 is what libraries take by default.
const PENALTY: f32 = 1.0;
const MOST_ITERATIONS: u64 = 200;

pub fn train(table: &CleanTable) -> Result<(String, Outcome)> {
    let (pixels, labels) = photos(table, Split::Train)?;
    let known = labels.len();
    let dataset = DatasetBase::new(pixels, Array1::from(labels));
    let model = MultiLogisticRegression::default()
        .alpha(PENALTY)
        .max_iterations(MOST_ITERATIONS)
        .fit(&dataset)
        .context("logistic regression does not converge")?;
    drop(dataset);

    let (pixels, labels) = photos(table, Split::Test)?;
    let probabilities = model.predict_probabilities(&pixels);
    let scored: Vec<Scored> = probabilities
        .outer_iter()
        .zip(labels)
        .map(|(row, label)| {
            // A category without a training photo is never predicted.
            let mut probabilities = vec![0.0; table.categories.len()];
            model.classes().iter().zip(row).for_each(|(&class, &p)| probabilities[class] = p);
            Scored { probabilities, label }
        })
        .collect();
    let settings = format!("{SIDE}x{SIDE} pixels, penalty {PENALTY}, {known} training photos");
    Ok((settings, Outcome::Category { photos: scored.len(), metrics: metrics(&scored) }))
}

/// Pixels from 0 to 1, a row a photo, and the categories.
fn photos(table: &CleanTable, split: Split) -> Result<(Array2<f32>, Vec<usize>)> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for (photo, category) in
        table.of(split).flat_map(|listing| listing.photos.iter().map(|p| (p, listing.category)))
    {
        let path = table.photo_path(photo);
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let photo = decode_photo(&bytes, &PhotoLimits::default(), Detail::Full)
            .with_context(|| path.display().to_string())?;
        pixels.extend(
            Letterbox::new(INPUT).apply(&photo).as_bytes().iter().map(|&byte| f32::from(byte) / 255.0),
        );
        labels.push(category);
    }
    ensure!(!labels.is_empty(), "no listing of the {split:?} split has a photo");
    let columns = pixels.len() / labels.len();
    Ok((Array2::from_shape_vec((labels.len(), columns), pixels)?, labels))
}
