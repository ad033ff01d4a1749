//! The pieces of the serving path one by one, so that a regression shows in the piece that caused it:
//! `cargo bench --workspace --bench pieces`, needs no models but their tokenizer.

use std::{hint::black_box, path::PathBuf, sync::LazyLock};

use divan::{Bencher, counter::ItemsCount};
use image::{RgbImage, codecs::jpeg::JpegEncoder};
use marketrank::{
    artefacts::{ImageInput, TextInput},
    catalogue::{Product, lexical::Terms},
    preprocess::{Detail, Letterbox, PhotoLimits, TextEncoder, decode_photo, thumbnail},
    ranking::Bm25,
};
use serde_json::json;

const INPUT: ImageInput = ImageInput { height: 256, width: 256, letterbox: [0; 3] };

fn main() {
    divan::main();
}

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A front end's photo: 512 pixels a side.
static UPLOAD: LazyLock<Vec<u8>> =
    LazyLock::new(|| std::fs::read(repository("sample/photos/bicycle.jpg")).unwrap());

/// A phone's photo: 12 megapixels.
static PHONE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let small = decode(&UPLOAD, Detail::Full);
    let large = image::imageops::resize(&small, 4_032, 3_024, image::imageops::FilterType::CatmullRom);
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 90).encode_image(&large).unwrap();
    jpeg
});

static ENCODER: LazyLock<TextEncoder> = LazyLock::new(|| {
    TextEncoder::from_file(&repository("models/tokenizer.json"), TextInput { max_tokens: 96 }).unwrap()
});

fn decode(bytes: &[u8], detail: Detail) -> RgbImage {
    decode_photo(bytes, &PhotoLimits::default(), detail).unwrap()
}

#[divan::bench]
fn decode_an_upload() -> RgbImage {
    decode(black_box(&UPLOAD), Detail::Side(256))
}

#[divan::bench(sample_count = 20)]
fn decode_a_phone_photo_as_far_as_needed() -> RgbImage {
    decode(black_box(&PHONE), Detail::Side(256))
}

#[divan::bench(sample_count = 20)]
fn decode_a_phone_photo_in_full() -> RgbImage {
    decode(black_box(&PHONE), Detail::Full)
}

#[divan::bench]
fn letterbox_an_upload(bencher: Bencher) {
    let (photo, letterbox) = (decode(&UPLOAD, Detail::Full), Letterbox::new(INPUT));
    bencher.bench_local(|| letterbox.apply(black_box(&photo)));
}

#[divan::bench]
fn make_a_thumbnail(bencher: Bencher) {
    let photo = decode(&UPLOAD, Detail::Full);
    bencher.bench_local(|| thumbnail(black_box(&photo), 320).unwrap());
}

#[divan::bench(args = [1, 10, 100])]
fn tokenise(bencher: Bencher, sentences: usize) {
    let text = "Three years old, hardly used, collection from Leeds only. ".repeat(sentences);
    LazyLock::force(&ENCODER);
    bencher.bench_local(|| ENCODER.encode("Bosch washing machine", black_box(&text)).unwrap());
}

#[divan::bench(args = [200, 1_000])]
fn score_candidates_by_their_words(bencher: Bencher, candidates: usize) {
    let products: Vec<Product> = (0..candidates)
        .map(|number| {
            let words = ["road", "bike", "oak", "table", "phone", "tent", "guitar", "pram"];
            let title: Vec<&str> = (0..6).map(|at| words[(number * 7 + at * at) % words.len()]).collect();
            serde_json::from_value(json!({"id": format!("p-{number}"), "title": title.join(" ")})).unwrap()
        })
        .collect();
    let query = Terms::of_query("oak table with road bike");
    bencher
        .counter(ItemsCount::new(candidates))
        .bench_local(|| Bm25::new(black_box(&products)).scores(black_box(&query)));
}
