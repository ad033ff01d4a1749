//! Made-up listings, each computed from its number: a million of them need no memory.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use marketrank::{
    catalogue::{ContentHash, Filter, Location, Product, ProductId, StoredProduct},
    inference::{in_float16, normalise},
    intake::Intake,
};
use serde_json::json;
use time::OffsetDateTime;

const SAMPLES: &str = "sample/products.csv";
/// Samples that are mixed into an embedding, and the most that each weighs, against 1 of its own sample.
///
/// With these and [`NOISE`], as many made-up listings as there are real ones in our data (5,697) lie as those do: their intrinsic
/// dimension (Levina & Bickel 2004, ten neighbours) is 12.9 and that of the real ones 12.3, the nearest neighbour lies at 0.55 (0.56)
/// and the tenth at 0.68 (0.69). Noise alone, in every direction, would be of dimension 101 and have all neighbours at one distance.
const MIXED: usize = 6;
const LARGEST_SHARE: f32 = 0.6;
/// Length of what is added in a random direction.
const NOISE: f32 = 0.1;
/// Above every price.
pub const PRICES: f64 = 1_000.0;
/// Words of a description.
const DESCRIPTION: usize = 25;
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub struct Market(Arc<Samples>);

struct Samples {
    listings: Vec<StoredProduct>,
    words: Vec<String>,
}

/// Numbers that are the same on every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn of(n: usize) -> Self {
        let mut dice = Self((n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        dice.number();
        dice
    }

    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get((self.share() * items.len() as f64) as usize)
    }
}

impl Market {
    /// Embeds the sample listings of the repository.
    pub async fn of_samples(intake: &Intake) -> anyhow::Result<Self> {
        let rows = csv::Reader::from_path(SAMPLES).with_context(|| format!("cannot read {SAMPLES}"))?;
        let (mut listings, mut words) = (Vec::new(), Vec::new());
        for row in rows.into_deserialize::<HashMap<String, String>>() {
            let row = row?;
            let product = serde_json::from_value(json!({
                "id": row["id"], "title": row["title"], "description": row["description"], "category": row["category"],
            }))?;
            words.extend(
                [&row["title"], &row["description"]]
                    .iter()
                    .flat_map(|text| text.split_whitespace())
                    .map(str::to_owned),
            );
            listings.push(intake.product(product, Vec::new(), None, Instant::now() + PATIENCE).await?);
        }
        Ok(Self(Arc::new(Samples { listings, words })))
    }

    pub fn listing(&self, n: usize) -> StoredProduct {
        let mut dice = Dice::of(n);
        let sample = &self.0.listings[n % self.0.listings.len()];
        let embedding = self.embedding(n);
        let mut word = || dice.pick(&self.0.words).map_or("", String::as_str);
        let title = format!("{} {} {}", sample.product.title, word(), word());
        let description = (0..DESCRIPTION).map(|_| word()).collect::<Vec<_>>().join(" ");
        let product = Product {
            id: id(n),
            // A model number of its own, as every hundredth real listing has.
            title: if n.is_multiple_of(100) { format!("{title} MX{n}") } else { title },
            description: Some(description),
            price: Some(price(n)),
            currency: Some("GBP".to_owned()),
            location: Some(Location {
                name: None,
                lat: Some(50.0 + dice.share() * 8.0),
                lon: Some(-5.0 + dice.share() * 6.0),
            }),
            listed_at: OffsetDateTime::from_unix_timestamp(1_790_000_000 - (dice.share() * 5e6) as i64).ok(),
            ..sample.product.clone()
        };
        StoredProduct { content: ContentHash::of(&product, &[[]; 0]), product, embedding, thumbnail: None }
    }

    /// The embedding of a sample, moved towards some others and a little in a random direction.
    fn embedding(&self, n: usize) -> Vec<f32> {
        let mut dice = Dice::of(n ^ 0x5eed_0000);
        let samples = &self.0.listings;
        let mut moved = samples[n % samples.len()].embedding.clone();
        for _ in 0..MIXED {
            let share = LARGEST_SHARE * dice.share() as f32;
            let other = dice.pick(samples).map_or(&[][..], |sample| &sample.embedding);
            moved.iter_mut().zip(other).for_each(|(value, towards)| *value += share * towards);
        }
        normalise(&mut moved);
        let spread = NOISE * (12.0 / moved.len() as f32).sqrt();
        moved.iter_mut().for_each(|value| *value += spread * (dice.share() as f32 - 0.5));
        normalise(&mut moved);
        in_float16(moved)
    }

    /// Two or three words of a sample's title.
    pub fn query(&self, n: usize) -> String {
        let mut dice = Dice::of(n + 77);
        let title = dice.pick(&self.0.listings).map_or("", |sample| sample.product.title.as_str());
        title.split(' ').take(2 + n % 2).collect::<Vec<_>>().join(" ")
    }

    /// The ids of the exact nearest listings to each query among those that pass the filter's price, by a scan over all.
    pub fn nearest(
        &self,
        queries: &[Vec<f32>],
        listings: usize,
        filter: &Filter,
        top: usize,
    ) -> Vec<Vec<ProductId>> {
        let mut best: Vec<Vec<(f32, usize)>> = vec![Vec::new(); queries.len()];
        for n in (0..listings).filter(|n| filter.max_price.is_none_or(|most| price(*n) <= most)) {
            let embedding = self.embedding(n);
            for (query, best) in queries.iter().zip(&mut best) {
                let cosine: f32 = query.iter().zip(&embedding).map(|(a, b)| a * b).sum();
                if best.len() < top || best.last().is_some_and(|(worst, _)| cosine > *worst) {
                    best.push((cosine, n));
                    best.sort_by(|a, b| b.0.total_cmp(&a.0));
                    best.truncate(top);
                }
            }
        }
        best.into_iter().map(|best| best.into_iter().map(|(_, n)| id(n)).collect()).collect()
    }
}

/// Spread evenly from 0 to [`PRICES`].
fn price(n: usize) -> f64 {
    (Dice::of(n ^ 0x9a1e_0000).share() * PRICES * 100.0).floor() / 100.0
}

fn id(n: usize) -> ProductId {
    format!("made-up-{n}").parse().expect("letters, a dash and digits are an id")
}
