//! Photos to tensors on threads of their own, never on those that serve requests.

use std::{sync::Arc, time::Instant};

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
    decoders: Arc<Semaphore>,
}

/// A photo as the models read it, and a small JPEG of it where one was wanted.
type Decoded = (PhotoTensor, Option<Vec<u8>>);

impl PhotoDecoder {
    pub fn new(limits: PhotoLimits, letterbox: Letterbox) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { limits, letterbox, decoders: Arc::new(Semaphore::new(cores)) }
    }

    pub fn limits(&self) -> &PhotoLimits {
        &self.limits
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
        let permit = Arc::clone(&self.decoders).acquire_owned().await;
        let permit = permit.map_err(|error| interrupted(error.to_string()))?;
        let (limits, letterbox) = (self.limits, self.letterbox);
        tokio::task::spawn_blocking(move || {
            // The thread goes on where nobody waits for it any more, and so does what it takes up.
            let _permit = permit;
            decode(&photo, &limits, letterbox, wants_thumbnail)
        })
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

#[cfg(test)]
mod tests {
    use std::{io::Cursor, time::Duration};

    use futures::FutureExt;
    use image::{ImageFormat, RgbImage};

    use super::*;
    use crate::artefacts::ImageInput;

    #[tokio::test]
    async fn a_photo_whose_sender_has_gone_counts_until_it_is_decoded() {
        let mut file = Cursor::new(Vec::new());
        RgbImage::new(4_000, 4_000).write_to(&mut file, ImageFormat::Png).unwrap();
        let letterbox = Letterbox::new(ImageInput { height: 64, width: 64, letterbox: [0; 3] });
        let decoder = PhotoDecoder::new(PhotoLimits::default(), letterbox);
        let free = || decoder.decoders.available_permits();
        let all = free();

        let mut decoding = Box::pin(decoder.decode_all(vec![file.into_inner().into()], false));
        assert!((&mut decoding).now_or_never().is_none());
        drop(decoding);

        assert_eq!(free(), all - 1, "the thread is at work");
        while free() < all {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
