//! One model file, open: a batch of examples in, a row of outputs each.

use ort::session::{Session, SessionInputValue};

use super::{
    Activation, BatchSizes, Outputs, Runtime, StartError,
    signature::check_signature,
    tensors::{Widths, photo_batch, read_rows, token_batch},
};
use crate::{
    artefacts::{Artefacts, ImageInput, ModelEntry, TextInput, Variant},
    preprocess::{PhotoTensor, Tokens},
};

/// One row of a batch: what the model reads of it must be there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Example {
    pub photo: Option<PhotoTensor>,
    pub tokens: Option<Tokens>,
    /// Whether its [`Outputs::activation`] is wanted, where the model gives one.
    pub activation: bool,
}

/// An ONNX Runtime session and the shapes the manifest promises for it.
#[derive(Debug)]
pub struct ModelSession {
    session: Session,
    image: Option<ImageInput>,
    reads_text: bool,
    widths: Widths,
    activation_size: Option<[usize; 2]>,
    /// Which sizes batches are filled up to, and how many examples the largest has.
    sizes: (BatchSizes, usize),
    /// What they are filled up with.
    blank: Example,
}

impl ModelSession {
    /// Opens the file, compares inputs and outputs with the manifest and runs one blank example.
    pub fn open(
        runtime: &Runtime,
        artefacts: &Artefacts,
        entry: &ModelEntry,
        variant: &Variant,
        threads: usize,
    ) -> Result<Self, StartError> {
        let file = || variant.file.file.clone();
        let session = runtime
            .open(&artefacts.path(&variant.file), threads)
            .map_err(|error| StartError::Model { file: file(), reason: error.to_string() })?;
        check_signature(&session, artefacts.manifest(), entry)
            .map_err(|reason| StartError::Shape { file: file(), reason })?;
        let manifest = artefacts.manifest();
        let mut model = Self {
            session,
            image: entry.image,
            reads_text: entry.text.is_some(),
            widths: Widths {
                categories: manifest.categories.len(),
                subcategories: manifest.subcategories.len(),
                embedding: manifest.embedding_width,
            },
            activation_size: None,
            sizes: (BatchSizes::Any, 1),
            blank: blank_example(entry.image, entry.text),
        };
        let rows = model
            .run(&[Example { activation: true, ..model.blank.clone() }])
            .map_err(|reason| StartError::Shape { file: file(), reason })?;
        model.activation_size = rows.first().and_then(|row| row.activation.as_ref()).map(Activation::size);
        Ok(model)
    }

    /// Rows and columns of the maps over its whole input; none where the model gives none.
    pub fn activation_size(&self) -> Option<[usize; 2]> {
        self.activation_size
    }

    /// Fills batches up to these sizes from now on, `largest` being how many examples are run at once at most, and runs each
    /// size once. A model that reads no photos goes on running any size. The error names the size that could not be run.
    pub fn keep_to(&mut self, sizes: BatchSizes, largest: usize) -> Result<(), String> {
        if self.image.is_none() {
            return Ok(());
        }
        self.sizes = (sizes, largest);
        for size in sizes.run_at_start(largest) {
            self.run(&vec![self.blank.clone(); size])
                .map_err(|reason| format!("{size} photos at once: {reason}"))?;
        }
        Ok(())
    }

    /// Runs the examples as one batch. Texts are padded to the longest, and the batch to a size that is kept to.
    pub fn run(&mut self, batch: &[Example]) -> Result<Vec<Outputs>, String> {
        let examples = batch.len();
        let batch = &filled(batch, &self.blank, self.sizes);
        let mut inputs: Vec<(&str, SessionInputValue<'_>)> = Vec::with_capacity(3);
        if let Some(input) = self.image {
            inputs.push(("image", photo_batch(batch, input)?));
        }
        if self.reads_text {
            let (ids, mask) = token_batch(batch)?;
            inputs.push(("input_ids", ids.into()));
            inputs.push(("attention_mask", mask.into()));
        }
        let outputs = self.session.run(inputs).map_err(|error| error.to_string())?;
        let mut rows = read_rows(&outputs, batch, self.widths, self.reads_text)?;
        rows.truncate(examples);
        Ok(rows)
    }
}

/// The examples, and blank ones after them up to the size that they are run at.
fn filled<'a>(
    batch: &'a [Example],
    blank: &'a Example,
    (sizes, largest): (BatchSizes, usize),
) -> Vec<&'a Example> {
    let missing = sizes.filled(batch.len(), largest).saturating_sub(batch.len());
    batch.iter().chain(std::iter::repeat_n(blank, missing)).collect()
}

fn blank_example(image: Option<ImageInput>, text: Option<TextInput>) -> Example {
    let photo = image.map(|input| {
        crate::preprocess::Letterbox::new(input)
            .apply(&image::RgbImage::new(input.width.max(1), input.height.max(1)))
    });
    Example { photo, tokens: text.map(|_| Tokens::blank()), activation: false }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        artefacts::Precision,
        inference::{Device, Model},
    };

    const LARGEST: usize = 4;

    /// A photo of one colour and a text of one word, another for each number.
    fn example(number: u8, input: ImageInput) -> Example {
        let pixels = [number * 40, 90, 255 - number * 40].repeat((input.width * input.height) as usize);
        let tokens = Tokens::from(vec![101, 2_000 + i64::from(number), 102]);
        Example { photo: Some(PhotoTensor::from_pixels(&pixels)), tokens: Some(tokens), activation: true }
    }

    #[test]
    fn a_batch_that_is_filled_up_gives_the_rows_of_its_examples_and_no_other() {
        let artefacts = Artefacts::load(Path::new("models")).unwrap();
        let library = Path::new(".cache/onnxruntime/libonnxruntime.so");
        let runtime = Runtime::load(library, Device::Cpu).unwrap();
        for model in [Model::Image, Model::Combined] {
            let entry = artefacts.manifest().model(model);
            // Floats: in int8 the last digit of a float, which batches of another size may change, can move a value by a step.
            let variant = entry.variant(Precision::Float16).unwrap();
            let mut session = ModelSession::open(&runtime, &artefacts, entry, variant, 1).unwrap();
            let examples = [1, 2, 3].map(|number| example(number, entry.image.unwrap()));
            let alone: Vec<Outputs> = examples
                .iter()
                .flat_map(|example| session.run(std::slice::from_ref(example)).unwrap())
                .collect();

            session.keep_to(BatchSizes::PowersOfTwo, LARGEST).unwrap();
            assert_eq!(filled(&examples, &session.blank, session.sizes).len(), LARGEST);
            let together = session.run(&examples).unwrap();
            assert_eq!(together.len(), examples.len());
            let apart = |a: &[f32], b: &[f32]| {
                assert_eq!(a.len(), b.len());
                a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
            };
            for (together, alone) in together.iter().zip(&alone) {
                assert!(apart(&together.logits, &alone.logits) < 1e-3, "{}", model.name());
                assert!(apart(&together.embedding, &alone.embedding) < 1e-3, "{}", model.name());
                let maps = |outputs: &Outputs| outputs.activation.clone().unwrap();
                assert!(apart(maps(together).values(), maps(alone).values()) < 1e-3, "{}", model.name());
            }
            // The colours are told apart, so rows that had changed places would not pass.
            assert!(apart(&alone[0].logits, &alone[1].logits) > 1e-2, "{}", model.name());
        }
    }
}
