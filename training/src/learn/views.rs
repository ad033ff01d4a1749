//! Photos as the networks read them in training: as they are, or as another seller would have taken them.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
};

use anyhow::{Context, Result, anyhow};
use image::imageops;
use marketrank::{
    artefacts::ImageInput,
    preprocess::{Detail, Letterbox, PhotoLimits, PhotoTensor, decode_photo},
};
use ort::value::Tensor;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::augment::augment;

/// How a photo is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// As the server does.
    Plain,
    /// Left and right exchanged.
    Mirrored,
    /// As [`augment`] does, the view of this number.
    Augmented(u32),
}

impl View {
    /// What a progress bar calls photos seen so.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "photos",
            Self::Mirrored => "photos, mirrored",
            Self::Augmented(_) => "photos, augmented",
        }
    }
}

/// A batch of photos, uint8 `[batch, height, width, 3]`.
///
/// # Errors
/// A file cannot be read or is no photo.
pub fn pixels(files: &[PathBuf], input: ImageInput, view: View) -> Result<Tensor<u8>> {
    let photos = read_photos(files, input, view)?;
    let pixels: Vec<u8> = photos.iter().flat_map(|photo| photo.as_bytes().iter().copied()).collect();
    let shape = [files.len(), input.height as usize, input.width as usize, 3];
    Ok(Tensor::from_array((shape, pixels))?)
}

/// Reads photos on all cores.
///
/// # Errors
/// A file cannot be read or is no photo.
pub fn read_photos(files: &[PathBuf], input: ImageInput, view: View) -> Result<Vec<PhotoTensor>> {
    let letterbox = Letterbox::new(input);
    let next = Mutex::new(files.iter().enumerate());
    let read = Mutex::new(vec![None; files.len()]);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let poisoned = |_| anyhow!("a thread that reads photos panicked");
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    loop {
                        let Some((index, file)) = next.lock().map_err(|_| anyhow!("poisoned"))?.next() else {
                            return Ok(());
                        };
                        let photo = read_photo(file, letterbox, view)?;
                        read.lock().map_err(|_| anyhow!("poisoned"))?[index] = Some(photo);
                    }
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(poisoned)?)
    })?;
    let read = read.into_inner().map_err(|_| anyhow!("a thread that reads photos panicked"))?;
    read.into_iter().map(|photo| photo.context("a photo was not read")).collect()
}

fn read_photo(file: &Path, letterbox: Letterbox, view: View) -> Result<PhotoTensor> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let photo = decode_photo(&bytes, &PhotoLimits::default(), Detail::Full)
        .with_context(|| file.display().to_string())?;
    Ok(letterbox.apply(&match view {
        View::Plain => photo,
        View::Mirrored => imageops::flip_horizontal(&photo),
        View::Augmented(number) => {
            // The same view of the same photo each time, in whatever order photos are read.
            let name = file.file_name().unwrap_or_default().as_encoded_bytes();
            let seed = Sha256::new_with_prefix(name).chain_update(number.to_le_bytes()).finalize();
            augment(&photo, &mut ChaCha8Rng::from_seed(seed.into()))
        }
    }))
}
