//! Pictures of how a model errs, in SVG.
//!
//! - [`svg`]: rectangles, lines and words; [`plot`]: values along two axes;
//! - [`confusion`]: which category is taken for which;
//! - [`reliability`]: whether confidences mean what they say;
//! - [`coverage`]: what is right when the model may leave the rest to a person;
//! - [`learning`]: how a training went.
//!
//! They hold counts and names of categories, and nothing of any one listing.

pub mod confusion;
pub mod coverage;
pub mod learning;
pub mod plot;
pub mod reliability;
pub mod svg;

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::measured::Measured;
use crate::onnx::file;

/// A finished picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// File name without `.svg`.
    pub name: String,
    /// What it shows, in a sentence.
    pub description: String,
    pub svg: String,
}

/// What a picture says of itself above what it shows.
pub struct Caption<'a> {
    pub title: &'a str,
    pub subtitle: &'a str,
}

impl Caption<'_> {
    /// Pixels from the top that it takes.
    const HEIGHT: f64 = 56.0;

    fn draw(&self, svg: &mut svg::Svg) {
        svg.text((16.0, 26.0), "strong", self.title);
        svg.text((16.0, 44.0), "muted", self.subtitle);
    }
}

/// The three pictures of a model's answers: confusion, reliability, coverage.
///
/// `version` and `categories` are those of the models.
pub fn of_model(measured: &Measured, version: &str, categories: &[String]) -> [Picture; 3] {
    let Measured { model, precision, scored, review_threshold, .. } = measured;
    let (model, examples) = (model.name(), measured.examples());
    let subtitle = format!("{model} {}, version {version}, {examples}", precision.name());
    let picture = |kind: &str, title: &str, draw: &dyn Fn(&Caption<'_>) -> svg::Svg| Picture {
        name: format!("{model}-{kind}"),
        description: format!("{title}: {subtitle}"),
        svg: draw(&Caption { title, subtitle: &subtitle }).to_string(),
    };
    [
        picture("confusion", "Confusion matrix", &|caption| confusion::draw(caption, categories, scored)),
        picture("reliability", "Reliability diagram", &|caption| reliability::draw(caption, scored)),
        picture("coverage", "Precision against coverage", &|caption| {
            coverage::draw(caption, scored, *review_threshold)
        }),
    ]
}

/// Writes pictures into a folder, which is made where there is none.
///
/// # Errors
/// The disk refuses the write.
pub fn write(folder: &Path, pictures: &[Picture]) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    for Picture { name, svg, .. } in pictures {
        let path = folder.join(format!("{name}.svg"));
        file::write(&path, svg.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
