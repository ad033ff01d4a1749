//! `POST /v1/predict-category`: which category does this listing belong to?

use std::time::Instant;

use axum::{
    Json,
    extract::{FromRequest, Multipart, Request, State},
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError, AppState, ModelInfo, Problem, Serving,
    body::{ApiJson, MAX_DESCRIPTION, MAX_TITLE, check_length, content_type},
    form::{self, form_error},
    photos::PhotoSource,
};
use crate::{
    inference::{CategoryProbability, HeatMap, Model, Prediction, PriceBand},
    intake::{self, MAX_PHOTOS, Question, Turn},
    telemetry::metrics,
};

/// Categories named in an answer where the request does not say.
const DEFAULT_TOP_K: usize = 5;
/// Listings in one batch, at most.
const MAX_BATCH: usize = 64;
/// Of which so many have their photos in memory.
const ITEMS_AT_ONCE: usize = 16;

pub(super) fn routes() -> OpenApiRouter<Serving> {
    OpenApiRouter::new().routes(routes!(predict_category)).routes(routes!(predict_category_batch))
}

/// A listing to be categorised: a title, a description, photos, or any of them together.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"title": "Raleigh road bike", "description": "56 cm frame, new tyres, some rust on the chain"}))]
struct PredictRequest {
    #[schema(max_length = 1000)]
    title: Option<String>,
    #[schema(max_length = 50000)]
    description: Option<String>,
    /// At most 8.
    #[serde(default)]
    #[schema(max_items = 8)]
    images: Vec<PhotoSource>,
    /// How many categories to name, best first.
    #[schema(minimum = 1, maximum = 100, default = 5)]
    top_k: Option<usize>,
    /// Whether to say where in the photos the category was found.
    #[serde(default)]
    activation: bool,
}

/// The same listing as a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the multipart form in the OpenAPI document")]
struct PredictForm {
    #[schema(example = "Three seater sofa")]
    title: Option<String>,
    #[schema(example = "Grey fabric, smoke-free home")]
    description: Option<String>,
    top_k: Option<usize>,
    activation: Option<bool>,
    /// Photo files; repeat the field for more, at most 8.
    #[schema(value_type = Vec<String>, format = Binary)]
    image: Vec<String>,
}

/// A listing with its photos brought in.
#[derive(Default)]
pub(super) struct Listing {
    title: String,
    description: String,
    photos: Vec<Bytes>,
    top_k: Option<usize>,
    activation: bool,
}

/// The predicted category of one listing.
#[derive(Debug, Serialize, ToSchema)]
struct PredictResponse {
    category: String,
    /// Lies inside `category`; null where the models know no subcategory there.
    subcategory: Option<String>,
    /// Calibrated probability of `category`.
    confidence: f32,
    /// True under the confidence at which the validation set is 95 % right.
    needs_review: bool,
    /// The most probable categories, best first.
    predictions: Vec<CategoryScore>,
    /// Where the price is expected; absent when only photos were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<PriceRange>,
    /// Where the category was found in each photo, in the order of the photos; absent unless asked for, and where there are
    /// no photos or the model cannot say.
    #[serde(skip_serializing_if = "Option::is_none")]
    activation: Option<Vec<ActivationMap>>,
    model: ModelInfo,
}

/// A class activation map (Zhou et al. 2016): a grid to be stretched over the upright photo.
#[derive(Debug, Serialize, ToSchema)]
struct ActivationMap {
    /// Cells from top to bottom.
    height: usize,
    /// Cells from left to right.
    width: usize,
    /// Row by row from the top, `height` times `width` values: 0 where nothing speaks for `category`; 1 would be what
    /// speaks most for any category in all the photos.
    #[schema(example = json!([0.0, 0.25, 1.0, 0.5]))]
    values: Vec<f32>,
}

impl From<HeatMap> for ActivationMap {
    fn from(HeatMap { height, width, values }: HeatMap) -> Self {
        // Three digits are more than an eye can tell apart.
        let rounded = values.into_iter().map(|value| (value * 1e3).round() / 1e3);
        Self { height, width, values: rounded.collect() }
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct CategoryScore {
    category: String,
    probability: f32,
}

/// One price in ten is expected below `low`, one in ten above `high`. An amount that the text names ("£40 ono") counts as far as
/// the words around it make it the price.
#[derive(Debug, Serialize, ToSchema)]
struct PriceRange {
    #[schema(example = "GBP")]
    currency: String,
    low: f64,
    median: f64,
    high: f64,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BatchRequest {
    /// At most 64.
    #[schema(min_items = 1, max_items = 64)]
    items: Vec<PredictRequest>,
}

#[derive(Debug, Serialize, ToSchema)]
struct BatchResponse {
    /// One for each item, in the order of the request.
    results: Vec<BatchResult>,
}

impl PredictRequest {
    /// The model that will be asked; none where there is nothing to ask about.
    fn model(&self) -> Option<Model> {
        let [title, description] =
            [&self.title, &self.description].map(|text| text.as_deref().unwrap_or_default());
        intake::model(title, description, self.images.len()).ok()
    }
}

/// What became of one item: its prediction or its own error.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum BatchResult {
    Prediction(PredictResponse),
    Error { error: Problem },
}

/// Predict the category of a listing
///
/// With only text the text model answers, with only photos the image model, with both the combined one; several photos
/// are averaged. With `activation`, the answer also says where in each photo the category was found.
#[utoipa::path(post, path = "/v1/predict-category", tag = "predict", operation_id = "predictCategory",
    request_body(content((PredictRequest = "application/json"), (PredictForm = "multipart/form-data"))),
    responses(
        (status = 200, description = "The category and its runners-up", body = PredictResponse),
        (status = "4XX", description = "The request cannot be answered as it is", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The server cannot answer", body = Problem, content_type = "application/problem+json")
    ))]
async fn predict_category(
    State(state): State<AppState>,
    request: Request,
) -> Result<Json<PredictResponse>, ApiError> {
    let prediction = match content_type(request.headers()).as_deref() {
        Some("multipart/form-data") => {
            let listing = form::read(&state, request, read_fields).await?;
            predict(&state, listing, Turn::Now, state.deadline()).await?
        }
        _ => {
            let ApiJson(request) = ApiJson::from_request(request, &state).await?;
            answer(&state, request, Turn::Now, state.deadline()).await?
        }
    };
    Ok(Json(prediction))
}

/// Predict the categories of many listings
#[utoipa::path(post, path = "/v1/predict-category/batch", tag = "predict", operation_id = "predictCategoryBatch",
    request_body = BatchRequest,
    responses(
        (status = 200, description = "One result for each item", body = BatchResponse),
        (status = "4XX", description = "The request cannot be answered as it is", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The server cannot answer", body = Problem, content_type = "application/problem+json")
    ))]
async fn predict_category_batch(
    State(state): State<AppState>,
    request: Request,
) -> Result<Json<BatchResponse>, ApiError> {
    let request_id = super::error::request_id(&request).to_owned();
    let ApiJson(BatchRequest { items }) = ApiJson::from_request(request, &state).await?;
    match items.len() {
        0 => return Err(ApiError::unusable("items", "there are no items; give at least one")),
        count if count > MAX_BATCH => {
            let detail = format!("there are {count} items, at most {MAX_BATCH} are taken");
            return Err(ApiError::TooLarge { field: Some("items".into()), detail });
        }
        _ => {}
    }
    // Let in or refused as a whole: were each measured against its own siblings, a long batch would never be answered.
    if let Some(model) = items.iter().find_map(PredictRequest::model) {
        state.inference().admit(model, 1)?;
    }
    let deadline = state.deadline();
    let answers = stream::iter(items).map(|item| answer(&state, item, Turn::Patient, deadline));
    let answers: Vec<_> = answers.buffered(ITEMS_AT_ONCE).collect().await;
    let results = answers.into_iter().map(|answer| match answer {
        Ok(prediction) => BatchResult::Prediction(prediction),
        Err(error) => BatchResult::Error { error: error.problem(&request_id) },
    });
    Ok(Json(BatchResponse { results: results.collect() }))
}

async fn answer(
    state: &AppState,
    request: PredictRequest,
    turn: Turn,
    deadline: Instant,
) -> Result<PredictResponse, ApiError> {
    let listing = bring_in(state, request, deadline).await?;
    predict(state, listing, turn, deadline).await
}

async fn predict(
    state: &AppState,
    listing: Listing,
    turn: Turn,
    deadline: Instant,
) -> Result<PredictResponse, ApiError> {
    let Listing { title, description, photos, top_k, activation } = listing;
    check_length("title", &title, MAX_TITLE)?;
    check_length("description", &description, MAX_DESCRIPTION)?;
    let top_k = top_k.unwrap_or(DEFAULT_TOP_K);
    if !(1..=100).contains(&top_k) {
        return Err(ApiError::unusable("top_k", format!("it is {top_k}, it must be from 1 to 100")));
    }
    let question = Question { title: &title, description: &description, photos, activation };
    let inferred = state.intake().understand(question, turn, deadline).await?;
    let Prediction { category, subcategory, confidence, needs_review, predictions, price, model, activation } =
        state.inference().predict(&inferred, top_k);
    metrics::prediction(model, &category, confidence);
    Ok(PredictResponse {
        category,
        subcategory,
        confidence,
        needs_review,
        predictions: predictions
            .into_iter()
            .map(|CategoryProbability { category, probability }| CategoryScore { category, probability })
            .collect(),
        price: price.map(|PriceBand { currency, low, median, high }| PriceRange {
            currency,
            low,
            median,
            high,
        }),
        activation: activation.map(|photos| photos.into_iter().map(ActivationMap::from).collect()),
        model: state.model_info(model),
    })
}

/// Decodes or fetches the photos of a JSON request.
async fn bring_in(state: &AppState, request: PredictRequest, deadline: Instant) -> Result<Listing, ApiError> {
    let PredictRequest { title, description, images, top_k, activation } = request;
    check_photo_count(images.len())?;
    let photos = state.photos().all(|index| format!("images[{index}]"), images, deadline).await?;
    let (title, description) = (title.unwrap_or_default(), description.unwrap_or_default());
    Ok(Listing { title, description, photos, top_k, activation })
}

/// Reads the multipart form. An unknown field is refused, as in JSON.
pub(super) async fn read_fields(form: &mut Multipart) -> Result<Listing, ApiError> {
    let mut listing = Listing::default();
    while let Some(field) = form.next_field().await.map_err(form_error)? {
        match field.name().unwrap_or_default().to_owned().as_str() {
            "title" => listing.title = field.text().await.map_err(form_error)?,
            "description" => listing.description = field.text().await.map_err(form_error)?,
            "top_k" => {
                let text = field.text().await.map_err(form_error)?;
                let top_k = text.trim().parse();
                listing.top_k =
                    Some(top_k.map_err(|_| ApiError::unusable("top_k", format!("{text:?} is no number")))?);
            }
            "activation" => {
                let text = field.text().await.map_err(form_error)?;
                listing.activation = text.trim().parse().map_err(|_| {
                    ApiError::unusable("activation", format!("{text:?} is neither true nor false"))
                })?;
            }
            "image" => {
                check_photo_count(listing.photos.len() + 1)?;
                listing.photos.push(field.bytes().await.map_err(form_error)?);
            }
            other => {
                let known = "title, description, top_k, activation and image";
                return Err(ApiError::unusable(other, format!("the form has no such field; it has {known}")));
            }
        }
    }
    Ok(listing)
}

fn check_photo_count(count: usize) -> Result<(), ApiError> {
    if count > MAX_PHOTOS {
        return Err(ApiError::unusable(
            "images",
            format!("at most {MAX_PHOTOS} photos are taken, here are more"),
        ));
    }
    Ok(())
}
