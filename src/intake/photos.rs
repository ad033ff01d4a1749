//! Photos to tensors on threads of their own, never on those that serve requests.

use std::time::Instant;

use bytes::Bytes;
use futures::future::try_join_all;
use tokio::sync::Semaphore;

use super::IntakeError;
use crate::{
    preprocess::{Detail, Letterbox, PhotoError, PhotoLimits, PhotoTensor, decode_photo, thumbnail},
    telemetry::metrics,
};

/// Longer side of a stored thumbnail in pixels.
const THUMBNAIL_SIDE: u32 = 320;

/// Decodes as many photos at once as there are cores: each may hold tens of megabytes.
pub(super) struct PhotoDecoder {
    limits: PhotoLimits,
    letterbox: Letterbox,
    decoders: Semaphore,
}

/// A photo as the models read it, and a small JPEG of it where one was wanted.
type Decoded = (PhotoTensor, Option<Vec<u8>>);

impl PhotoDecoder {
    pub fn new(limits: PhotoLimits, letterbox: Letterbox) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { limits, letterbox, decoders: Semaphore::new(cores) }
    }

    /// Tensors of all photos in their order and, where wanted, a thumbnail of the first; or the first error.
    pub async fn decode_all(
        &self,
        photos: Vec<Bytes>,
        wants_thumbnail: bool,
    ) -> Result<(Vec<PhotoTensor>, Option<Vec<u8>>), IntakeError> {
        let photos = photos
            .into_iter()
            .enumerate()
            .map(|(index, photo)| self.decode(index, photo, wants_thumbnail && index == 0));
        let (tensors, thumbnails): (Vec<_>, Vec<_>) = try_join_all(photos).await?.into_iter().unzip();
        Ok((tensors, thumbnails.into_iter().next().flatten()))
    }

    async fn decode(
        &self,
        index: usize,
        photo: Bytes,
        wants_thumbnail: bool,
    ) -> Result<Decoded, IntakeError> {
        let interrupted = |reason: String| IntakeError::Interrupted(reason);
        let _permit = self.decoders.acquire().await.map_err(|error| interrupted(error.to_string()))?;
        let (limits, letterbox) = (self.limits, self.letterbox);
        tokio::task::spawn_blocking(move || decode(&photo, &limits, letterbox, wants_thumbnail))
            .await
            .map_err(|error| interrupted(error.to_string()))?
            .map_err(|error| IntakeError::Photo { index, error })
    }
}

fn decode(
    photo: &[u8],
    limits: &PhotoLimits,
    letterbox: Letterbox,
    wants_thumbnail: bool,
) -> Result<Decoded, PhotoError> {
    let started = Instant::now();
    let side = if wants_thumbnail { letterbox.side().max(THUMBNAIL_SIDE) } else { letterbox.side() };
    let pixels = decode_photo(photo, limits, Detail::Side(side))?;
    let small = wants_thumbnail.then(|| thumbnail(&pixels, THUMBNAIL_SIDE)).transpose()?;
    let tensor = letterbox.apply(&pixels);
    metrics::decoded(started.elapsed());
    Ok((tensor, small))
}
