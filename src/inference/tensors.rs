//! Examples to the tensors that a model reads, and the tensors that it gives to rows of outputs.

use ort::{
    session::{SessionInputValue, SessionOutputs},
    value::{Tensor, TensorRef},
};

use super::{Activation, Example, Outputs};
use crate::{
    artefacts::ImageInput,
    preprocess::{PhotoTensor, Tokens},
};

/// Columns of each output.
#[derive(Debug, Clone, Copy)]
pub(super) struct Widths {
    pub categories: usize,
    pub subcategories: usize,
    pub embedding: usize,
}

/// The photos as one tensor; a single one is lent as it lies, without a copy.
pub(super) fn photo_batch<'a>(
    batch: &[&'a Example],
    input: ImageInput,
) -> Result<SessionInputValue<'a>, String> {
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

pub(super) fn token_batch(batch: &[&Example]) -> Result<(Tensor<i64>, Tensor<i64>), String> {
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

pub(super) fn read_rows(
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
