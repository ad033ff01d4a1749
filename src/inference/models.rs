//! The three models of a manifest, running, each behind its own door.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Admission, BatchSizes, Example, InferenceError, Inferred, ListingTensors, Model, ModelSession, Outputs,
    Patience, Prediction, Runtime, StartError,
    pool::{Pool, PoolOptions},
    self_test,
};
use crate::{
    artefacts::{Artefacts, MANIFEST, Manifest, PrecisionChoice, SelfTest, Variant},
    memory,
    preprocess::{Letterbox, TextEncoder},
};

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
    pub patience: Patience,
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

impl Inference {
    /// Opens the three models, checks them against the manifest, asks each about the manifest's stored listing and runs it
    /// once at least.
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
            let InferenceOptions { max_batch, batch_sizes, batch_wait, queue, patience, .. } = options;
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
            let options = PoolOptions { max_batch, batch_wait, capacity, patience, alone };
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
