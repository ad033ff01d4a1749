//! `POST /v1/products`: many products, as a JSON array or as NDJSON of any length.
//!
//! NDJSON is read and answered line by line: what is in memory at a time is one chunk of lines, however many there are.

mod lines;

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use futures::stream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(in crate::api) use self::lines::{Line, Lines};
use super::take_in;
use crate::{
    api::{
        ApiError, AppState, Problem,
        body::{content_type, is_json, parse_json, read_body},
        body_memory::BodyShare,
        error::request_id,
        listing::ProductInput,
    },
    catalogue::{ProductId, StoredProduct},
};

/// Products of one JSON array, at most.
const MAX_ARRAY: usize = 10_000;
/// Products embedded and made durable together.
const CHUNK: usize = 32;
/// Bytes of lines that are read before they are stored, however few lines they are.
const CHUNK_BYTES: usize = 16 << 20;

/// What became of each product of a bulk request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BulkResponse {
    stored: usize,
    failed: usize,
    /// One for each product, in the order of the request.
    results: Vec<BulkResult>,
}

#[derive(Debug, Serialize, ToSchema)]
struct BulkResult {
    /// Position in the array, or line of the NDJSON, counted from 0; blank lines are not counted.
    index: usize,
    /// Absent where it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<ProductId>,
    #[schema(example = "stored")]
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Problem>,
}

/// An element of a bulk request whose own fields are checked later, so that one bad element spoils no other.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Element(Box<serde_json::value::RawValue>);

/// Store many products
///
/// Each product succeeds or fails on its own. A JSON array (at most 10,000) is answered in one piece. NDJSON
/// (`application/x-ndjson`, a product a line, of any length) is answered with NDJSON while it is read: a line for each
/// product, then `{"stored": n, "failed": n}`; read the answer while you send.
#[utoipa::path(post, path = "/v1/products", tag = "products", operation_id = "postProducts",
    request_body(content(
        (Vec<ProductInput> = "application/json"),
        (String = "application/x-ndjson", example = json!("{\"id\": \"sofa-002\", \"title\": \"Two-seater sofa\"}\n{\"id\": \"lamp-001\", \"title\": \"Desk lamp\", \"price\": 8}\n"))
    )),
    responses(
        (status = 200, description = "What became of each", content((BulkResponse = "application/json"), (String = "application/x-ndjson"))),
        (status = "4XX", description = "The request cannot be answered as it is", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The server cannot answer", body = Problem, content_type = "application/problem+json")
    ))]
pub(super) async fn post_products(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, ApiError> {
    let request_id = request_id(&request).to_owned();
    if is_json(request.headers()) {
        let body = read_body(request, &state).await?;
        return Ok(Json(store_array(&state, &body, &request_id).await?).into_response());
    }
    match content_type(request.headers()).as_deref() {
        Some("application/x-ndjson" | "application/jsonl") => {
            let (head, body) = request.into_parts();
            let share = head.extensions.get::<BodyShare>().cloned();
            let answer = Body::from_stream(answer_lines(state, body, share, request_id));
            Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], answer).into_response())
        }
        _ => {
            let detail = "send application/json (an array) or application/x-ndjson (a product a line)".into();
            Err(ApiError::UnsupportedType { field: None, detail })
        }
    }
}

async fn store_array(state: &AppState, body: &[u8], request_id: &str) -> Result<BulkResponse, ApiError> {
    let elements: Vec<Element> = parse_json(body)?;
    if elements.len() > MAX_ARRAY {
        let detail = format!(
            "there are {} products, at most {MAX_ARRAY} are taken as an array; send them as NDJSON",
            elements.len()
        );
        return Err(ApiError::TooLarge { field: None, detail });
    }
    let mut results = Vec::with_capacity(elements.len());
    for chunk in elements.chunks(CHUNK) {
        let inputs = chunk.iter().map(|Element(element)| parse_json(element.get().as_bytes())).collect();
        results.extend(store_chunk(state, inputs, results.len(), request_id).await);
    }
    let failed = results.iter().filter(|result| result.error.is_some()).count();
    Ok(BulkResponse { stored: results.len() - failed, failed, results })
}

/// What is left to do of an NDJSON request.
struct Pending {
    lines: Lines,
    /// The memory that the lines take until they are stored.
    share: Option<BodyShare>,
    read: usize,
    failed: usize,
    request_id: String,
    ended: bool,
}

/// A piece of the answer for each chunk of lines. Whoever reads the answer slowly slows the reading of the lines.
fn answer_lines(
    state: AppState,
    body: Body,
    share: Option<BodyShare>,
    request_id: String,
) -> impl futures::Stream<Item = serde_json::Result<Bytes>> {
    let lines = Lines::of(body, share.clone());
    let pending = Pending { lines, share, read: 0, failed: 0, request_id, ended: false };
    stream::unfold((state, pending), async |(state, mut pending)| {
        if pending.ended {
            return None;
        }
        let answer = next_piece(&state, &mut pending).await;
        Some((answer, (state, pending)))
    })
}

async fn next_piece(state: &AppState, pending: &mut Pending) -> serde_json::Result<Bytes> {
    let mut inputs = Vec::with_capacity(CHUNK);
    let mut bytes = 0;
    while inputs.len() < CHUNK && bytes < CHUNK_BYTES {
        let input = match pending.lines.next().await {
            Line::Whole(line) => {
                bytes += line.len();
                parse_json(&line)
            }
            Line::TooLong => {
                let detail = format!("the line is longer than {} bytes; send smaller photos", lines::LONGEST);
                Err(ApiError::TooLarge { field: None, detail })
            }
            Line::Broken(error) => {
                pending.ended = true;
                Err(error)
            }
            Line::End => {
                pending.ended = true;
                break;
            }
        };
        inputs.push(input);
        if pending.ended {
            break;
        }
    }
    let results = store_chunk(state, inputs, pending.read, &pending.request_id).await;
    pending.share.iter().for_each(BodyShare::give_back);
    pending.read += results.len();
    pending.failed += results.iter().filter(|result| result.error.is_some()).count();
    let mut answer = Vec::new();
    for result in results {
        serde_json::to_writer(&mut answer, &result)?;
        answer.push(b'\n');
    }
    if pending.ended {
        let stored = pending.read - pending.failed;
        serde_json::to_writer(&mut answer, &serde_json::json!({"stored": stored, "failed": pending.failed}))?;
        answer.push(b'\n');
    }
    Ok(answer.into())
}

/// Embeds the products of one chunk together and stores those that are good in one write. Of two with one id in a
/// chunk the later one stays, as if they had been sent one after the other.
async fn store_chunk(
    state: &AppState,
    chunk: Vec<Result<ProductInput, ApiError>>,
    first_index: usize,
    request_id: &str,
) -> Vec<BulkResult> {
    let outcomes = embed_and_store(state, chunk).await;
    let result = |(index, (id, outcome)): (usize, (Option<ProductId>, Result<(), ApiError>))| {
        let error = outcome.err().map(|error| error.problem(request_id));
        let status = if error.is_none() { "stored" } else { "failed" };
        BulkResult { index: first_index + index, id, status, error }
    };
    outcomes.into_iter().enumerate().map(result).collect()
}

async fn embed_and_store(
    state: &AppState,
    chunk: Vec<Result<ProductInput, ApiError>>,
) -> Vec<(Option<ProductId>, Result<(), ApiError>)> {
    let ids: Vec<ProductId> = chunk.iter().flatten().filter_map(|input| input.id.clone()).collect();
    let before = match state.catalogue().get(&ids).await {
        Ok(before) => before,
        Err(error) => {
            let id = |input: Result<ProductInput, ApiError>| input.ok().and_then(|input| input.id);
            return chunk.into_iter().map(|input| (id(input), Err(ApiError::from(&error)))).collect();
        }
    };
    let mut before = ids.into_iter().zip(before);
    let inputs = chunk.into_iter().map(|input| {
        // One for each input that has an id, in their order.
        let before = match &input {
            Ok(ProductInput { id: Some(_), .. }) => before.next().and_then(|(_, before)| before),
            _ => None,
        };
        (input, before)
    });
    let embedded = futures::future::join_all(inputs.map(|(input, before)| async {
        match input {
            Ok(input) => (input.id.clone(), take_in(state, input, before).await),
            Err(error) => (None, Err(error)),
        }
    }))
    .await;
    let mut good = Vec::new();
    let mut outcomes = Vec::with_capacity(embedded.len());
    for (id, outcome) in embedded {
        outcomes.push((
            id,
            outcome.map(|stored| {
                good.retain(|other: &StoredProduct| other.product.id != stored.product.id);
                good.push(stored);
            }),
        ));
    }
    if !good.is_empty()
        && let Err(error) = state.catalogue().upsert(good).await
    {
        for (_, outcome) in outcomes.iter_mut().filter(|(_, outcome)| outcome.is_ok()) {
            *outcome = Err(ApiError::from(&error));
        }
    }
    outcomes
}
