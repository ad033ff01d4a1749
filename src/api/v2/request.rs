//! What a client of `/v2` sends: JSON, and tensors as bytes behind it where it says so.

use std::fmt;

use axum::http::HeaderMap;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, SeqAccess, Visitor},
};
use utoipa::ToSchema;

use crate::api::{ApiError, body::parse_json};

/// The header that says how many bytes of the body are JSON.
pub(super) const JSON_LENGTH: &str = "inference-header-content-length";
/// Numbers of one tensor in JSON, at most: more than 64 photos have at 260 pixels a side.
const MAX_NUMBERS: usize = 16 << 20;

/// Tensors for a model. Parameters that are not named here have no meaning to this server.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"inputs": [
    {"name": "input_ids", "shape": [1, 4], "datatype": "INT64", "data": [101, 4462, 10682, 102]},
    {"name": "attention_mask", "shape": [1, 4], "datatype": "INT64", "data": [1, 1, 1, 1]}
], "outputs": [{"name": "logits"}]}))]
pub(super) struct InferRequest {
    /// Given back in the answer.
    #[schema(max_length = 200)]
    pub id: Option<String>,
    #[serde(default)]
    pub parameters: RequestParameters,
    pub inputs: Vec<InputTensor>,
    /// Which outputs to give, and how; all of them where there are none.
    #[serde(default)]
    pub outputs: Vec<OutputRequest>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct RequestParameters {
    /// Give outputs as bytes behind the JSON, unless they say otherwise.
    #[serde(default)]
    pub binary_data_output: bool,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InputTensor {
    #[schema(example = "input_ids")]
    pub name: String,
    #[schema(example = json!([1, 4]))]
    pub shape: Vec<usize>,
    #[schema(example = "INT64")]
    pub datatype: String,
    #[serde(default)]
    pub parameters: InputParameters,
    /// In row-major order, flat or nested; absent where the values are bytes behind the JSON.
    #[schema(value_type = Option<Vec<i32>>)]
    pub data: Option<Numbers>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct InputParameters {
    /// How many bytes behind the JSON are this tensor; they follow one another in the order of the inputs.
    pub binary_data_size: Option<usize>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OutputRequest {
    #[schema(example = "logits")]
    pub name: String,
    #[serde(default)]
    pub parameters: OutputParameters,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct OutputParameters {
    /// Give this output as bytes behind the JSON.
    pub binary_data: Option<bool>,
}

/// Whole numbers, flattened. Every input of the models is a byte or a token, so 32 bits hold what can be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Numbers(pub Vec<i32>);

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut numbers = Vec::new();
        Flat(&mut numbers).deserialize(deserializer)?;
        Ok(Self(numbers))
    }
}

/// Appends a number, or the numbers of an array of any depth that the JSON parser allows.
struct Flat<'a>(&'a mut Vec<i32>);

impl Flat<'_> {
    fn push<E: Error>(self, number: Option<i32>) -> Result<(), E> {
        let number = number.ok_or_else(|| E::custom("a number is too large"))?;
        if self.0.len() == MAX_NUMBERS {
            return Err(E::custom(format_args!("there are more than {MAX_NUMBERS} numbers")));
        }
        self.0.push(number);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Flat<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Flat<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("whole numbers, flat or in nested arrays")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.push(i32::try_from(number).ok())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.push(i32::try_from(number).ok())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        while array.next_element_seed(Flat(self.0))?.is_some() {}
        Ok(())
    }
}

/// How many bytes of the body are JSON; all of them where the header is missing.
pub(super) fn json_length(headers: &HeaderMap) -> Result<Option<usize>, ApiError> {
    let Some(value) = headers.get(JSON_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    let malformed = || ApiError::Malformed(format!("the header {JSON_LENGTH} is no number of bytes"));
    length.map(Some).ok_or_else(malformed)
}

/// The request, and the bytes behind its JSON.
pub(super) fn parse(body: &[u8], json_length: Option<usize>) -> Result<(InferRequest, &[u8]), ApiError> {
    let length = json_length.unwrap_or(body.len());
    let (json, binary) = body.split_at_checked(length).ok_or_else(|| {
        let detail =
            format!("the header {JSON_LENGTH} says {length} bytes, but the whole body has {}", body.len());
        ApiError::Malformed(detail)
    })?;
    let request: InferRequest = parse_json(json)?;
    crate::api::body::check_length("id", request.id.as_deref().unwrap_or_default(), 200)?;
    Ok((request, binary))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(json: &str) -> Result<Vec<i32>, String> {
        serde_json::from_str::<Numbers>(json).map(|Numbers(all)| all).map_err(|error| error.to_string())
    }

    #[test]
    fn nested_arrays_are_flattened_in_row_major_order() {
        assert_eq!(numbers("[[1, 2], [3, [4, -5]]]"), Ok(vec![1, 2, 3, 4, -5]));
        assert_eq!(numbers("[1, 2]"), Ok(vec![1, 2]));
        assert_eq!(numbers("[]"), Ok(vec![]));
    }

    #[test]
    fn what_is_no_whole_number_is_refused() {
        for json in ["[1.5]", "[true]", "[\"1\"]", "[null]", "[4294967296]", "{}"] {
            assert!(numbers(json).is_err(), "{json}");
        }
    }

    #[test]
    fn an_array_nested_without_end_is_refused() {
        assert!(numbers(&"[".repeat(100_000)).unwrap_err().contains("recursion"));
    }
}
