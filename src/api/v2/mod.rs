//! `/v2`: the Open Inference Protocol of KServe and Triton, for clients and load tools that speak it.
//!
//! It reaches the models themselves: tensors in, tensors out, as `models/manifest.json` describes them. [`request`] is what
//! clients send, [`tensor`] checks it against a model's inputs, [`answer`] writes the outputs. Tensors come and go as JSON or,
//! after the JSON, as bytes (the binary tensor data extension).
//!
//! Source: <https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md>

mod answer;
mod request;
mod tensor;

use axum::{
    Json,
    extract::{Path, Request, State},
    http::{StatusCode, header},
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{answer::InferAnswer, request::InferRequest};
use super::{ApiError, AppState, Problem, Serving, body::read_body};
use crate::{
    artefacts::{ImageInput, Manifest, ModelEntry, TextInput},
    inference::{Inference, Model},
};

/// The output that is only read from a model's run where it is wanted.
const ACTIVATION: &str = "activation";

/// Routes that need no key: a probe has none.
pub(super) fn probes() -> OpenApiRouter<Serving> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready))
}

pub(super) fn routes() -> OpenApiRouter<Serving> {
    OpenApiRouter::new()
        .routes(routes!(server))
        .routes(routes!(model))
        .routes(routes!(model_ready))
        .routes(routes!(infer))
}

#[derive(Serialize, ToSchema)]
struct ServerMetadata {
    #[schema(example = "marketrank")]
    name: &'static str,
    version: &'static str,
    #[schema(example = json!(["binary_tensor_data"]))]
    extensions: [&'static str; 1],
}

#[derive(Serialize, ToSchema)]
struct ModelMetadata {
    name: &'static str,
    versions: Vec<String>,
    #[schema(example = "onnxruntime_onnx")]
    platform: &'static str,
    inputs: Vec<TensorMetadata>,
    outputs: Vec<TensorMetadata>,
}

/// A tensor that a model reads or writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
struct TensorMetadata {
    name: &'static str,
    #[schema(example = "INT64")]
    datatype: &'static str,
    /// -1 is any size.
    shape: Vec<i64>,
}

/// The server and what it can do beyond the protocol
#[utoipa::path(get, path = "/v2", tag = "v2", operation_id = "v2Server", responses((status = 200, description = "The server", body = ServerMetadata)))]
async fn server() -> Json<ServerMetadata> {
    Json(ServerMetadata {
        name: "marketrank",
        version: env!("CARGO_PKG_VERSION"),
        extensions: ["binary_tensor_data"],
    })
}

/// The process runs
#[utoipa::path(get, path = "/v2/health/live", tag = "v2", operation_id = "v2Live", responses((status = 200, description = "It runs")))]
async fn live() -> StatusCode {
    StatusCode::OK
}

/// The models answer; refused while the server stops
#[utoipa::path(get, path = "/v2/health/ready", tag = "v2", operation_id = "v2Ready",
    responses((status = 200, description = "They answer"), (status = 503, description = "The server stops", body = Problem, content_type = "application/problem+json")))]
async fn ready(State(state): State<AppState>) -> Result<StatusCode, ApiError> {
    check_running(&state)
}

/// A model's inputs and outputs
#[utoipa::path(get, path = "/v2/models/{name}", tag = "v2", operation_id = "v2Model",
    params(("name" = String, Path, description = "`image`, `text` or `combined`", example = "text")),
    responses(
        (status = 200, description = "The model", body = ModelMetadata),
        (status = "4XX", description = "There is no such model", body = Problem, content_type = "application/problem+json")
    ))]
async fn model(
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<Json<ModelMetadata>, ApiError> {
    let model = find(&name)?;
    let manifest = state.inference().manifest();
    Ok(Json(ModelMetadata {
        name: model.name(),
        versions: vec![manifest.version.clone()],
        platform: "onnxruntime_onnx",
        inputs: inputs(manifest, model),
        outputs: outputs(state.inference(), model),
    }))
}

/// A model answers
#[utoipa::path(get, path = "/v2/models/{name}/ready", tag = "v2", operation_id = "v2ModelReady",
    params(("name" = String, Path, description = "`image`, `text` or `combined`", example = "text")),
    responses(
        (status = 200, description = "It answers"),
        (status = "4XX", description = "There is no such model", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The server stops", body = Problem, content_type = "application/problem+json")
    ))]
async fn model_ready(
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    find(&name)?;
    check_running(&state)
}

/// Run a model on tensors
///
/// At most 64 rows. Texts are padded on the right, with 0 in `attention_mask`. Tensors may follow the JSON as little-endian bytes:
/// then `Inference-Header-Content-Length` says how long the JSON is, and each such input has `binary_data_size` among its
/// parameters. Outputs come so where `binary_data` or, for all of them, `binary_data_output` is true.
#[utoipa::path(post, path = "/v2/models/{name}/infer", tag = "v2", operation_id = "v2Infer",
    params(("name" = String, Path, description = "`image`, `text` or `combined`", example = "text")),
    request_body(content((InferRequest = "application/json"), (Vec<u8> = "application/octet-stream"))),
    responses(
        (status = 200, description = "A row of outputs for each row of inputs", content((InferAnswer = "application/json"), (Vec<u8> = "application/octet-stream"))),
        (status = "4XX", description = "The request cannot be answered as it is", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The server cannot answer", body = Problem, content_type = "application/problem+json")
    ))]
async fn infer(
    State(state): State<AppState>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let model = find(&name)?;
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        let detail = "send the body as it is, without a content-encoding".into();
        return Err(ApiError::UnsupportedType { field: None, detail });
    }
    let json_length = request::json_length(request.headers())?;
    let body = read_body(request, &state).await?;
    let (request, binary) = request::parse(&body, json_length)?;
    let manifest = state.inference().manifest();
    let outputs = outputs(state.inference(), model);
    let wanted = answer::wanted(&request, &outputs)?;
    let vocabulary = state.inference().text_encoder().vocabulary();
    let mut examples = tensor::examples(manifest.model(model), vocabulary, request.inputs, binary)?;
    let activation = wanted.iter().any(|output| output.name() == ACTIVATION);
    examples.iter_mut().for_each(|example| example.activation = activation);
    let rows = state.inference().run(model, examples, state.deadline()).await?;
    answer::write(model, &manifest.version, request.id, &wanted, &rows)
}

fn check_running(state: &AppState) -> Result<StatusCode, ApiError> {
    if state.stopping() {
        Err(ApiError::NotReady("the server is stopping".into()))
    } else {
        Ok(StatusCode::OK)
    }
}

fn find(name: &str) -> Result<Model, ApiError> {
    let unknown =
        || ApiError::NotFound(format!("there is no model {name:?}; there are image, text and combined"));
    Model::ALL.into_iter().find(|model| model.name() == name).ok_or_else(unknown)
}

/// Reads a request with this many bytes of JSON as that of a small model, for [`crate::fuzz`].
pub(super) fn read_tensors(body: &[u8], json_length: usize) {
    let entry = ModelEntry {
        backbone: String::new(),
        image: Some(ImageInput { height: 8, width: 8, letterbox: [0; 3] }),
        text: Some(TextInput { max_tokens: 16 }),
        variants: Vec::new(),
    };
    if let Ok((request, binary)) = request::parse(body, Some(json_length)) {
        let _ = tensor::examples(&entry, 30_522, request.inputs, binary);
    }
}

/// What the model reads, by the artefact contract.
fn inputs(manifest: &Manifest, model: Model) -> Vec<TensorMetadata> {
    let entry = manifest.model(model);
    let image = entry.image.map(|input| TensorMetadata {
        name: "image",
        datatype: "UINT8",
        shape: vec![-1, input.height.into(), input.width.into(), 3],
    });
    let tokens = |name| TensorMetadata { name, datatype: "INT64", shape: vec![-1, -1] };
    let text = entry.text.map(|_| [tokens("input_ids"), tokens("attention_mask")]);
    image.into_iter().chain(text.into_iter().flatten()).collect()
}

/// What the model writes, by the artefact contract, and its activation maps where it has them.
fn outputs(inference: &Inference, model: Model) -> Vec<TensorMetadata> {
    let manifest = inference.manifest();
    let output =
        |name, width: usize| TensorMetadata { name, datatype: "FP32", shape: vec![-1, width as i64] };
    let mut outputs = vec![
        output("logits", manifest.categories.len()),
        output("subcategory_logits", manifest.subcategories.len()),
        output("embedding", manifest.embedding_width),
    ];
    if manifest.model(model).text.is_some() {
        outputs.push(output("log_price", 3));
    }
    if let Some([rows, columns]) = inference.activation_size(model) {
        let shape = vec![-1, manifest.categories.len() as i64, rows as i64, columns as i64];
        outputs.push(TensorMetadata { name: ACTIVATION, datatype: "FP32", shape });
    }
    outputs
}
