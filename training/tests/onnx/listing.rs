//! The served models: their contract, and their outputs against heads computed here.

use std::{collections::HashMap, sync::LazyLock};

use marketrank_train::{
    onnx::{
        BertArchitecture, ImageBackbone, LabelCounts, OnnxError, Precision, TextBackbone,
        backbone::{write_image_backbone, write_text_backbone},
        lexical::{BIGRAM_BUCKETS, bigram_bucket},
        listing::{PhotoWeights, write_combined_model, write_image_model, write_text_model},
    },
    weights::{HostTensor, StateDict, StateDictError},
};
use ort::session::SessionInputValue;

use crate::{
    formula::{self, VOCABULARY, WIDTH, filled, insert_dense},
    runtime::{Output, Runtime, assert_close, tensor},
};

const LABELS: LabelCounts = LabelCounts { categories: 2, subcategories: 3 };
const CLASSES: usize = 5;
const COLUMNS: usize = 8;
const PHOTO: usize = 2048;
const MIDDLE: usize = 1024;
const LOOK: usize = 2;
const IDS: [i64; 5] = [101, 7, 8, 9, 102];

static RESNET: LazyLock<StateDict> = LazyLock::new(formula::resnet50);
static BERT: LazyLock<StateDict> = LazyLock::new(formula::small_bert);

fn image() -> ImageBackbone<'static> {
    ImageBackbone::ResNet50(&RESNET)
}

fn text() -> TextBackbone<'static> {
    let architecture = BertArchitecture { layers: 1, heads: 2, layer_norm_epsilon: 1e-12 };
    TextBackbone { architecture, weights: &BERT }
}

fn text_inputs() -> Vec<(&'static str, SessionInputValue<'static>)> {
    vec![("input_ids", tensor(&[1, 5], &IDS)), ("attention_mask", tensor(&[1, 5], &[1_i64; 5]))]
}

fn photo_input() -> (&'static str, SessionInputValue<'static>) {
    photo_of(32, 32)
}

fn photo_of(height: usize, width: usize) -> (&'static str, SessionInputValue<'static>) {
    let values = formula::uniform("photo", height * width * 3);
    let pixels: Vec<u8> = values.map(|u| (u * 255.0 + 127.5) as u8).collect();
    ("image", tensor(&[1, height, width, 3], &pixels))
}

fn pooled_text() -> Vec<f32> {
    let model = write_text_backbone(text(), Precision::Float32).unwrap();
    Runtime::load(&model).run(text_inputs()).remove("pooled").unwrap().data
}

/// The last features and those half-way up.
fn photo_features() -> [Vec<f32>; 2] {
    let model = write_image_backbone(image(), Precision::Float32).unwrap();
    let mut outputs = Runtime::load(&model).run(vec![photo_input()]);
    ["features", "middle_features"].map(|name| outputs.remove(name).unwrap().data)
}

/// No kind; what a photo is about and what it looks like, half of the squared norm each.
fn photo_embedding(heads: &StateDict, [last, middle]: &[Vec<f32>; 2]) -> Vec<f32> {
    let both = [last.as_slice(), middle].concat();
    let parts = [dense(heads, "projection.0", &both), dense(heads, "appearance.0", middle)];
    let [topic, appearance] = parts.map(|part| times(&unit(&part), 0.5_f32.sqrt()));
    [&[0.0; CLASSES], topic.as_slice(), appearance.as_slice()].concat()
}

/// A fifth for the kind that logits of two categories and three subcategories say, the rest for the topic; no appearance.
fn text_embedding(logits: &[f32], topic: &[f32]) -> Vec<f32> {
    let sharpened = |logits: &[f32], share: f32| -> Vec<f32> {
        let exponentials: Vec<f32> = logits.iter().map(|x| (2.0 * x).exp()).collect();
        let sum: f32 = exponentials.iter().sum();
        exponentials.iter().map(|x| (share * x / sum).sqrt()).collect()
    };
    let kind = [sharpened(&logits[..2], 0.4), sharpened(&logits[2..5], 0.6)].concat();
    let topic = unit(topic);
    [times(&kind, 0.2_f32.sqrt()), times(&topic, 0.8_f32.sqrt()), vec![0.0; LOOK]].concat()
}

fn insert_lexical(heads: &mut StateDict, columns: usize) {
    for (name, rows) in [("lexical.unigram", VOCABULARY), ("lexical.bigram", BIGRAM_BUCKETS)] {
        heads.insert(name, filled(name, &[rows, columns], 1.0, 0.0));
    }
}

/// `x W + b` of one layer.
fn dense(heads: &StateDict, layer: &str, x: &[f32]) -> Vec<f32> {
    let weight = heads.get(&format!("{layer}.weight")).unwrap();
    let mut y = heads.get(&format!("{layer}.bias")).unwrap().data.clone();
    for (x, row) in x.iter().zip(weight.data.chunks_exact(weight.shape[1])) {
        for (y, weight) in y.iter_mut().zip(row) {
            *y += x * weight;
        }
    }
    y
}

/// The lexical bag of [`IDS`]: words 7, 8, 9 and pairs 7 8, 8 9.
fn bag(heads: &StateDict) -> Vec<f32> {
    let row = |table: &HostTensor, index: usize| table.data[index * COLUMNS..][..COLUMNS].to_vec();
    let unigram = heads.get("lexical.unigram").unwrap();
    let bigram = heads.get("lexical.bigram").unwrap();
    let rows = [
        row(unigram, 7),
        row(unigram, 8),
        row(unigram, 9),
        row(bigram, bigram_bucket(7, 8)),
        row(bigram, bigram_bucket(8, 9)),
    ];
    (0..COLUMNS).map(|column| rows.iter().map(|row| row[column]).sum::<f32>() / 5.0_f32.sqrt()).collect()
}

fn sum(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn unit(x: &[f32]) -> Vec<f32> {
    let norm = x.iter().map(|x| x * x).sum::<f32>().sqrt();
    x.iter().map(|x| x / norm).collect()
}

#[track_caller]
fn assert_columns(outputs: &HashMap<String, Output>, columns: &[f32]) {
    assert_close(&outputs["logits"].data, &columns[..2]);
    assert_close(&outputs["subcategory_logits"].data, &columns[2..5]);
    if let Some(&[below, median, above]) = columns.get(5..) {
        let softplus = |x: f32| x.exp().ln_1p();
        let expected = [median - softplus(below), median, median + softplus(above)];
        assert_close(&outputs["log_price"].data, &expected);
    }
}

fn image_heads() -> StateDict {
    let mut heads = StateDict::default();
    insert_dense(&mut heads, "heads", 0, [PHOTO, CLASSES]);
    insert_dense(&mut heads, "projection", 0, [PHOTO + MIDDLE, 6]);
    insert_dense(&mut heads, "appearance", 0, [MIDDLE, LOOK]);
    heads
}

fn text_heads(embedding: usize) -> StateDict {
    let mut heads = StateDict::default();
    insert_dense(&mut heads, "heads", 0, [WIDTH, COLUMNS]);
    insert_dense(&mut heads, "projection", 0, [WIDTH, embedding]);
    insert_lexical(&mut heads, COLUMNS);
    heads
}

#[test]
fn the_image_model_keeps_the_contract() {
    let model = write_image_model(LABELS, image(), &image_heads(), Precision::Float16).unwrap();
    let runtime = Runtime::load(&model);
    let expected = [
        "image: Tensor<u8>(batch, height, width, 3)",
        "logits: Tensor<f32>(batch, 2)",
        "subcategory_logits: Tensor<f32>(batch, 3)",
        "embedding: Tensor<f32>(batch, 13)",
        "activation: Tensor<f32>(batch, 2, rows, columns)",
    ];
    assert_eq!(runtime.signature(), expected);
    assert_eq!(runtime.metadata("image_backbone").as_deref(), Some("resnet50"));
    assert_eq!(runtime.metadata("precision").as_deref(), Some("float16"));
}

#[test]
fn the_text_model_keeps_the_contract() {
    let model = write_text_model(LABELS, text(), &text_heads(6), LOOK, Precision::Float16).unwrap();
    let expected = [
        "input_ids: Tensor<i64>(batch, tokens)",
        "attention_mask: Tensor<i64>(batch, tokens)",
        "logits: Tensor<f32>(batch, 2)",
        "subcategory_logits: Tensor<f32>(batch, 3)",
        "log_price: Tensor<f32>(batch, 3)",
        "embedding: Tensor<f32>(batch, 13)",
    ];
    assert_eq!(Runtime::load(&model).signature(), expected);
}

#[test]
fn the_combined_model_keeps_the_contract() {
    let weights = PhotoWeights { class: 1.0, embedding: 1.0 };
    let model = write_combined(6, weights, Precision::Float16).unwrap();
    let expected = [
        "input_ids: Tensor<i64>(batch, tokens)",
        "attention_mask: Tensor<i64>(batch, tokens)",
        "image: Tensor<u8>(batch, height, width, 3)",
        "logits: Tensor<f32>(batch, 2)",
        "subcategory_logits: Tensor<f32>(batch, 3)",
        "log_price: Tensor<f32>(batch, 3)",
        "embedding: Tensor<f32>(batch, 13)",
        "activation: Tensor<f32>(batch, 2, rows, columns)",
    ];
    assert_eq!(Runtime::load(&model).signature(), expected);
}

#[test]
fn the_image_model_applies_its_heads_to_the_features() {
    let heads = image_heads();
    let model = write_image_model(LABELS, image(), &heads, Precision::Float32).unwrap();
    let outputs = Runtime::load(&model).run(vec![photo_input()]);
    let features = photo_features();
    assert_columns(&outputs, &dense(&heads, "heads.0", &features[0]));
    assert_close(&outputs["embedding"].data, &photo_embedding(&heads, &features));
}

#[test]
fn the_text_model_adds_the_lexical_bag_to_its_heads() {
    let heads = text_heads(6);
    let model = write_text_model(LABELS, text(), &heads, LOOK, Precision::Float32).unwrap();
    let outputs = Runtime::load(&model).run(text_inputs());
    let pooled = pooled_text();
    let columns = sum(&dense(&heads, "heads.0", &pooled), &bag(&heads));
    assert_columns(&outputs, &columns);
    let topic = dense(&heads, "projection.0", &pooled);
    assert_close(&outputs["embedding"].data, &text_embedding(&columns, &topic));
}

#[test]
fn a_text_embedding_as_wide_as_the_bert_starts_from_it() {
    let heads = text_heads(WIDTH);
    let model = write_text_model(LABELS, text(), &heads, LOOK, Precision::Float32).unwrap();
    let outputs = Runtime::load(&model).run(text_inputs());
    let pooled = pooled_text();
    let topic = sum(&pooled, &dense(&heads, "projection.0", &pooled));
    let columns = sum(&dense(&heads, "heads.0", &pooled), &bag(&heads));
    assert_close(&outputs["embedding"].data, &text_embedding(&columns, &topic));
}

#[test]
fn without_subcategories_the_category_alone_is_the_kind_and_the_embedding_has_norm_one() {
    let columns = COLUMNS - LABELS.subcategories;
    let mut heads = StateDict::default();
    insert_dense(&mut heads, "heads", 0, [WIDTH, columns]);
    insert_dense(&mut heads, "projection", 0, [WIDTH, 6]);
    insert_lexical(&mut heads, columns);
    let labels = LabelCounts { subcategories: 0, ..LABELS };
    let model = write_text_model(labels, text(), &heads, LOOK, Precision::Float32).unwrap();
    let outputs = Runtime::load(&model).run(text_inputs());
    let norm = |values: &[f32]| values.iter().map(|x| x * x).sum::<f32>();
    let embedding = &outputs["embedding"].data;
    assert_close(&[norm(&embedding[..2]), norm(embedding)], &[0.2, 1.0]);
}

#[test]
fn the_combined_model_adds_the_photo_to_the_text_at_its_weights() {
    let weights = PhotoWeights { class: 0.25, embedding: 0.5 };
    let model = write_combined(6, weights, Precision::Float32).unwrap();
    let mut inputs = text_inputs();
    inputs.push(photo_input());
    let outputs = Runtime::load(&model).run(inputs);
    let (text, photo) = (text_heads(6), image_heads());
    let by_text = sum(&dense(&text, "heads.0", &pooled_text()), &bag(&text));
    let features = photo_features();
    let by_photo = dense(&photo, "heads.0", &features[0]);
    let (mut classes, price) = (sum(&by_text[..CLASSES], &times(&by_photo, 0.25)), &by_text[CLASSES..]);
    classes.extend(price);
    assert_columns(&outputs, &classes);
    let of_text = text_embedding(&by_text, &dense(&text, "projection.0", &pooled_text()));
    let of_photo = photo_embedding(&photo, &features);
    assert_close(&outputs["embedding"].data, &unit(&sum(&of_text, &times(&of_photo, 0.5))));
}

#[test]
fn the_mean_of_an_activation_over_the_cells_and_the_bias_are_the_logit() {
    let heads = image_heads();
    let model = write_image_model(LABELS, image(), &heads, Precision::Float32).unwrap();
    let outputs = Runtime::load(&model).run(vec![photo_of(64, 96)]);
    let activation = &outputs["activation"];
    assert_eq!(activation.shape, [1, 2, 2, 3]);
    let means: Vec<f32> = activation.data.chunks(6).map(|cells| cells.iter().sum::<f32>() / 6.0).collect();
    let bias = &heads.get("heads.0.bias").unwrap().data;
    assert_close(&outputs["logits"].data, &sum(&means, bias));
}

#[test]
fn in_the_combined_model_an_activation_counts_as_the_photo_does() {
    let of_photo = write_image_model(LABELS, image(), &image_heads(), Precision::Float32).unwrap();
    let of_photo = Runtime::load(&of_photo).run(vec![photo_of(64, 96)]).remove("activation").unwrap();
    let model = write_combined(6, PhotoWeights { class: 0.25, embedding: 0.5 }, Precision::Float32).unwrap();
    let mut inputs = text_inputs();
    inputs.push(photo_of(64, 96));
    let outputs = Runtime::load(&model).run(inputs);
    assert_close(&outputs["activation"].data, &times(&of_photo.data, 0.25));
}

#[test]
fn heads_of_two_layers_give_no_activation() {
    let mut heads = image_heads();
    insert_dense(&mut heads, "heads", 0, [PHOTO, 4]);
    insert_dense(&mut heads, "heads", 1, [4, CLASSES]);
    let model = write_image_model(LABELS, image(), &heads, Precision::Float32).unwrap();
    assert!(!Runtime::load(&model).run(vec![photo_input()]).contains_key("activation"));
}

#[test]
fn a_text_and_a_photo_of_two_spaces_are_not_combined() {
    let error =
        write_combined(7, PhotoWeights { class: 1.0, embedding: 1.0 }, Precision::Float32).unwrap_err();
    assert!(matches!(error, OnnxError::EmbeddingWidths { text: 7, photo: 6 }), "{error}");
}

/// The combined model of the heads above; the photo's topic is 6 wide.
fn write_combined(
    text_width: usize,
    weights: PhotoWeights,
    precision: Precision,
) -> Result<Vec<u8>, OnnxError> {
    let (image_heads, text_heads) = (image_heads(), text_heads(text_width));
    write_combined_model(LABELS, (image(), &image_heads), (text(), &text_heads), weights, precision)
}

fn times(x: &[f32], factor: f32) -> Vec<f32> {
    x.iter().map(|x| x * factor).collect()
}

#[test]
fn heads_for_other_labels_are_refused_by_name() {
    let labels = LabelCounts { categories: 13, subcategories: 64 };
    let error = write_text_model(labels, text(), &text_heads(6), LOOK, Precision::Float32).unwrap_err();
    let OnnxError::Weights(StateDictError::Shape { name, found, expected }) = error else {
        panic!("{error}");
    };
    assert_eq!((name.as_str(), found, expected), ("heads.0.bias", vec![8], vec![80]));
}

#[test]
fn a_table_for_another_vocabulary_is_refused_by_name() {
    let mut heads = text_heads(6);
    heads.insert("lexical.unigram", filled("lexical.unigram", &[50, COLUMNS], 1.0, 0.0));
    let error = write_text_model(LABELS, text(), &heads, LOOK, Precision::Float32).unwrap_err();
    assert!(error.to_string().contains("lexical.unigram"), "{error}");
}

#[test]
fn more_tokens_than_positions_fail_at_run_time() {
    let model = write_text_model(LABELS, text(), &text_heads(6), LOOK, Precision::Float32).unwrap();
    let shape = [1, 13];
    let inputs =
        vec![("input_ids", tensor(&shape, &[7_i64; 13])), ("attention_mask", tensor(&shape, &[1_i64; 13]))];
    assert!(Runtime::load(&model).try_run(inputs).is_err());
}
