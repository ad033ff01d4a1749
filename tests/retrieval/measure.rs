//! How fast the embedded catalogue is on this machine. Not a test: it prints, and asserts nothing about time.
//!
//!     cargo test --release --test retrieval -- --ignored --nocapture measure

use std::time::{Duration, Instant};

use marketrank::{
    catalogue::{Catalogue, StoredProduct, embedded::EmbeddedCatalogue},
    ranking::{Query, RankRequest, TextQuery, rank},
};

use crate::listings::{Dice, stored, titled, unit};

const LISTINGS: usize = 5_000;
/// As the models of the project have it.
const EMBEDDING_WIDTH: usize = 512;

fn embedding(dice: &mut Dice) -> Vec<f32> {
    unit((0..EMBEDDING_WIDTH).map(|_| dice.pick(0..20_001) as f32 / 10_000.0 - 1.0).collect())
}

/// Of the length of a real one: a title of 5 words, a description of 20, a thumbnail of 8 kB.
fn listing(n: usize, dice: &mut Dice) -> StoredProduct {
    // Few words are common and most are rare, as in real texts.
    let words = |count: usize, dice: &mut Dice| {
        let word = |dice: &mut Dice| {
            let common = dice.pick(1..5_000);
            format!("w{}", dice.pick(0..common))
        };
        (0..count).map(|_| word(dice)).collect::<Vec<_>>().join(" ")
    };
    let mut product = titled(&format!("p{n:06}"), &words(5, dice));
    product.description = Some(words(20, dice));
    product.category = Some(format!("Category {}", dice.pick(0..13)));
    product.price = Some(dice.pick(1..500) as f64);
    let thumbnail = (0..8_000).map(|_| dice.number() as u8).collect();
    StoredProduct { thumbnail: Some(thumbnail), ..stored(product, embedding(dice)) }
}

fn resident_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024
}

fn percentile(times: &mut [Duration], share: f64) -> Duration {
    times.sort();
    times[((times.len() - 1) as f64 * share) as usize]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints measurements"]
async fn measure() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let open = || EmbeddedCatalogue::open(folder.path(), EMBEDDING_WIDTH, "measured").unwrap();
    let mut dice = Dice(1);
    let listings: Vec<_> = (0..LISTINGS).map(|n| listing(n, &mut dice)).collect();
    let catalogue = std::sync::Arc::new(open());
    println!("resident before: {} MB", resident_megabytes());

    let start = Instant::now();
    for batch in listings.chunks(64) {
        catalogue.upsert(batch.to_vec()).await.unwrap();
    }
    println!("batches of 64: {:.0} listings/s", LISTINGS as f64 / start.elapsed().as_secs_f64());

    let start = Instant::now();
    for listing in &listings[..500] {
        catalogue.upsert(vec![listing.clone()]).await.unwrap();
    }
    println!("one after the other: {:.0} listings/s", 500.0 / start.elapsed().as_secs_f64());

    let start = Instant::now();
    let writers: Vec<_> = listings[..1_920]
        .chunks(60)
        .map(|share| {
            let (catalogue, share) = (catalogue.clone(), share.to_vec());
            tokio::spawn(async move {
                for listing in share {
                    catalogue.upsert(vec![listing]).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    println!("32 at a time, one each: {:.0} listings/s", 1_920.0 / start.elapsed().as_secs_f64());

    for (name, words) in [("text query", Some("w1 w20 w300")), ("product query", None)] {
        let mut times = Vec::new();
        for listing in &listings[..200] {
            let query = match words {
                Some(words) => {
                    let text = TextQuery { words: words.to_owned(), embedding: embedding(&mut dice) };
                    Query { text: Some(text), ..Query::default() }
                }
                None => Query { product: Some(listing.product.id.clone()), ..Query::default() },
            };
            let request = RankRequest { query, limit: 20, ..RankRequest::default() };
            let start = Instant::now();
            rank(catalogue.as_ref(), &request).await.unwrap();
            times.push(start.elapsed());
        }
        println!("{name}: p50 {:?}, p99 {:?}", percentile(&mut times, 0.5), percentile(&mut times, 0.99));
    }
    println!("resident after: {} MB", resident_megabytes());

    let start = Instant::now();
    catalogue.close().await.unwrap();
    println!("close: {:?}", start.elapsed());
    let start = Instant::now();
    drop(open());
    println!("open: {:?}", start.elapsed());
}
