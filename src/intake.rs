//! What a client says of a listing, made ready for the models and the catalogue.
//!
//! The API and `import` both go through here: a listing is read, predicted and stored the same way from either.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use image::RgbImage;
use tokio::sync::Semaphore;

use crate::{
    catalogue::{ContentHash, Product, StoredProduct},
    inference::{Inference, InferenceError, ListingTensors},
    preprocess::{PhotoError, PhotoLimits, TextEncoderError, decode_photo, thumbnail},
};

/// Photos of one listing, at most.
pub const MAX_PHOTOS: usize = 8;
/// Longer side of a stored thumbnail in pixels.
const THUMBNAIL_SIDE: u32 = 320;

/// Turns listings into tensors and stored products.
pub struct Intake {
    inference: Arc<Inference>,
    photo_limits: PhotoLimits,
    /// Photos being decoded at once, at most one per core: each may hold tens of megabytes.
    decoders: Semaphore,
}

/// Why a listing cannot be taken in.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The photo at this position, counted from 0.
    #[error("{error}")]
    Photo { index: usize, error: PhotoError },
    #[error(transparent)]
    Text(#[from] TextEncoderError),
    #[error(transparent)]
    Inference(#[from] InferenceError),
    /// A decoding task ended without an answer.
    #[error("a photo could not be decoded: {0}")]
    Interrupted(String),
}

impl Intake {
    pub fn new(inference: Arc<Inference>, photo_limits: PhotoLimits) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { inference, photo_limits, decoders: Semaphore::new(cores) }
    }

    /// What a photo may cost.
    pub fn photo_limits(&self) -> &PhotoLimits {
        &self.photo_limits
    }

    pub fn inference(&self) -> &Inference {
        &self.inference
    }

    /// Encodes the text (where any of it is not blank) and the photos.
    pub async fn tensors(
        &self,
        title: &str,
        description: &str,
        photos: Vec<Bytes>,
    ) -> Result<ListingTensors, IntakeError> {
        Ok(self.tensors_and_thumbnail(title, description, photos, false).await?.0)
    }

    /// Embeds a product, keeps a thumbnail of its first photo, and predicts the category where none was given. What is
    /// stored of it already, `before`, is used again where text and photos are the same.
    pub async fn product(
        &self,
        mut product: Product,
        photos: Vec<Bytes>,
        before: Option<StoredProduct>,
        timeout: Duration,
    ) -> Result<StoredProduct, IntakeError> {
        let content = ContentHash::of(&product, &photos);
        // The category that a client gave before and gives no longer says nothing of what would be predicted.
        let usable = |before: &StoredProduct| {
            before.content == content && (product.category.is_some() || before.product.category_predicted)
        };
        if let Some(before) = before.filter(usable) {
            let StoredProduct { product: old, embedding, thumbnail, .. } = before;
            if product.category.is_none() {
                product.category = old.category;
                product.category_predicted = true;
            }
            return Ok(StoredProduct { product, embedding, thumbnail, content });
        }
        let deadline = Instant::now() + timeout;
        let description = product.description.as_deref().unwrap_or_default();
        let (tensors, thumbnail) =
            self.tensors_and_thumbnail(&product.title, description, photos, true).await?;
        let inferred = self.inference.infer(tensors, deadline).await?;
        if product.category.is_none() {
            product.category = Some(self.inference.predict(&inferred, 1).category);
            product.category_predicted = true;
        }
        Ok(StoredProduct { product, embedding: inferred.embedding(), thumbnail, content })
    }

    async fn tensors_and_thumbnail(
        &self,
        title: &str,
        description: &str,
        photos: Vec<Bytes>,
        keep_thumbnail: bool,
    ) -> Result<(ListingTensors, Option<Vec<u8>>), IntakeError> {
        let mut listing = ListingTensors::default();
        if !(title.trim().is_empty() && description.trim().is_empty()) {
            listing.tokens = Some(self.inference.text_encoder().encode(title, description)?);
        }
        let letterbox = self.inference.letterbox();
        let mut first = None;
        for (index, photo) in photos.into_iter().enumerate() {
            let wants_thumbnail = keep_thumbnail && index == 0;
            let (tensor, small) = self
                .decode(index, photo, move |photo| {
                    let small = wants_thumbnail.then(|| thumbnail(photo, THUMBNAIL_SIDE)).transpose()?;
                    Ok((letterbox.apply(photo), small))
                })
                .await?;
            listing.photos.push(tensor);
            first = first.or(small);
        }
        Ok((listing, first))
    }

    /// Decodes on a blocking thread and hands the pixels to `then` there.
    async fn decode<T: Send + 'static>(
        &self,
        index: usize,
        photo: Bytes,
        then: impl FnOnce(&RgbImage) -> Result<T, PhotoError> + Send + 'static,
    ) -> Result<T, IntakeError> {
        let interrupted = |reason: String| IntakeError::Interrupted(reason);
        let _permit = self.decoders.acquire().await.map_err(|error| interrupted(error.to_string()))?;
        let limits = self.photo_limits;
        tokio::task::spawn_blocking(move || decode_photo(&photo, &limits).and_then(|photo| then(&photo)))
            .await
            .map_err(|error| interrupted(error.to_string()))?
            .map_err(|error| IntakeError::Photo { index, error })
    }
}
