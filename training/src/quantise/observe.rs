//! Running a network over sample inputs to see what its activations are.

use std::io::Write;

use anyhow::{Context, Result, bail};
use marketrank::{
    artefacts::ImageInput,
    inference::{Example, Runtime},
};
use ort::{
    session::{Session, SessionInputValue},
    value::{Tensor, TensorElementType},
};

use crate::onnx::calibration::Calibration;

/// Runs a model that was written with [`Arithmetic::Observed`](crate::onnx::Arithmetic::Observed) over the examples, one
/// at a time, so that no padding is observed.
///
/// # Errors
/// The model does not run, or an example lacks what it reads.
pub fn observe(
    runtime: &Runtime,
    model: &[u8],
    photo: ImageInput,
    examples: &[Example],
    threads: usize,
) -> Result<Calibration> {
    let mut file = tempfile::NamedTempFile::new().context("no place for the observed model")?;
    file.write_all(model).context("cannot write the observed model")?;
    observe_session(&mut runtime.open(file.path(), threads)?, photo, examples)
}

/// The same with a model that is open.
///
/// # Errors
/// As [`observe`].
pub fn observe_session(
    session: &mut Session,
    photo: ImageInput,
    examples: &[Example],
) -> Result<Calibration> {
    let names: Vec<String> = session.inputs().iter().map(|input| input.name().to_owned()).collect();
    let mut calibration = Calibration::default();
    for example in examples {
        let inputs = names.iter().map(|name| Ok((name.as_str(), input(name, photo, example)?)));
        let outputs = session.run(inputs.collect::<Result<Vec<_>>>()?)?;
        for (name, value) in &outputs {
            if value.dtype().tensor_type() != Some(TensorElementType::Float32) {
                continue;
            }
            let (shape, values) = value.try_extract_tensor::<f32>()?;
            let shape: Vec<usize> = shape.iter().map(|&size| size.max(0) as usize).collect();
            calibration.observe(name, &shape, values);
        }
    }
    Ok(calibration)
}

/// One example as a batch of one.
fn input(name: &str, photo: ImageInput, example: &Example) -> Result<SessionInputValue<'static>> {
    let ids =
        || Ok::<_, anyhow::Error>(example.tokens.as_ref().context("an example has no text")?.ids().to_vec());
    Ok(match name {
        "image" => {
            let pixels = example.photo.as_ref().context("an example has no photo")?.as_bytes().to_vec();
            Tensor::from_array(([1, photo.height as usize, photo.width as usize, 3], pixels))?.into()
        }
        "input_ids" => {
            let ids = ids()?;
            Tensor::from_array(([1, ids.len()], ids))?.into()
        }
        "attention_mask" => {
            let ones = vec![1_i64; ids()?.len()];
            Tensor::from_array(([1, ones.len()], ones))?.into()
        }
        other => bail!("the model has an input {other:?} that no listing has"),
    })
}
