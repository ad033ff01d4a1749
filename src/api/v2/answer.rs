//! Output tensors: JSON, or bytes behind it.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{ACTIVATION, TensorMetadata, request::InferRequest, request::JSON_LENGTH};
use crate::{
    api::ApiError,
    inference::{Activation, Model, Outputs},
};

/// What a model said of each row.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InferAnswer {
    #[schema(example = "text")]
    model_name: &'static str,
    model_version: String,
    /// Of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    outputs: Vec<OutputTensor>,
}

#[derive(Debug, Serialize, ToSchema)]
struct OutputTensor {
    #[schema(example = "logits")]
    name: &'static str,
    #[schema(example = "FP32")]
    datatype: &'static str,
    #[schema(example = json!([1, 13]))]
    shape: Vec<usize>,
    /// In row-major order, flat; absent where the values are bytes behind the JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<OutputSize>,
}

#[derive(Debug, Serialize, ToSchema)]
struct OutputSize {
    /// How many bytes behind the JSON are this tensor: little-endian, one output after the other.
    binary_data_size: usize,
}

/// An output to give, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted<'a> {
    output: &'a TensorMetadata,
    binary: bool,
}

impl Wanted<'_> {
    pub(super) fn name(&self) -> &'static str {
        self.output.name
    }

    /// With this many rows.
    fn shape(&self, rows: usize) -> Vec<usize> {
        let of_a_row = self.output.shape.iter().skip(1).filter_map(|&width| usize::try_from(width).ok());
        std::iter::once(rows).chain(of_a_row).collect()
    }
}

/// What the request asks for, or all there is.
pub(super) fn wanted<'a>(
    request: &InferRequest,
    outputs: &'a [TensorMetadata],
) -> Result<Vec<Wanted<'a>>, ApiError> {
    let binary = request.parameters.binary_data_output;
    if request.outputs.is_empty() {
        return Ok(outputs.iter().map(|output| Wanted { output, binary }).collect());
    }
    let mut wanted: Vec<Wanted<'_>> = Vec::with_capacity(outputs.len());
    for (index, asked) in request.outputs.iter().enumerate() {
        let refuse = |detail: String| ApiError::unusable(format!("outputs[{index}].name"), detail);
        let Some(output) = outputs.iter().find(|output| output.name == asked.name) else {
            let names = outputs.iter().map(|output| output.name).collect::<Vec<_>>().join(", ");
            return Err(refuse(format!("the model has no output {:?}; it gives {names}", asked.name)));
        };
        if wanted.iter().any(|before| before.name() == output.name) {
            return Err(refuse(format!("{} was asked for before", output.name)));
        }
        wanted.push(Wanted { output, binary: asked.parameters.binary_data.unwrap_or(binary) });
    }
    Ok(wanted)
}

pub(super) fn write(
    model: Model,
    version: &str,
    id: Option<String>,
    wanted: &[Wanted<'_>],
    rows: &[Outputs],
) -> Result<Response, ApiError> {
    let mut binary = Vec::new();
    let outputs = wanted
        .iter()
        .map(|output| {
            let name = output.name();
            let values: Vec<f32> = rows.iter().flat_map(|row| column(row, name)).copied().collect();
            let (data, parameters) = if output.binary {
                binary.extend(values.iter().flat_map(|value| value.to_le_bytes()));
                (None, Some(OutputSize { binary_data_size: values.len() * size_of::<f32>() }))
            } else {
                (Some(values), None)
            };
            OutputTensor { name, datatype: "FP32", shape: output.shape(rows.len()), data, parameters }
        })
        .collect();
    let answer = InferAnswer { model_name: model.name(), model_version: version.to_owned(), id, outputs };
    if !wanted.iter().any(|output| output.binary) {
        return Ok(Json(answer).into_response());
    }
    let mut body = serde_json::to_vec(&answer).map_err(|error| ApiError::Internal(error.to_string()))?;
    let length = HeaderValue::from(body.len());
    body.extend(binary);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (HeaderName::from_static(JSON_LENGTH), length),
    ];
    Ok((headers, body).into_response())
}

fn column<'a>(row: &'a Outputs, name: &str) -> &'a [f32] {
    match name {
        "logits" => &row.logits,
        "subcategory_logits" => &row.subcategory_logits,
        "embedding" => &row.embedding,
        ACTIVATION => row.activation.as_ref().map_or(&[], Activation::values),
        _ => row.log_price.as_ref().map_or(&[], |prices| prices.as_slice()),
    }
}
