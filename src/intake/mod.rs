//! What a client says of a listing, made ready for the models and the catalogue.
//!
//! The API and `import` both go through here: a listing is read, predicted and stored the same way from either.

mod answers;
mod photos;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::{
    catalogue::{ContentHash, Product, StoredProduct},
    inference::{Inference, InferenceError, Inferred, ListingTensors, Model},
    preprocess::{PhotoError, PhotoLimits, TextEncoderError},
};

use answers::{Answers, Content};
use photos::PhotoDecoder;

/// Photos of one listing, at most.
pub const MAX_PHOTOS: usize = 8;

/// How often each model is asked before the first client asks; ten times did no more.
const WARM_UPS: usize = 3;
/// For each of these; whatever clients are given, a start may take longer.
const WARM_UP_TIME: Duration = Duration::from_secs(60);

/// Turns listings into what the models say of them, and into stored products.
pub struct Intake {
    inference: Arc<Inference>,
    decoder: PhotoDecoder,
    answers: Answers,
}

/// A listing or a query that the models are asked about.
#[derive(Debug, Clone, Default)]
pub struct Question<'a> {
    pub title: &'a str,
    pub description: &'a str,
    /// Files of photos.
    pub photos: Vec<Bytes>,
    /// Whether it is asked where in the photos the answer comes from.
    pub activation: bool,
}

/// How a question comes in where others are before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// At once, or it is refused: too many wait already.
    Now,
    /// When it is its turn.
    Patient,
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
    /// Remembers no answers; [`with_cache`](Self::with_cache) makes it.
    pub fn new(inference: Arc<Inference>, photo_limits: PhotoLimits) -> Self {
        let decoder = PhotoDecoder::new(photo_limits, inference.letterbox());
        Self { inference, decoder, answers: Answers::new(0) }
    }

    /// Remembers answers in up to this many bytes.
    pub fn with_cache(self, bytes: u64) -> Self {
        Self { answers: Answers::new(bytes), ..self }
    }

    /// The same over other models, with no answer remembered yet.
    pub fn over(&self, inference: Arc<Inference>) -> Self {
        Self::new(inference, *self.photo_limits()).with_cache(self.answers.capacity())
    }

    /// What a photo may cost.
    pub fn photo_limits(&self) -> &PhotoLimits {
        self.decoder.limits()
    }

    pub fn inference(&self) -> &Inference {
        &self.inference
    }

    /// Bytes of the answers that are remembered.
    pub fn cache_bytes(&self) -> u64 {
        self.answers.bytes()
    }

    /// Takes the manifest's stored listing the whole way, past the answers that are remembered: by text, by photo and by both. The
    /// first client then finds decoding threads, workers and their memory as the tenth does.
    pub async fn warm_up(&self) -> Result<(), IntakeError> {
        let Some(listing) = &self.inference.manifest().self_test else { return Ok(()) };
        // Whoever opened the models has read it.
        let photo: Vec<Bytes> = listing.photo_file().into_iter().map(Bytes::from).collect();
        for (title, photos) in [(&*listing.title, &[][..]), ("", &photo), (&*listing.title, &photo)] {
            for _ in 0..WARM_UPS {
                let question = Question { title, photos: photos.to_vec(), ..Question::default() };
                self.ask(question, Turn::Now, Instant::now() + WARM_UP_TIME).await?;
            }
        }
        Ok(())
    }

    /// What the model that fits says. A blank title or description counts as none.
    pub async fn understand(
        &self,
        question: Question<'_>,
        turn: Turn,
        deadline: Instant,
    ) -> Result<Arc<Inferred>, IntakeError> {
        // Cheap to clone: the bytes are shared.
        let asked = question.clone();
        let content = move || Content::of(&asked);
        self.answers.get_or_ask(content, deadline, self.ask(question, turn, deadline)).await
    }

    /// The same, whatever is remembered.
    async fn ask(
        &self,
        question: Question<'_>,
        turn: Turn,
        deadline: Instant,
    ) -> Result<Inferred, IntakeError> {
        let Question { title, description, photos, activation } = question;
        let examples = photos.len();
        let model = model(title, description, examples)?;
        let admission = match turn {
            Turn::Now => self.inference.admit(model, examples)?,
            Turn::Patient => self.inference.admit_patiently(model, examples, deadline).await?,
        };
        let (mut tensors, _) = within(deadline, self.tensors(title, description, photos, false)).await?;
        tensors.activation = activation;
        Ok(self.inference.infer(admission, tensors, deadline).await?)
    }

    /// Embeds a product, keeps a thumbnail of its first photo, and predicts the category where none was given. What is
    /// stored of it already, `before`, is used again where text and photos are the same. Waits for its turn.
    pub async fn product(
        &self,
        mut product: Product,
        photos: Vec<Bytes>,
        before: Option<StoredProduct>,
        deadline: Instant,
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
        let description = product.description.as_deref().unwrap_or_default();
        let model = model(&product.title, description, photos.len())?;
        let admission = self.inference.admit_patiently(model, photos.len(), deadline).await?;
        let tensors = self.tensors(&product.title, description, photos, true);
        let (tensors, thumbnail) = within(deadline, tensors).await?;
        let inferred = self.inference.infer(admission, tensors, deadline).await?;
        if product.category.is_none() {
            product.category = Some(self.inference.predict(&inferred, 1).category);
            product.category_predicted = true;
        }
        Ok(StoredProduct { product, embedding: inferred.embedding(), thumbnail, content })
    }

    /// Encodes the text (where any of it is not blank) and the photos, with a thumbnail of the first where one is wanted.
    async fn tensors(
        &self,
        title: &str,
        description: &str,
        photos: Vec<Bytes>,
        wants_thumbnail: bool,
    ) -> Result<(ListingTensors, Option<Vec<u8>>), IntakeError> {
        let mut listing = ListingTensors::default();
        if has_text(title, description) {
            listing.tokens = Some(self.inference.text_encoder().encode(title, description)?);
        }
        let (tensors, thumbnail) = self.decoder.decode_all(photos, wants_thumbnail).await?;
        listing.photos = tensors;
        Ok((listing, thumbnail))
    }
}

/// What the work gives, unless it takes longer.
async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, IntakeError>>,
) -> Result<T, IntakeError> {
    let late = |_| Err(InferenceError::DeadlineExceeded.into());
    tokio::time::timeout_at(deadline.into(), work).await.unwrap_or_else(late)
}

fn has_text(title: &str, description: &str) -> bool {
    !(title.trim().is_empty() && description.trim().is_empty())
}

/// The model that will be asked about a listing of so many photos.
pub fn model(title: &str, description: &str, photos: usize) -> Result<Model, InferenceError> {
    Model::for_listing(has_text(title, description), photos).ok_or(InferenceError::Empty)
}
