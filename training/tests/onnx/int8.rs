//! Networks in int8 against the same in float32, on the sample listings.

use std::{path::Path, rc::Rc, sync::LazyLock};

use marketrank::{
    inference::Example,
    preprocess::{Detail, Letterbox, PhotoLimits, TextEncoder, decode_photo},
};
use marketrank_train::{
    learn::{IMAGE_INPUT, TEXT_INPUT},
    onnx::{
        Arithmetic, BertArchitecture, ImageBackbone, LabelCounts, Precision, TextBackbone,
        backbone::{write_image_backbone, write_text_backbone},
        calibration::Calibration,
        efficientnet::{FEATURES, MIDDLE_FEATURES},
        listing::write_image_model,
    },
    quantise::observe::observe_session,
    weights::{self, StateDict},
};
use ort::session::SessionInputValue;

use crate::{
    formula::insert_dense,
    runtime::{Runtime, operators, session, tensor},
};

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

fn text_model(arithmetic: Arithmetic) -> Vec<u8> {
    let weights = published("minilm/model.safetensors");
    write_text_backbone(TextBackbone { architecture: MINILM, weights: &weights }, arithmetic).unwrap()
}

static INT8_TEXT: LazyLock<Vec<u8>> =
    LazyLock::new(|| text_model(calibration_of(&text_model(Arithmetic::Observed))));

/// A photo model with made-up heads for two categories.
fn photo_model(arithmetic: Arithmetic) -> Vec<u8> {
    let weights = published("efficientnet_lite2.pth");
    let labels = LabelCounts { categories: 2, subcategories: 1 };
    write_image_model(labels, ImageBackbone::EfficientNetLite2(&weights), &photo_heads(), arithmetic).unwrap()
}

fn photo_heads() -> StateDict {
    let mut heads = StateDict::default();
    insert_dense(&mut heads, "heads", 0, [FEATURES, 3]);
    insert_dense(&mut heads, "projection", 0, [FEATURES + MIDDLE_FEATURES, 32]);
    insert_dense(&mut heads, "projection", 1, [32, 6]);
    insert_dense(&mut heads, "appearance", 0, [MIDDLE_FEATURES, 2]);
    heads
}

static INT8_PHOTO: LazyLock<Vec<u8>> =
    LazyLock::new(|| photo_model(calibration_of(&photo_model(Arithmetic::Observed))));

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

fn photo_of(example: &Example) -> Vec<(&'static str, SessionInputValue<'static>)> {
    let shape = [1, IMAGE_INPUT.height as usize, IMAGE_INPUT.width as usize, 3];
    vec![("image", tensor(&shape, example.photo.as_ref().unwrap().as_bytes()))]
}

fn text_of(example: &Example) -> Vec<(&'static str, SessionInputValue<'static>)> {
    let ids = example.tokens.as_ref().unwrap().ids();
    let (shape, mask) = ([1, ids.len()], vec![1_i64; ids.len()]);
    vec![("input_ids", tensor(&shape, ids)), ("attention_mask", tensor(&shape, &mask))]
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
        let features =
            |runtime: &mut Runtime| runtime.run(photo_of(example)).remove("features").unwrap().data;
        let similarity = cosine(&features(&mut int8), &features(&mut float));
        assert!(similarity > 0.95, "{similarity}");
    }
}

#[test]
fn int8_means_of_maps_are_as_large_as_those_of_float32() {
    let weights = published("efficientnet_lite2.pth");
    let write =
        |arithmetic| write_image_backbone(ImageBackbone::EfficientNetLite2(&weights), arithmetic).unwrap();
    let mut int8 = Runtime::load(&write(calibration_of(&write(Arithmetic::Observed))));
    let mut float = Runtime::load(&write(Precision::Float32.into()));
    let norm = |values: &[f32]| values.iter().map(|x| x * x).sum::<f32>().sqrt();
    for example in unseen() {
        let [int8, float] = [&mut int8, &mut float].map(|runtime| runtime.run(photo_of(example)));
        for output in ["features", "middle_features"] {
            let ratio = norm(&int8[output].data) / norm(&float[output].data);
            assert!((0.9..1.1).contains(&ratio), "{output}: {ratio}");
        }
    }
}

#[test]
fn int8_text_embeddings_point_where_those_of_float32_do() {
    let (int8, float) = (&*INT8_TEXT, text_model(Precision::Float32.into()));
    assert!(int8.len() * 7 < float.len() * 2, "{} bytes, {} in float32", int8.len(), float.len());
    let (mut int8, mut float) = (Runtime::load(int8), Runtime::load(&float));
    for example in unseen() {
        let pooled = |runtime: &mut Runtime| runtime.run(text_of(example)).remove("pooled").unwrap().data;
        let similarity = cosine(&pooled(&mut int8), &pooled(&mut float));
        assert!(similarity > 0.98, "{similarity}");
    }
}

#[test]
fn in_int8_the_mean_of_an_activation_over_the_cells_and_the_bias_are_nearly_the_logit() {
    const STRIDE: usize = 32;
    let heads = photo_heads();
    let [rows, columns] = [IMAGE_INPUT.height, IMAGE_INPUT.width].map(|side| side as usize / STRIDE);
    let mut runtime = Runtime::load(&INT8_PHOTO);
    for example in unseen() {
        let outputs = runtime.run(photo_of(example));
        assert_eq!(outputs["activation"].shape, [1, 2, rows, columns]);
        let cells = outputs["activation"].data.chunks(rows * columns);
        let bias = &heads.get("heads.0.bias").unwrap().data;
        let mean = |cells: &[f32]| cells.iter().sum::<f32>() / cells.len() as f32;
        let logits: Vec<f32> = cells.zip(bias).map(|(cells, bias)| mean(cells) + bias).collect();
        for (found, logit) in logits.iter().zip(&outputs["logits"].data) {
            // The weights of the cells are rounded, those of the logits are not.
            assert!((found - logit).abs() < 0.01, "{found} from the cells, {logit}");
        }
    }
}

#[test]
fn onnx_runtime_takes_all_of_an_int8_photo_network_and_its_projection_for_integers() {
    let run = operators(&INT8_PHOTO, photo_of(&EXAMPLES[0]));
    // Two layers of the projection; the classes and the appearance stay in floats. The products in integers are two means and the
    // activation.
    let expected = [
        ("QLinearConv", 64),
        ("Conv", 0),
        ("QGemm", 2),
        ("Gemm", 2),
        ("FusedGemm", 0),
        ("MatMulInteger", 3),
        ("MatMul", 0),
    ];
    for (operator, count) in expected {
        assert_eq!(run.get(operator).copied().unwrap_or_default(), count, "{operator} in {run:?}");
    }
}

#[test]
fn onnx_runtime_takes_every_layer_of_an_int8_bert_for_integers_and_its_attention_for_one_operator() {
    let run = operators(&INT8_TEXT, text_of(&EXAMPLES[0]));
    // The one product in floats is the mean over the tokens.
    for (operator, count) in [("QGemm", 24), ("Attention", 6), ("Gemm", 0), ("MatMul", 1), ("Transpose", 0)] {
        assert_eq!(run.get(operator).copied().unwrap_or_default(), count, "{operator} in {run:?}");
    }
}

#[test]
fn an_int8_answer_does_not_depend_on_what_else_is_in_the_batch() {
    let mut int8 = Runtime::load(&INT8_TEXT);
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
    let model = text_model(Arithmetic::Int8(Rc::new(Calibration::default())));
    let ids = [101_i64, 7861, 3231, 102];
    let inputs =
        || vec![("input_ids", tensor(&[1, 4], &ids)), ("attention_mask", tensor(&[1, 4], &[1_i64; 4]))];
    let found = Runtime::load(&model).run(inputs()).remove("pooled").unwrap();
    let expected =
        Runtime::load(&text_model(Precision::Float32.into())).run(inputs()).remove("pooled").unwrap();
    // Only the tables of embeddings are rounded.
    assert!(cosine(&found.data, &expected.data) > 0.999);
}
