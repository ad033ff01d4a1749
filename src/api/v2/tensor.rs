//! Input tensors, checked against what a model reads and cut into its examples.

use crate::{
    api::{
        ApiError,
        v2::request::{InputTensor, Numbers},
    },
    artefacts::{ImageInput, ModelEntry, TextInput},
    inference::Example,
    preprocess::{PhotoTensor, Tokens},
};

/// Rows of one request, at most.
const MAX_ROWS: usize = 64;

/// An input, its place in the request, and its values.
struct Input<'a> {
    field: String,
    shape: Vec<usize>,
    datatype: String,
    values: Values<'a>,
}

/// As they came: numbers of the JSON, or little-endian bytes.
enum Values<'a> {
    Numbers(Vec<i32>),
    Bytes(&'a [u8]),
}

/// An example for each row. `vocabulary` is the number of tokens there are.
pub(super) fn examples(
    entry: &ModelEntry,
    vocabulary: usize,
    inputs: Vec<InputTensor>,
    mut binary: &[u8],
) -> Result<Vec<Example>, ApiError> {
    let reads_image = entry.image.is_some();
    let reads_text = entry.text.is_some();
    let [mut image, mut ids, mut mask] = [None, None, None];
    for (index, tensor) in inputs.into_iter().enumerate() {
        let slot = match tensor.name.as_str() {
            "image" if reads_image => &mut image,
            "input_ids" if reads_text => &mut ids,
            "attention_mask" if reads_text => &mut mask,
            other => {
                let detail = format!("the model has no input {other:?}; it reads {}", names(entry));
                return Err(ApiError::unusable(format!("inputs[{index}].name"), detail));
            }
        };
        if slot.is_some() {
            let detail = format!("{} was given before", tensor.name);
            return Err(ApiError::unusable(format!("inputs[{index}].name"), detail));
        }
        *slot = Some(Input::take(index, tensor, &mut binary)?);
    }
    if !binary.is_empty() {
        let detail = format!("{} bytes behind the JSON belong to no input", binary.len());
        return Err(ApiError::unusable("inputs", detail));
    }
    let missing = || ApiError::unusable("inputs", format!("give each of {}", names(entry)));
    let photos = match entry.image {
        Some(input) => Some(photos(image.ok_or_else(missing)?, input)?),
        None => None,
    };
    let texts = match entry.text {
        Some(input) => Some(texts(ids.ok_or_else(missing)?, mask.ok_or_else(missing)?, input, vocabulary)?),
        None => None,
    };
    match (photos, texts) {
        (Some(photos), Some(texts)) if photos.len() != texts.len() => {
            let detail = format!(
                "image has {} rows and input_ids has {}; they go in pairs",
                photos.len(),
                texts.len()
            );
            Err(ApiError::unusable("inputs", detail))
        }
        (Some(photos), Some(texts)) => Ok(photos
            .into_iter()
            .zip(texts)
            .map(|(photo, tokens)| Example { photo: Some(photo), tokens: Some(tokens), activation: false })
            .collect()),
        (photos, texts) => {
            let photos = photos
                .into_iter()
                .flatten()
                .map(|photo| Example { photo: Some(photo), ..Example::default() });
            let texts = texts
                .into_iter()
                .flatten()
                .map(|tokens| Example { tokens: Some(tokens), ..Example::default() });
            Ok(photos.chain(texts).collect())
        }
    }
}

fn names(entry: &ModelEntry) -> &'static str {
    match (entry.image.is_some(), entry.text.is_some()) {
        (true, false) => "image",
        (false, _) => "input_ids and attention_mask",
        (true, true) => "image, input_ids and attention_mask",
    }
}

impl<'a> Input<'a> {
    /// Takes its bytes from the front of what is left of `binary`, where its values are there.
    fn take(index: usize, tensor: InputTensor, binary: &mut &'a [u8]) -> Result<Self, ApiError> {
        let field = format!("inputs[{index}]");
        let InputTensor { name: _, shape, datatype, parameters, data } = tensor;
        let values = match (data, parameters.binary_data_size) {
            (Some(Numbers(numbers)), None) => Values::Numbers(numbers),
            (None, Some(size)) => {
                let (bytes, rest) = binary.split_at_checked(size).ok_or_else(|| {
                    let detail = format!(
                        "binary_data_size is {size}, but only {} bytes are left behind the JSON",
                        binary.len()
                    );
                    ApiError::unusable(format!("{field}.parameters"), detail)
                })?;
                *binary = rest;
                Values::Bytes(bytes)
            }
            _ => {
                return Err(ApiError::unusable(
                    field,
                    "give its values either in data or by binary_data_size",
                ));
            }
        };
        Ok(Self { field, shape, datatype, values })
    }

    fn check_datatype(&self, expected: &str) -> Result<(), ApiError> {
        if self.datatype == expected {
            return Ok(());
        }
        let detail = format!("it is {:?}, the model reads {expected}", self.datatype);
        Err(ApiError::unusable(format!("{}.datatype", self.field), detail))
    }

    fn shape_error(&self, expected: &str) -> ApiError {
        let detail = format!("it is {:?}, the model reads {expected}", self.shape);
        ApiError::unusable(format!("{}.shape", self.field), detail)
    }

    /// The number of rows, within bounds.
    fn rows(&self) -> Result<usize, ApiError> {
        match self.shape.first() {
            Some(&rows @ 1..=MAX_ROWS) => Ok(rows),
            Some(&rows) if rows > MAX_ROWS => Err(ApiError::TooLarge {
                field: Some(format!("{}.shape", self.field)),
                detail: format!("there are {rows} rows, at most {MAX_ROWS} are taken"),
            }),
            _ => Err(self.shape_error("1 row or more")),
        }
    }

    fn count_error(&self, found: usize, unit: &str, expected: usize) -> ApiError {
        let detail = format!("it has {found} {unit}, shape {:?} needs {expected}", self.shape);
        ApiError::unusable(format!("{}.data", self.field), detail)
    }

    /// `count` values of one byte each.
    fn into_bytes(self, count: usize) -> Result<Vec<u8>, ApiError> {
        match &self.values {
            Values::Bytes(bytes) if bytes.len() == count => Ok(bytes.to_vec()),
            Values::Bytes(bytes) => Err(self.count_error(bytes.len(), "bytes", count)),
            Values::Numbers(numbers) if numbers.len() == count => {
                let byte = |(index, &number): (usize, &i32)| {
                    u8::try_from(number).map_err(|_| {
                        let detail = format!("value {index} is {number}, a byte is 0 to 255");
                        ApiError::unusable(format!("{}.data", self.field), detail)
                    })
                };
                numbers.iter().enumerate().map(byte).collect()
            }
            Values::Numbers(numbers) => Err(self.count_error(numbers.len(), "values", count)),
        }
    }

    /// `count` values of 64 bits each.
    fn to_integers(&self, count: usize) -> Result<Vec<i64>, ApiError> {
        match &self.values {
            Values::Numbers(numbers) if numbers.len() == count => {
                Ok(numbers.iter().copied().map(i64::from).collect())
            }
            Values::Numbers(numbers) => Err(self.count_error(numbers.len(), "values", count)),
            Values::Bytes(bytes) => match bytes.as_chunks::<8>() {
                (values, []) if values.len() == count => {
                    Ok(values.iter().map(|value| i64::from_le_bytes(*value)).collect())
                }
                _ => Err(self.count_error(bytes.len(), "bytes", count * 8)),
            },
        }
    }
}

/// uint8 `[rows, height, width, 3]`.
fn photos(image: Input<'_>, input: ImageInput) -> Result<Vec<PhotoTensor>, ApiError> {
    image.check_datatype("UINT8")?;
    let (height, width) = (input.height as usize, input.width as usize);
    let rows = image.rows()?;
    if image.shape != [rows, height, width, 3] {
        return Err(image.shape_error(&format!("[rows, {height}, {width}, 3]")));
    }
    let size = height * width * 3;
    let bytes = image.into_bytes(rows * size)?;
    Ok(bytes.chunks_exact(size).map(PhotoTensor::from_pixels).collect())
}

/// int64 `[rows, tokens]`, both.
fn texts(
    ids: Input<'_>,
    mask: Input<'_>,
    input: TextInput,
    vocabulary: usize,
) -> Result<Vec<Tokens>, ApiError> {
    ids.check_datatype("INT64")?;
    mask.check_datatype("INT64")?;
    let rows = ids.rows()?;
    let length = match ids.shape[..] {
        [_, length] if (1..=input.max_tokens).contains(&length) => length,
        _ => return Err(ids.shape_error(&format!("[rows, 1 to {} tokens]", input.max_tokens))),
    };
    if mask.shape != ids.shape {
        return Err(mask.shape_error(&format!("the shape of input_ids, {:?}", ids.shape)));
    }
    let (id_values, mask_values) = (ids.to_integers(rows * length)?, mask.to_integers(rows * length)?);
    if let Some(id) = id_values.iter().find(|&&id| usize::try_from(id).map_or(true, |id| id >= vocabulary)) {
        let detail = format!("{id} is no token, they are 0 to {}", vocabulary.saturating_sub(1));
        return Err(ApiError::unusable(format!("{}.data", ids.field), detail));
    }
    let cut = |(ids, shown): (&[i64], &[i64])| {
        let length = shown.iter().take_while(|&&shown| shown == 1).count();
        let padded_right = length > 0 && shown.iter().skip(length).all(|&shown| shown == 0);
        let text = ids.get(..length).filter(|_| padded_right);
        text.map(Tokens::from_ids).ok_or_else(|| {
            let detail = "each row must be ones, at least one, then zeros: texts are padded on the right";
            ApiError::unusable(format!("{}.data", mask.field), detail)
        })
    };
    id_values.chunks_exact(length).zip(mask_values.chunks_exact(length)).map(cut).collect()
}
