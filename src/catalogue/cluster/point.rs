//! A product as a point of the cluster, and back.
//!
//! The product itself is one string of JSON, so that it comes back exactly as it was stored. Beside it lie the fields that
//! filters and hits need. The thumbnail is part of the point, because a server of a cluster keeps nothing of its own.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use qdrant_client::qdrant::{
    DenseVector, ListValue, NamedVectors, PointId, PointStruct, SparseVector, Struct, Value, Vector,
    VectorsOutput, point_id::PointIdOptions, value::Kind, vector_output,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::catalogue::{
    CatalogueError, ContentHash, Facts, Hit, KindTag, Kinds, PhotoTag, Place, Product, ProductId,
    StoredProduct,
    engine_names::{LEXICAL, SEMANTIC, point_of},
    lexical::Terms,
};

pub const ID: &str = "id";
pub const CATEGORY: &str = "category";
pub const PRICE: &str = "price";
/// Microseconds since 1970.
pub const LISTED_AT: &str = "listed_at";
/// `lat` and `lon`.
pub const PLACE: &str = "place";
const PHOTO: &str = "photo";
/// Coarse to fine, null where one is unknown.
const KINDS: &str = "kinds";
const PRODUCT: &str = "product";
const CONTENT: &str = "content";
const THUMBNAIL: &str = "thumbnail";

/// What a hit needs.
pub const FACTS: [&str; 6] = [ID, PRICE, LISTED_AT, PLACE, PHOTO, KINDS];
/// The product without its thumbnail.
pub const PRODUCT_ALONE: [&str; 1] = [PRODUCT];

type Payload = HashMap<String, Value>;

pub fn to_point(stored: &StoredProduct) -> Result<PointStruct, CatalogueError> {
    let product = &stored.product;
    let json = serde_json::to_string(product)
        .map_err(|error| CatalogueError::Engine(format!("cannot write down {}: {error}", product.id)))?;
    let content = serde_json::to_string(&stored.content)
        .map_err(|error| CatalogueError::Engine(format!("cannot write down {}: {error}", product.id)))?;
    let Facts { price, listed_at, place, photo, kinds } = stored.facts();
    let coordinates = |Place { lat, lon }| {
        let fields = HashMap::from([("lat".to_owned(), lat.into()), ("lon".to_owned(), lon.into())]);
        Value { kind: Some(Kind::StructValue(Struct { fields })) }
    };
    let kinds = kinds.0.map(|kind| kind.map_or_else(null, |KindTag(tag)| i64::from(tag).into()));
    let fields: [(&str, Option<Value>); 10] = [
        (ID, Some(product.id.as_str().into())),
        (CATEGORY, product.category.as_deref().map(Value::from)),
        (PRICE, price.map(Value::from)),
        (LISTED_AT, listed_at.map(|date| microseconds(date).into())),
        (PLACE, place.map(coordinates)),
        (PHOTO, photo.map(|PhotoTag(tag)| i64::from(tag).into())),
        (KINDS, Some(kinds.to_vec().into())),
        (PRODUCT, Some(json.into())),
        (CONTENT, Some(content.into())),
        (THUMBNAIL, stored.thumbnail.as_deref().map(|jpeg| BASE64.encode(jpeg).into())),
    ];
    let payload: Payload =
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let terms = Terms::of_product(product);
    let vectors = NamedVectors {
        vectors: HashMap::from([
            (SEMANTIC.to_owned(), Vector::from(DenseVector { data: stored.embedding.clone() })),
            (LEXICAL.to_owned(), Vector::from(SparseVector { indices: terms.hashes, values: terms.weights })),
        ]),
    };
    Ok(PointStruct::new(name(point_of(&product.id)), vectors, payload))
}

/// The point of this UUID.
pub fn name(point: Uuid) -> PointId {
    point.to_string().into()
}

/// Rounded down, as every comparison of dates here is.
pub fn microseconds(date: OffsetDateTime) -> i64 {
    i64::try_from(date.unix_timestamp_nanos().div_euclid(1_000)).unwrap_or(i64::MAX)
}

/// From a payload of [`FACTS`].
pub fn hit(payload: &Payload, score: f32) -> Result<Hit, CatalogueError> {
    let date = integer(payload.get(LISTED_AT))
        .and_then(|date| OffsetDateTime::from_unix_timestamp_nanos(i128::from(date) * 1_000).ok());
    let facts = Facts {
        price: number(payload.get(PRICE)),
        listed_at: date,
        place: place(payload),
        photo: integer(payload.get(PHOTO)).and_then(|tag| u32::try_from(tag).ok()).map(PhotoTag),
        kinds: kinds(payload),
    };
    Ok(Hit { id: id(payload)?, score, facts })
}

pub fn id(payload: &Payload) -> Result<ProductId, CatalogueError> {
    let id = text(payload, ID).ok_or_else(|| foreign("has no id"))?;
    id.parse().map_err(|error| foreign(&format!("has an unusable id: {error}")))
}

/// From a payload that holds [`PRODUCT_ALONE`] at least.
pub fn product(payload: &Payload) -> Result<Product, CatalogueError> {
    let json = text(payload, PRODUCT).ok_or_else(|| foreign("has no product"))?;
    serde_json::from_str(json).map_err(|error| foreign(&format!("holds no product: {error}")))
}

/// From a whole payload.
pub fn stored(payload: &Payload, vectors: Option<&VectorsOutput>) -> Result<StoredProduct, CatalogueError> {
    let content = text(payload, CONTENT).and_then(|json| serde_json::from_str::<ContentHash>(json).ok());
    let thumbnail = text(payload, THUMBNAIL).map(|jpeg| BASE64.decode(jpeg)).transpose();
    Ok(StoredProduct {
        product: product(payload)?,
        embedding: embedding(vectors).ok_or_else(|| foreign("has no embedding"))?,
        thumbnail: thumbnail.map_err(|error| foreign(&format!("has a broken thumbnail: {error}")))?,
        content: content.unwrap_or_default(),
    })
}

pub fn embedding(vectors: Option<&VectorsOutput>) -> Option<Vec<f32>> {
    match vectors?.get_vector_by_name(SEMANTIC)? {
        vector_output::Vector::Dense(DenseVector { data }) => Some(data),
        _ => None,
    }
}

/// This catalogue names all of its points by UUID.
pub fn uuid(id: Option<&PointId>) -> Result<Uuid, CatalogueError> {
    match id.and_then(|id| id.point_id_options.as_ref()) {
        Some(PointIdOptions::Uuid(uuid)) => {
            uuid.parse().map_err(|error| foreign(&format!("has the id {uuid:?}: {error}")))
        }
        _ => Err(foreign("has a number for an id")),
    }
}

fn foreign(what: &str) -> CatalogueError {
    CatalogueError::Engine(format!(
        "a point of the collection {what}; it was not stored by marketrank, which wants a collection of its own"
    ))
}

fn text<'a>(payload: &'a Payload, field: &str) -> Option<&'a str> {
    match payload.get(field)?.kind.as_ref()? {
        Kind::StringValue(text) => Some(text),
        _ => None,
    }
}

fn integer(value: Option<&Value>) -> Option<i64> {
    match value?.kind.as_ref()? {
        Kind::IntegerValue(integer) => Some(*integer),
        _ => None,
    }
}

fn number(value: Option<&Value>) -> Option<f64> {
    match value?.kind.as_ref()? {
        Kind::DoubleValue(number) => Some(*number),
        Kind::IntegerValue(integer) => Some(*integer as f64),
        _ => None,
    }
}

fn place(payload: &Payload) -> Option<Place> {
    match payload.get(PLACE)?.kind.as_ref()? {
        Kind::StructValue(Struct { fields }) => {
            Some(Place { lat: number(fields.get("lat"))?, lon: number(fields.get("lon"))? })
        }
        _ => None,
    }
}

/// None of a point that was stored before there were kinds.
fn kinds(payload: &Payload) -> Kinds {
    let mut kinds = Kinds::default();
    if let Some(Kind::ListValue(ListValue { values })) =
        payload.get(KINDS).and_then(|value| value.kind.as_ref())
    {
        for (kind, value) in kinds.0.iter_mut().zip(values) {
            *kind = integer(Some(value)).and_then(|tag| u32::try_from(tag).ok()).map(KindTag);
        }
    }
    kinds
}

fn null() -> Value {
    Value { kind: Some(Kind::NullValue(0)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_product_comes_back_from_its_point_as_it_was() {
        let product: Product = serde_json::from_value(json!({
            "id": "a", "title": "Lamp", "price": 12.34, "category": "Pets", "location": {"lat": 51.5, "lon": -2.0},
            "listed_at": "1969-12-31T23:59:59.5Z", "attributes": {"big": 9007199254740993_i64, "nothing": null, "category_path": "Pets / Lamps"},
        }))
        .unwrap();
        let whole = StoredProduct {
            content: ContentHash::of(&product, &[b"photo"]),
            product,
            embedding: vec![0.6, -0.8],
            thumbnail: Some(vec![0xff, 0xd8]),
        };
        let PointStruct { payload, .. } = to_point(&whole).unwrap();
        assert_eq!(super::product(&payload).unwrap(), whole.product);
        let hit = hit(&payload, 0.5).unwrap();
        assert_eq!((hit.id, hit.facts), (whole.product.id.clone(), whole.facts()));
        assert!(matches!(stored(&payload, None), Err(CatalogueError::Engine(_))), "without an embedding");
    }
}
