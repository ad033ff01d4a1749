//! `POST /predict/image`, `/predict/text`, `/predict/combined`: the form of the service that this one replaces, so that
//! its clients need not change.

use axum::{
    Form, Json,
    extract::{FromRequest, Multipart, Request, State},
    http::StatusCode,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError, AppState, Problem, Serving,
    body::{MAX_DESCRIPTION, arrival_error, check_length, content_type},
    form::{self, form_error},
};
use crate::{
    inference::CategoryProbability,
    intake::{Question, Turn},
    telemetry::metrics,
};

pub(super) fn routes() -> OpenApiRouter<Serving> {
    OpenApiRouter::new()
        .routes(routes!(predict_image))
        .routes(routes!(predict_text))
        .routes(routes!(predict_combined))
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the multipart form in the OpenAPI document")]
struct OlderImageForm {
    /// A JPEG, PNG or WebP file.
    #[schema(value_type = String, format = Binary)]
    image: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"text": "Raleigh road bike, 56 cm frame, new tyres"}))]
struct OlderTextForm {
    /// Title and description in one.
    #[schema(max_length = 50000)]
    text: String,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the multipart form in the OpenAPI document")]
struct OlderCombinedForm {
    /// A JPEG, PNG or WebP file.
    #[schema(value_type = String, format = Binary)]
    image: String,
    /// Title and description in one.
    #[schema(max_length = 50000, example = "Three seater sofa, grey fabric")]
    text: String,
}

/// The older service's answer.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(example = json!({"Category": "Home & Garden", "Probabilities": {"Home & Garden": 0.93, "Other Goods": 0.07}}))]
struct OlderAnswer {
    category: String,
    /// Of every category, the most probable first; they add up to 1.
    #[serde(serialize_with = "as_object")]
    #[schema(value_type = std::collections::HashMap<String, f32>)]
    probabilities: Vec<CategoryProbability>,
}

/// An object in the order of the list, which a map would lose.
fn as_object<S: Serializer>(probabilities: &[CategoryProbability], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(probabilities.iter().map(|entry| (&entry.category, entry.probability)))
}

/// Predict from a photo, in the older service's form
#[utoipa::path(post, path = "/predict/image", tag = "older", operation_id = "olderPredictImage",
    request_body(content = OlderImageForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The category and the probability of each", body = OlderAnswer),
        (status = "4XX", description = "The request cannot be answered as it is", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The server cannot answer", body = Problem, content_type = "application/problem+json")
    ))]
async fn predict_image(
    State(state): State<AppState>,
    request: Request,
) -> Result<Json<OlderAnswer>, ApiError> {
    let Fields { image, text } = read_form(&state, request).await?;
    if text.is_some() {
        return Err(ApiError::unusable(
            "text",
            "this route takes a photo alone; /predict/combined takes both",
        ));
    }
    predict(&state, "", vec![needed(image, "image")?]).await
}

/// Predict from a text, in the older service's form
#[utoipa::path(post, path = "/predict/text", tag = "older", operation_id = "olderPredictText",
    request_body(content((OlderTextForm = "multipart/form-data"), (OlderTextForm = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "The category and the probability of each", body = OlderAnswer),
        (status = "4XX", description = "The request cannot be answered as it is", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The server cannot answer", body = Problem, content_type = "application/problem+json")
    ))]
async fn predict_text(
    State(state): State<AppState>,
    request: Request,
) -> Result<Json<OlderAnswer>, ApiError> {
    // A form without a file is what most HTTP libraries send URL-encoded.
    if content_type(request.headers()).as_deref() == Some("application/x-www-form-urlencoded") {
        let Form(OlderTextForm { text }) =
            Form::from_request(request, &state).await.map_err(|rejection| match rejection.status() {
                StatusCode::UNPROCESSABLE_ENTITY => ApiError::unusable("text", rejection.body_text()),
                status => arrival_error("form", status, &rejection, rejection.body_text()),
            })?;
        return predict(&state, &text, Vec::new()).await;
    }
    let Fields { image, text } = read_form(&state, request).await?;
    if image.is_some() {
        return Err(ApiError::unusable(
            "image",
            "this route takes a text alone; /predict/combined takes both",
        ));
    }
    predict(&state, &needed(text, "text")?, Vec::new()).await
}

/// Predict from a photo and a text, in the older service's form
#[utoipa::path(post, path = "/predict/combined", tag = "older", operation_id = "olderPredictCombined",
    request_body(content = OlderCombinedForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The category and the probability of each", body = OlderAnswer),
        (status = "4XX", description = "The request cannot be answered as it is", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The server cannot answer", body = Problem, content_type = "application/problem+json")
    ))]
async fn predict_combined(
    State(state): State<AppState>,
    request: Request,
) -> Result<Json<OlderAnswer>, ApiError> {
    let Fields { image, text } = read_form(&state, request).await?;
    predict(&state, &needed(text, "text")?, vec![needed(image, "image")?]).await
}

async fn predict(state: &AppState, text: &str, photos: Vec<Bytes>) -> Result<Json<OlderAnswer>, ApiError> {
    check_length("text", text, MAX_DESCRIPTION)?;
    if photos.is_empty() && text.trim().is_empty() {
        return Err(ApiError::unusable("text", "it is blank"));
    }
    let question = Question { description: text, photos, ..Question::default() };
    let understood = state.intake().understand(question, Turn::Now, state.deadline()).await;
    let inferred = understood.map_err(|error| error.at(|_| "image".into()))?;
    let prediction = state.inference().predict(&inferred, usize::MAX);
    metrics::prediction(prediction.model, &prediction.category, prediction.confidence);
    Ok(Json(OlderAnswer { category: prediction.category, probabilities: prediction.predictions }))
}

fn needed<T>(field: Option<T>, name: &str) -> Result<T, ApiError> {
    field.ok_or_else(|| ApiError::unusable(name, "the form has no such field"))
}

#[derive(Default)]
pub(super) struct Fields {
    image: Option<Bytes>,
    text: Option<String>,
}

async fn read_form(state: &AppState, request: Request) -> Result<Fields, ApiError> {
    if content_type(request.headers()).as_deref() != Some("multipart/form-data") {
        let detail = "send the fields as multipart/form-data".into();
        return Err(ApiError::UnsupportedType { field: None, detail });
    }
    form::read(state, request, read_fields).await
}

/// Takes each field once. Fields that the older service did not know it ignored, so they are passed over here too.
pub(super) async fn read_fields(form: &mut Multipart) -> Result<Fields, ApiError> {
    let mut fields = Fields::default();
    while let Some(field) = form.next_field().await.map_err(form_error)? {
        match field.name() {
            Some("image") if fields.image.is_some() => {
                return Err(ApiError::unusable("image", "there are two; this route takes one"));
            }
            Some("image") => fields.image = Some(field.bytes().await.map_err(form_error)?),
            Some("text") => fields.text = Some(field.text().await.map_err(form_error)?),
            _ => {}
        }
    }
    Ok(fields)
}
