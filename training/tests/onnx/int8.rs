//! Networks in int8 against the same in float32, on the sample listings.

use std::{path::Path, rc::Rc, sync::LazyLock};

use marketrank::{
    inference::Example,
    preprocess::{Detail, Letterbox, PhotoLimits, TextEncoder, decode_photo},
};
use marketrank_train::{
    learn::{IMAGE_INPUT, TEXT_INPUT},
    onnx::{
        Arithmetic, BertArchitecture, ImageBackbone, Precision, TextBackbone,
        backbone::{write_image_backbone, write_text_backbone},
        calibration::Calibration,
    },
    quantise::observe::observe_session,
    weights::{self, StateDict},
};

use crate::runtime::{Runtime, session, tensor};

const MINILM: BertArchitecture = BertArchitecture { layers: 6, heads: 12, layer_norm_epsilon: 1e-12 };

fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn published(name: &str) -> StateDict {
    let path = repository(".cache/weights").join(name);
    weights::read(&path).unwrap_or_else(|error| panic!("{error}: run `make weights`"))
}

/// The sample listings' titles with the sample photos, one each.
static EXAMPLES: LazyLock<Vec<Example>> = LazyLock::new(|| {
    let encoder = TextEncoder::from_file(&repository("models/tokenizer.json"), TEXT_INPUT).unwrap();
    let mut photos: Vec<_> =
        std::fs::read_dir(repository("sample/photos")).unwrap().map(|entry| entry.unwrap().path()).collect();
    photos.sort();
    let mut listings = csv::Reader::from_path(repository("sample/products.csv")).unwrap();
    let titles = listings.headers().unwrap().iter().position(|name| name == "title").unwrap();
    let titles: Vec<String> = listings.records().map(|row| row.unwrap()[titles].to_owned()).collect();
    let example = |(photo, title): (&std::path::PathBuf, &String)| {
        let photo =
            decode_photo(&std::fs::read(photo).unwrap(), &PhotoLimits::default(), Detail::Full).unwrap();
        Example {
            photo: Some(Letterbox::new(IMAGE_INPUT).apply(&photo)),
            tokens: Some(encoder.encode(title, "").unwrap()),
            activation: false,
        }
    };
    photos.iter().zip(&titles).take(24).map(example).collect()
});

/// Every third example is kept for comparing; the others calibrate.
fn calibration_of(observed: &[u8]) -> Arithmetic {
    let seen: Vec<Example> =
        EXAMPLES.iter().enumerate().filter(|(i, _)| i % 3 != 0).map(|(_, e)| e.clone()).collect();
    let calibration = observe_session(&mut session(observed), IMAGE_INPUT, &seen).unwrap();
    Arithmetic::Int8(Rc::new(calibration))
}

fn unseen() -> impl Iterator<Item = &'static Example> {
    EXAMPLES.iter().step_by(3)
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn int8_photo_features_point_where_those_of_float32_do() {
    let weights = published("efficientnet_lite2.pth");
    let write =
        |arithmetic| write_image_backbone(ImageBackbone::EfficientNetLite2(&weights), arithmetic).unwrap();
    let int8 = write(calibration_of(&write(Arithmetic::Observed)));
    let float = write(Precision::Float32.into());
    assert!(int8.len() * 3 < float.len(), "{} bytes, {} in float32", int8.len(), float.len());
    let (mut int8, mut float) = (Runtime::load(&int8), Runtime::load(&float));
    for example in unseen() {
        let pixels = example.photo.as_ref().unwrap().as_bytes();
        let features = |runtime: &mut Runtime| {
            let shape = [1, IMAGE_INPUT.height as usize, IMAGE_INPUT.width as usize, 3];
            runtime.run(vec![("image", tensor(&shape, pixels))]).remove("features").unwrap().data
        };
        let similarity = cosine(&features(&mut int8), &features(&mut float));
        assert!(similarity > 0.95, "{similarity}");
    }
}

#[test]
fn int8_text_embeddings_point_where_those_of_float32_do() {
    let weights = published("minilm/model.safetensors");
    let text = TextBackbone { architecture: MINILM, weights: &weights };
    let write = |arithmetic| write_text_backbone(text, arithmetic).unwrap();
    let int8 = write(calibration_of(&write(Arithmetic::Observed)));
    let float = write(Precision::Float32.into());
    assert!(int8.len() * 7 < float.len() * 2, "{} bytes, {} in float32", int8.len(), float.len());
    let (mut int8, mut float) = (Runtime::load(&int8), Runtime::load(&float));
    for example in unseen() {
        let ids = example.tokens.as_ref().unwrap().ids();
        let pooled = |runtime: &mut Runtime| {
            let shape = [1, ids.len()];
            let mask = vec![1_i64; ids.len()];
            let inputs = vec![("input_ids", tensor(&shape, ids)), ("attention_mask", tensor(&shape, &mask))];
            runtime.run(inputs).remove("pooled").unwrap().data
        };
        let similarity = cosine(&pooled(&mut int8), &pooled(&mut float));
        assert!(similarity > 0.98, "{similarity}");
    }
}

#[test]
fn an_int8_answer_does_not_depend_on_what_else_is_in_the_batch() {
    let weights = published("minilm/model.safetensors");
    let text = TextBackbone { architecture: MINILM, weights: &weights };
    let write = |arithmetic| write_text_backbone(text, arithmetic).unwrap();
    let mut int8 = Runtime::load(&write(calibration_of(&write(Arithmetic::Observed))));
    let short = [101_i64, 7861, 3231, 102];
    let long = [101_i64, 2047, 10165, 3899, 4624, 2005, 5096, 102];
    let alone = int8
        .run(vec![("input_ids", tensor(&[1, 4], &short)), ("attention_mask", tensor(&[1, 4], &[1_i64; 4]))]);
    let padded: Vec<i64> = short.into_iter().chain([0; 4]).chain(long).collect();
    let mask: Vec<i64> = [1; 4].into_iter().chain([0; 4]).chain([1; 8]).collect();
    let together =
        int8.run(vec![("input_ids", tensor(&[2, 8], &padded)), ("attention_mask", tensor(&[2, 8], &mask))]);
    let first = together["pooled"].rows().next().unwrap();
    for (alone, together) in alone["pooled"].data.iter().zip(first) {
        assert!((alone - together).abs() < 1e-3, "{alone} alone, {together} in a batch");
    }
}

#[test]
fn a_network_that_was_not_observed_stays_in_floats() {
    let weights = published("minilm/model.safetensors");
    let text = TextBackbone { architecture: MINILM, weights: &weights };
    let nothing_seen = Arithmetic::Int8(Rc::new(Calibration::default()));
    let model = write_text_backbone(text, nothing_seen).unwrap();
    let ids = [101_i64, 7861, 3231, 102];
    let inputs =
        || vec![("input_ids", tensor(&[1, 4], &ids)), ("attention_mask", tensor(&[1, 4], &[1_i64; 4]))];
    let found = Runtime::load(&model).run(inputs()).remove("pooled").unwrap();
    let float = write_text_backbone(text, Precision::Float32).unwrap();
    let expected = Runtime::load(&float).run(inputs()).remove("pooled").unwrap();
    // Only the tables of embeddings are rounded.
    assert!(cosine(&found.data, &expected.data) > 0.999);
}
