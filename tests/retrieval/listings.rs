//! Made-up listings with embeddings that need no model.

use std::ops::Range;

use marketrank::{
    catalogue::{ContentHash, Location, Product, ProductId, StoredProduct},
    inference::in_float16,
};
use serde_json::json;

/// Embedding width of the tests.
pub const WIDTH: usize = 16;

/// Numbers that are the same on every run (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn pick(&mut self, range: Range<u64>) -> u64 {
        range.start + self.number() % (range.end - range.start)
    }

    /// A unit vector of values ±1/4: cosines are multiples of 1/8, exact in any order of addition, and often equal.
    pub fn corner(&mut self) -> Vec<f32> {
        let bits = self.number();
        (0..WIDTH).map(|i| if bits >> i & 1 == 1 { 0.25 } else { -0.25 }).collect()
    }

    /// A unit vector in any direction, in float16.
    pub fn direction(&mut self) -> Vec<f32> {
        in_float16(unit((0..WIDTH).map(|_| self.pick(0..20_001) as f32 / 10_000.0 - 1.0).collect()))
    }
}

pub fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|value| *value /= norm);
    vector
}

/// The unit vector that has 1 at this place.
pub fn axis(place: usize) -> Vec<f32> {
    (0..WIDTH).map(|i| if i == place { 1.0 } else { 0.0 }).collect()
}

pub fn id(text: &str) -> ProductId {
    text.parse().unwrap()
}

pub fn ids<'a>(hits: impl IntoIterator<Item = &'a ProductId>) -> Vec<&'a str> {
    hits.into_iter().map(ProductId::as_str).collect()
}

/// A listing of nothing but id and title.
pub fn titled(id: &str, title: &str) -> Product {
    serde_json::from_value(json!({"id": id, "title": title})).unwrap()
}

pub fn stored(product: Product, embedding: Vec<f32>) -> StoredProduct {
    StoredProduct { product, embedding, thumbnail: None, content: ContentHash::default() }
}

/// Listings of random words (none of them English, so that no stemmer touches them), categories, prices, places and
/// dates.
pub fn random_listings(
    count: usize,
    dice: &mut Dice,
    embedding: fn(&mut Dice) -> Vec<f32>,
) -> Vec<StoredProduct> {
    (0..count)
        .map(|n| {
            let words = dice.pick(1..8);
            let title: Vec<String> = (0..words).map(|_| format!("w{}", dice.pick(0..30))).collect();
            let mut product = titled(&format!("p{n:04}"), &title.join(" "));
            if dice.pick(0..5) > 0 {
                product.category = Some(format!("Category {}", dice.pick(0..4)));
            }
            if dice.pick(0..5) > 0 {
                product.price = Some(dice.pick(0..50) as f64);
            }
            if dice.pick(0..5) > 0 {
                let date = format!("\"2024-01-{:02}T12:00:00Z\"", dice.pick(1..20));
                product = with_date(product, &date);
            }
            if dice.pick(0..5) > 0 {
                let degrees = |tenths: u64| tenths as f64 / 10.0;
                product.location = Some(Location {
                    name: None,
                    lat: Some(degrees(dice.pick(500..560))),
                    lon: Some(-degrees(dice.pick(0..40))),
                });
            }
            let embedding = embedding(dice);
            stored(product, embedding)
        })
        .collect()
}

/// The listing with this date, as JSON has it.
pub fn with_date(product: Product, date: &str) -> Product {
    let mut value = serde_json::to_value(product).unwrap();
    value["listed_at"] = serde_json::from_str(date).unwrap();
    serde_json::from_value(value).unwrap()
}
