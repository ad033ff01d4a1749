//! One model file, open: a batch of examples in, a row of outputs each.

use ort::{
    session::{Session, SessionInputValue, SessionOutputs},
    value::{Outlet, Tensor, TensorElementType, TensorRef},
};

use super::{Activation, BatchSizes, Outputs, Runtime, StartError};
use crate::{
    artefacts::{Artefacts, ImageInput, Manifest, ModelEntry, TextInput, Variant},
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

/// Columns of each output.
#[derive(Debug, Clone, Copy)]
struct Widths {
    categories: usize,
    subcategories: usize,
    embedding: usize,
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

/// The photos as one tensor; a single one is lent as it lies, without a copy.
fn photo_batch<'a>(batch: &[&'a Example], input: ImageInput) -> Result<SessionInputValue<'a>, String> {
    let shape = [batch.len(), input.height as usize, input.width as usize, 3];
    let failed = |error: ort::Error| error.to_string();
    if let [example] = batch {
        return TensorRef::from_array_view((shape, pixels_of(example)?)).map(Into::into).map_err(failed);
    }
    let mut pixels = Vec::with_capacity(shape.iter().product());
    for example in batch {
        pixels.extend_from_slice(pixels_of(example)?);
    }
    Tensor::from_array((shape, pixels)).map(Into::into).map_err(failed)
}

fn pixels_of(example: &Example) -> Result<&[u8], &'static str> {
    example.photo.as_ref().map(PhotoTensor::as_bytes).ok_or("an example has no photo")
}

fn token_batch(batch: &[&Example]) -> Result<(Tensor<i64>, Tensor<i64>), String> {
    let rows: Vec<&[i64]> = batch
        .iter()
        .map(|example| example.tokens.as_ref().map(Tokens::ids).ok_or("an example has no text"))
        .collect::<Result<_, _>>()?;
    let longest = rows.iter().map(|ids| ids.len()).max().unwrap_or(0);
    if longest == 0 {
        return Err("no example has a token".into());
    }
    let mut ids = vec![0; rows.len() * longest];
    let mut mask = vec![0; rows.len() * longest];
    for ((row, ids), mask) in rows.iter().zip(ids.chunks_mut(longest)).zip(mask.chunks_mut(longest)) {
        ids[..row.len()].copy_from_slice(row);
        mask[..row.len()].fill(1);
    }
    let tensor =
        |values| Tensor::from_array(([rows.len(), longest], values)).map_err(|error| error.to_string());
    Ok((tensor(ids)?, tensor(mask)?))
}

fn read_rows(
    outputs: &SessionOutputs<'_>,
    batch: &[&Example],
    widths: Widths,
    with_price: bool,
) -> Result<Vec<Outputs>, String> {
    let rows = batch.len();
    let column = |name: &str, width: usize| {
        let value = outputs.get(name).ok_or_else(|| format!("it gave no output {name:?}"))?;
        let (shape, values) = value.try_extract_tensor::<f32>().map_err(|error| error.to_string())?;
        if **shape == [rows as i64, width as i64] {
            return Ok(values.chunks_exact(width));
        }
        Err(format!("output {name:?} has shape {shape}, not [{rows}, {width}]"))
    };
    let logits = column("logits", widths.categories)?;
    let mut subcategory_logits = if widths.subcategories > 0 {
        Some(column("subcategory_logits", widths.subcategories)?)
    } else {
        None
    };
    let mut embeddings = column("embedding", widths.embedding)?;
    let mut prices = if with_price { Some(column("log_price", 3)?) } else { None };
    let mut activations = activations(outputs, batch, widths.categories)?.into_iter();
    let next = |rows: &mut Option<std::slice::ChunksExact<'_, f32>>| {
        rows.as_mut().and_then(Iterator::next).unwrap_or_default().to_vec()
    };
    Ok(logits
        .map(|row| Outputs {
            logits: row.to_vec(),
            subcategory_logits: next(&mut subcategory_logits),
            embedding: embeddings.next().unwrap_or_default().to_vec(),
            log_price: prices.as_mut().and_then(Iterator::next).and_then(|row| row.try_into().ok()),
            activation: activations.next().flatten(),
        })
        .collect())
}

/// The maps of the examples that want them; nothing where none does or the model has no such output.
fn activations(
    outputs: &SessionOutputs<'_>,
    batch: &[&Example],
    categories: usize,
) -> Result<Vec<Option<Activation>>, String> {
    let wanted = batch.iter().any(|example| example.activation);
    let Some(value) = outputs.get("activation").filter(|_| wanted) else { return Ok(Vec::new()) };
    let (shape, values) = value.try_extract_tensor::<f32>().map_err(|error| error.to_string())?;
    let size = match **shape {
        [examples, maps, rows, columns]
            if (examples, maps) == (batch.len() as i64, categories as i64) && rows > 0 && columns > 0 =>
        {
            [rows as usize, columns as usize]
        }
        _ => {
            let expected = format!("[{}, {categories}, rows, columns]", batch.len());
            return Err(format!("output \"activation\" has shape {shape}, not {expected}"));
        }
    };
    let cut = |(example, maps): (&&Example, &[f32])| {
        let photo = example.photo.as_ref().filter(|_| example.activation)?;
        Some(Activation::over_photo(maps, size, photo.area()))
    };
    let maps = values.chunks_exact(categories * size[0] * size[1]);
    Ok(batch.iter().zip(maps).map(cut).collect())
}

/// Compares names, element types and fixed dimensions with the artefact contract. Symbolic dimensions are -1 here.
fn check_signature(session: &Session, manifest: &Manifest, entry: &ModelEntry) -> Result<(), String> {
    use TensorElementType::{Float32, Int64, Uint8};
    if let Some(ImageInput { height, width, .. }) = entry.image {
        check_outlet(session.inputs(), "image", Uint8, &[-1, i64::from(height), i64::from(width), 3])?;
    }
    if entry.text.is_some() {
        check_outlet(session.inputs(), "input_ids", Int64, &[-1, -1])?;
        check_outlet(session.inputs(), "attention_mask", Int64, &[-1, -1])?;
        check_outlet(session.outputs(), "log_price", Float32, &[-1, 3])?;
    }
    let width = |columns: usize| columns as i64;
    check_outlet(session.outputs(), "logits", Float32, &[-1, width(manifest.categories.len())])?;
    check_outlet(
        session.outputs(),
        "subcategory_logits",
        Float32,
        &[-1, width(manifest.subcategories.len())],
    )?;
    check_outlet(session.outputs(), "embedding", Float32, &[-1, width(manifest.embedding_width)])
}

fn check_outlet(outlets: &[Outlet], name: &str, ty: TensorElementType, shape: &[i64]) -> Result<(), String> {
    let Some(outlet) = outlets.iter().find(|outlet| outlet.name() == name) else {
        return Err(format!("it has no input or output {name:?}"));
    };
    let found = outlet.dtype();
    // A dimension that the file leaves open takes any size, so also the one that is wanted.
    let fits = |found: &[i64]| {
        found.len() == shape.len()
            && found.iter().zip(shape).all(|(found, wanted)| *found == -1 || found == wanted)
    };
    if found.tensor_type() == Some(ty) && found.tensor_shape().is_some_and(|found| fits(found)) {
        return Ok(());
    }
    Err(format!("{name:?} is {found}, expected {ty} {shape:?} (-1 is any size)"))
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
            let variant = entry.variant(Precision::Int8).unwrap();
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
            for (together, alone) in together.iter().zip(&alone) {
                let apart = |a: &[f32], b: &[f32]| {
                    assert_eq!(a.len(), b.len());
                    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
                };
                assert!(apart(&together.logits, &alone.logits) < 1e-3, "{}", model.name());
                assert!(apart(&together.embedding, &alone.embedding) < 1e-3, "{}", model.name());
                let maps = |outputs: &Outputs| outputs.activation.clone().unwrap();
                assert!(apart(maps(together).values(), maps(alone).values()) < 1e-3, "{}", model.name());
            }
            // The colours are told apart, so rows that had changed places would not pass.
            assert!((alone[0].logits[0] - alone[1].logits[0]).abs() > 1e-2, "{}", model.name());
        }
    }
}
