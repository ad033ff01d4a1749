//! From tensors to answers: one worker thread per ONNX Runtime session, a bounded queue in front of each model, batches
//! formed from what waits.

mod activation;
mod admission;
mod batch_sizes;
mod outputs;
mod pool;
mod prediction;
mod queue;
mod runtime;
mod self_test;
mod session;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    artefacts::{Artefacts, MANIFEST, Manifest, ModelEntry, PrecisionChoice, SelfTest, Variant},
    memory,
    preprocess::{Letterbox, PhotoTensor, TextEncoder, TextEncoderError, Tokens},
};

pub use activation::{Activation, HeatMap};
pub use admission::Admission;
pub use batch_sizes::BatchSizes;
pub use outputs::{Outputs, mean_embedding, normalise};
use pool::{Pool, PoolOptions};
pub use prediction::{CategoryProbability, Prediction, PriceBand, category_probabilities};
pub use runtime::{Device, Runtime, RuntimeError};
pub use session::{Example, ModelSession};

/// How many threads and requests the models may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InferenceOptions {
    /// Which of a model's files is run.
    pub precision: PrecisionChoice,
    /// Sessions of each model, each with its own worker thread.
    pub workers: usize,
    /// Threads ONNX Runtime uses inside one session.
    pub threads: usize,
    /// Examples taken in one run, at most.
    pub max_batch: usize,
    /// Which sizes batches with photos are filled up to.
    pub batch_sizes: BatchSizes,
    /// How long a batch that is not full waits for more examples.
    pub batch_wait: Duration,
    /// Examples that may be on their way through one model; one more is refused.
    pub queue: usize,
    /// A request that would wait longer for its model is refused.
    pub max_wait: Duration,
}

/// The three models, running, and the preprocessing that belongs to them.
pub struct Inference {
    manifest: Arc<Manifest>,
    letterbox: Letterbox,
    text_encoder: TextEncoder,
    image: Served,
    text: Served,
    combined: Served,
}

/// A model that runs, and the manifest's entry of the file it runs from.
struct Served {
    variant: Variant,
    activation_size: Option<[usize; 2]>,
    pool: Pool,
}

/// Which of the three models answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    Image,
    Text,
    Combined,
}

/// What is known of a listing, ready for the models: text, photos, or both.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListingTensors {
    pub tokens: Option<Tokens>,
    pub photos: Vec<PhotoTensor>,
    /// Whether it is asked where in the photos the answer comes from.
    pub activation: bool,
}

/// What a model said of a listing: one row of outputs per photo, or one for a text alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Inferred {
    pub model: Model,
    /// Never empty.
    pub rows: Vec<Outputs>,
}

/// Why the models cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("{file} does not load: {reason}; restore the file or export the models again")]
    Model { file: String, reason: String },
    #[error("{file} is not the model the manifest describes: {reason}; export the models again")]
    Shape { file: String, reason: String },
    #[error(
        "{file} does not pass its self-test: {reason}; use the ONNX Runtime and the processor it was made for, or export the models again here"
    )]
    SelfTest { file: String, reason: String },
    #[error(
        "--precision {asked} was demanded, but the manifest has the {model} model only as {present}; `marketrank-train quantize` makes int8, or use --precision auto"
    )]
    Precision { asked: &'static str, model: &'static str, present: String },
    #[error("tokenizer.json does not load: {0}; restore the file or export the models again")]
    Tokenizer(#[from] TextEncoderError),
    #[error("{file} cannot run {reason}; give a smaller --max-batch, or use another --device")]
    BatchSize { file: String, reason: String },
    #[error("a worker thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Why a listing got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InferenceError {
    /// The listing had neither text nor photo.
    #[error("there is nothing to look at: give a text or a photo")]
    Empty,
    /// As many examples are on their way through the model as may be, or it would take too long to come to this one.
    #[error("too many requests wait for the {} model", model.name())]
    QueueFull {
        model: Model,
        /// When those that wait now will have been answered.
        retry_after: Duration,
    },
    /// The answer did not come before the deadline.
    #[error("the answer did not come in time")]
    DeadlineExceeded,
    /// ONNX Runtime failed on this batch.
    #[error("the model failed: {0}")]
    Failed(String),
}

impl Inference {
    /// Opens the three models, checks them against the manifest, asks each about the manifest's stored listing and runs it
    /// once at least, so that the first request is as fast as the tenth.
    pub fn start(
        artefacts: &Artefacts,
        runtime: &Runtime,
        options: InferenceOptions,
    ) -> Result<Self, StartError> {
        let manifest = Arc::new(artefacts.manifest().clone());
        let models = &manifest.models;
        let (Some(image_input), Some(text_input)) = (models.combined.image, models.combined.text) else {
            let reason = "the combined model has no image or no text input".into();
            return Err(StartError::Shape { file: MANIFEST.into(), reason });
        };
        let letterbox = Letterbox::new(image_input);
        let text_encoder = TextEncoder::from_file(&artefacts.path(&manifest.tokenizer), text_input)?;
        let self_test = manifest
            .self_test
            .as_ref()
            .map(|listing| self_test::example(listing, letterbox, &text_encoder))
            .transpose()
            .map_err(|reason| StartError::SelfTest { file: MANIFEST.into(), reason })?;
        let served = |model| -> Result<Served, StartError> {
            let entry = manifest.model(model);
            let variant =
                entry.pick(options.precision, runtime.on_cuda()).ok_or_else(|| StartError::Precision {
                    asked: options.precision.name(),
                    model: model.name(),
                    present: entry.precisions(),
                })?;
            let mut sessions = (0..options.workers.max(1))
                .map(|_| ModelSession::open(runtime, artefacts, entry, variant, options.threads))
                .collect::<Result<Vec<_>, _>>()?;
            let activation_size = sessions.first().and_then(ModelSession::activation_size);
            let InferenceOptions { max_batch, batch_sizes, batch_wait, queue, max_wait, .. } = options;
            let (max_batch, capacity) = (max_batch.max(1), queue.max(1));
            let cannot_run = |reason| StartError::BatchSize { file: variant.file.file.clone(), reason };
            sessions
                .iter_mut()
                .try_for_each(|session| session.keep_to(batch_sizes, max_batch))
                .map_err(cannot_run)?;
            let mut alone = Duration::ZERO;
            if let (Some(example), Some(expected)) = (&self_test, &variant.self_test_logits) {
                let refused = |reason| StartError::SelfTest { file: variant.file.file.clone(), reason };
                for session in &mut sessions {
                    alone = self_test::check(session, example, expected).map_err(refused)?;
                }
            }
            let engines =
                sessions.into_iter().map(|mut session| move |batch: &[Example]| session.run(batch)).collect();
            let options = PoolOptions { max_batch, batch_wait, capacity, max_wait, alone };
            let pool = Pool::start(model, engines, options)?;
            Ok(Served { variant: variant.clone(), activation_size, pool })
        };
        let inference = Self {
            letterbox,
            text_encoder,
            image: served(Model::Image)?,
            text: served(Model::Text)?,
            combined: served(Model::Combined)?,
            manifest,
        };
        memory::give_back();
        Ok(inference)
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The manifest's entry of the file that a model runs from.
    pub fn variant(&self, model: Model) -> &Variant {
        &self.served(model).variant
    }

    /// Rows and columns of the class activation maps that a model gives over its whole input; none where it gives none.
    pub fn activation_size(&self, model: Model) -> Option<[usize; 2]> {
        self.served(model).activation_size
    }

    fn served(&self, model: Model) -> &Served {
        match model {
            Model::Image => &self.image,
            Model::Text => &self.text,
            Model::Combined => &self.combined,
        }
    }

    pub fn letterbox(&self) -> Letterbox {
        self.letterbox
    }

    pub fn text_encoder(&self) -> &TextEncoder {
        &self.text_encoder
    }

    /// A place for a request with this many examples, or a refusal, at once. To be asked for before photos are decoded,
    /// so that a refused request costs nothing.
    pub fn admit(&self, model: Model, examples: usize) -> Result<Admission, InferenceError> {
        self.served(model).pool.door().try_enter(examples)
    }

    /// The same for work that no person waits for: it waits for its place.
    pub async fn admit_patiently(
        &self,
        model: Model,
        examples: usize,
        deadline: Instant,
    ) -> Result<Admission, InferenceError> {
        self.served(model).pool.door().enter(examples, deadline).await
    }

    /// Examples that are on their way through a model.
    pub fn queue_depth(&self, model: Model) -> usize {
        self.served(model).pool.door().inside()
    }

    /// Asks the model that fits what is known: text alone, photos alone, or both together once per photo.
    pub async fn infer(
        &self,
        admission: Admission,
        listing: ListingTensors,
        deadline: Instant,
    ) -> Result<Inferred, InferenceError> {
        let ListingTensors { tokens, photos, activation } = listing;
        let model = Model::for_listing(tokens.is_some(), photos.len()).ok_or(InferenceError::Empty)?;
        let example = |photo| Example { photo, tokens: tokens.clone(), activation };
        let examples = match model {
            Model::Text => vec![example(None)],
            Model::Image | Model::Combined => photos.into_iter().map(|photo| example(Some(photo))).collect(),
        };
        let rows = self.served(model).pool.run(admission, examples, deadline).await?;
        Ok(Inferred { model, rows })
    }

    /// Runs one model on tensors as they are: a row of outputs for each example, which must hold what the model reads.
    pub async fn run(
        &self,
        model: Model,
        examples: Vec<Example>,
        deadline: Instant,
    ) -> Result<Vec<Outputs>, InferenceError> {
        let admission = self.admit(model, examples.len())?;
        self.served(model).pool.run(admission, examples, deadline).await
    }

    /// A stored listing as the models read it, to be run by [`run`](Self::run). The error says what is wrong with it.
    pub fn self_test_example(&self, listing: &SelfTest) -> Result<Example, String> {
        self_test::example(listing, self.letterbox, &self.text_encoder)
    }

    /// What the answer means for the listing's category and price, `top_k` categories named.
    pub fn predict(&self, inferred: &Inferred, top_k: usize) -> Prediction {
        Prediction::new(&self.manifest, self.variant(inferred.model), inferred, top_k)
    }
}

impl Inferred {
    /// Memory that its numbers take.
    pub fn bytes(&self) -> usize {
        let floats = |row: &Outputs| {
            let activation = row.activation.as_ref().map_or(0, Activation::len);
            row.logits.len() + row.subcategory_logits.len() + row.embedding.len() + 3 + activation
        };
        self.rows.iter().map(|row| size_of::<Outputs>() + size_of::<f32>() * floats(row)).sum()
    }

    /// Where the listing lies in embedding space, L2 norm 1: the mean over its photos.
    pub fn embedding(&self) -> Vec<f32> {
        mean_embedding(self.rows.iter().map(|row| row.embedding.as_slice()))
    }
}

impl Manifest {
    pub fn model(&self, model: Model) -> &ModelEntry {
        match model {
            Model::Image => &self.models.image,
            Model::Text => &self.models.text,
            Model::Combined => &self.models.combined,
        }
    }

    pub fn model_mut(&mut self, model: Model) -> &mut ModelEntry {
        match model {
            Model::Image => &mut self.models.image,
            Model::Text => &mut self.models.text,
            Model::Combined => &mut self.models.combined,
        }
    }
}

impl Model {
    pub const ALL: [Self; 3] = [Self::Image, Self::Text, Self::Combined];

    /// The model that answers for a listing; none for one with neither text nor photo.
    pub fn for_listing(has_text: bool, photos: usize) -> Option<Self> {
        match (has_text, photos) {
            (false, 0) => None,
            (true, 0) => Some(Self::Text),
            (false, _) => Some(Self::Image),
            (true, _) => Some(Self::Combined),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Text => "text",
            Self::Combined => "combined",
        }
    }
}
