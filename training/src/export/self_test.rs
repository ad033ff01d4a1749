//! The listing that every server asks its models about before they serve.

use std::io::Cursor;

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use image::{ImageFormat, Rgb, RgbImage};
use marketrank::artefacts::SelfTest;

/// Pixels of a side: enough that every layer sees colours and edges, small enough for a line of the manifest.
const SIDE: u32 = 48;

/// A listing that is nobody's: a title, and a photo of a disc before two gradients.
pub fn made_up_listing() -> Result<SelfTest> {
    let photo = RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let (from_middle_x, from_middle_y) = (x.abs_diff(SIDE / 2), y.abs_diff(SIDE / 2));
        if from_middle_x.pow(2) + from_middle_y.pow(2) < (SIDE / 3).pow(2) {
            return Rgb([200, 60, 40]);
        }
        let ramp = |step: u32| u8::try_from(step * 255 / SIDE).unwrap_or(u8::MAX);
        Rgb([ramp(x), ramp(y), 120])
    });
    let mut png = Cursor::new(Vec::new());
    photo.write_to(&mut png, ImageFormat::Png).context("the self-test's photo cannot be written")?;
    Ok(SelfTest { title: "Raleigh road bike, 56 cm frame".into(), photo: STANDARD.encode(png.into_inner()) })
}
