//! Published weights: the graphs against recorded outputs, and against the same networks in burn.

use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use marketrank_train::{
    networks::{Bert, BertConfig, EfficientNetLite2, ResNet50, mean_pool},
    onnx::{
        BertArchitecture, Dim, GraphBuilder, Precision, TextBackbone, Value, backbone,
        bert::{self, BertWeights},
        efficientnet::{Photo, efficientnet_lite2},
        resnet50::resnet50,
    },
    weights::{self, StateDict},
};

use crate::{
    backbones::{mean, numbers, reference},
    formula::{self, uniform},
    runtime::{Output, Runtime, assert_close, tensor},
};

/// A file that `make weights` brings.
fn published(name: &str) -> StateDict {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/weights").join(name);
    weights::read(&path).unwrap_or_else(|error| panic!("{error}: run `make weights`"))
}

/// A model from an already normalised image [batch, 3, height, width] to what `build` makes of it.
fn photo_model(
    build: impl FnOnce(&mut GraphBuilder, &Value<f32>) -> Vec<(&'static str, Value<f32>)>,
) -> Runtime {
    let mut g = GraphBuilder::new("photo", Precision::Float32);
    let free = [Dim::Named("batch"), Dim::Fixed(3), Dim::Named("height"), Dim::Named("width")];
    let image = g.input("input", &free);
    for (name, value) in build(&mut g, &image) {
        g.output(name, &value, &[Dim::Named("batch"), Dim::Named(name)]);
    }
    Runtime::load(&g.finish().unwrap())
}

fn burn_photos(shape: [usize; 4], data: &[f32]) -> Tensor<4> {
    Tensor::from_data(TensorData::new(data.to_vec(), shape), &Device::flex())
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

#[test]
fn efficientnet_lite2_reproduces_its_recorded_outputs() {
    let weights = published("efficientnet_lite2.pth");
    let mut runtime = photo_model(|g, image| {
        let photo = Photo::Planes(image.clone());
        let features = efficientnet_lite2(g, &weights, &photo).unwrap().features;
        let classifier = g.weight("_fc.weight", weights.get("_fc.weight").unwrap());
        let classifier = g.transpose(&classifier, &[1, 0]);
        let bias = g.weight("_fc.bias", weights.get("_fc.bias").unwrap());
        let logits = g.dense(&features, &classifier, &bias);
        vec![("features", features), ("logits", logits)]
    });
    let size = 260;
    let wave = (0..3 * size * size).map(|index| {
        let (c, y, x) = (index / (size * size), index / size % size, index % size);
        let (c, y, x) = (c as f32, y as f32, x as f32);
        (6.0 * x / 259.0 + 3.0 * c).sin() * (5.0 * y / 259.0 - 2.0 * c).cos()
    });
    let noise = uniform("input", 3 * size * size).map(|u| 2.0 * u);
    let images: Vec<f32> = wave.chain(noise).collect();
    let outputs = runtime.run(vec![("input", tensor(&[2, 3, size, size], &images))]);

    let reference = reference("efficientnet_lite2.json");
    for (index, (features, logits)) in outputs["features"].rows().zip(outputs["logits"].rows()).enumerate() {
        assert_close(&features[..8], &numbers(&reference["embedding_first8"][index]));
        assert_close(&[mean(features)], &[reference["embedding_mean"][index].as_f64().unwrap() as f32]);
        let mut classes: Vec<usize> = (0..1000).collect();
        classes.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        let expected: Vec<f32> = numbers(&reference["top5_class"][index]);
        let expected: Vec<usize> = expected.into_iter().map(|class| class as usize).collect();
        assert_eq!(classes[..5], expected);
        let best: Vec<f32> = classes[..5].iter().map(|&class| logits[class]).collect();
        assert_close(&best, &numbers(&reference["top5_logit"][index]));
    }
}

#[test]
fn burn_and_onnx_runtime_agree_on_efficientnet_lite2() {
    let weights = published("efficientnet_lite2.pth");
    let mut runtime = photo_model(|g, image| {
        let photo = Photo::Planes(image.clone());
        vec![("features", efficientnet_lite2(g, &weights, &photo).unwrap().features)]
    });
    // Odd and even sides, since SAME padding treats them differently.
    let shape = [2, 3, 75, 98];
    let images: Vec<f32> = uniform("photos", shape.iter().product()).map(|u| 2.0 * u).collect();
    let outputs = runtime.run(vec![("input", tensor(&shape, &images))]);
    let network = EfficientNetLite2::load(&weights, &Device::flex()).unwrap();
    assert_close(&outputs["features"].data, &values(network.features(burn_photos(shape, &images))));
}

#[test]
fn burn_and_onnx_runtime_agree_on_resnet50() {
    let weights = formula::resnet50();
    let mut runtime =
        photo_model(|g, image| vec![("features", resnet50(g, &weights, image).unwrap().features)]);
    let shape = [2, 3, 65, 64];
    let images: Vec<f32> = uniform("photos", shape.iter().product()).map(|u| 4.0 * u).collect();
    let outputs = runtime.run(vec![("input", tensor(&shape, &images))]);
    let network = ResNet50::load(&weights, &Device::flex()).unwrap();
    assert_close(&outputs["features"].data, &values(network.features(burn_photos(shape, &images))));
}

const MINILM: BertArchitecture = BertArchitecture { layers: 6, heads: 12, layer_norm_epsilon: 1e-12 };

fn embed(weights: &StateDict, precision: Precision, shape: [usize; 2], ids: &[i64], mask: &[i64]) -> Output {
    let text = TextBackbone { architecture: MINILM, weights };
    let model = backbone::write_text_backbone(text, precision).unwrap();
    let inputs = vec![("input_ids", tensor(&shape, ids)), ("attention_mask", tensor(&shape, mask))];
    Runtime::load(&model).run(inputs).remove("pooled").unwrap()
}

/// The recorded sentences as one padded batch: shape, ids, mask.
fn sentences() -> ([usize; 2], Vec<i64>, Vec<i64>) {
    let reference = reference("minilm.json");
    let texts: Vec<Vec<i64>> = reference["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| numbers(&case["input_ids"]).into_iter().map(|id| id as i64).collect())
        .collect();
    let longest = texts.iter().map(Vec::len).max().unwrap();
    let padded = |text: &Vec<i64>| (0..longest).map(|at| text.get(at).copied()).collect::<Vec<_>>();
    let slots: Vec<Option<i64>> = texts.iter().flat_map(padded).collect();
    let ids = slots.iter().map(|id| id.unwrap_or_default()).collect();
    let mask = slots.iter().map(|id| i64::from(id.is_some())).collect();
    ([texts.len(), longest], ids, mask)
}

#[track_caller]
fn assert_recorded_embeddings(found: &Output) {
    let reference = reference("minilm.json");
    for (row, case) in found.rows().zip(reference["cases"].as_array().unwrap()) {
        assert_close(&row[..8], &numbers(&case["embedding_first8"]));
        assert_close(&[row.iter().sum()], &[case["embedding_sum"].as_f64().unwrap() as f32]);
    }
}

#[test]
fn minilm_reproduces_transformers() {
    let (shape, ids, mask) = sentences();
    let weights = published("minilm/model.safetensors");
    assert_recorded_embeddings(&embed(&weights, Precision::Float32, shape, &ids, &mask));
}

#[test]
fn minilm_stored_in_half_precision_is_still_within_tolerance() {
    let (shape, ids, mask) = sentences();
    let weights = published("minilm/model.safetensors");
    assert_recorded_embeddings(&embed(&weights, Precision::Float16, shape, &ids, &mask));
}

#[test]
fn burn_and_onnx_runtime_agree_on_minilm() {
    let (shape, ids, mask) = sentences();
    let weights = published("minilm/model.safetensors");
    let mut g = GraphBuilder::new("minilm", Precision::Float32);
    let free = [Dim::Named("batch"), Dim::Named("tokens")];
    let (input_ids, attention_mask) = (g.input("ids", &free), g.input("mask", &free));
    let opened = BertWeights::open(&weights).unwrap();
    let hidden = bert::bert(&mut g, opened, MINILM, &input_ids, &attention_mask).unwrap();
    let pooled = bert::mean_pool(&mut g, &hidden, &attention_mask);
    g.output("pooled", &pooled, &[Dim::Named("batch"), Dim::Fixed(384)]);
    let mut runtime = Runtime::load(&g.finish().unwrap());
    let outputs = runtime.run(vec![("ids", tensor(&shape, &ids)), ("mask", tensor(&shape, &mask))]);

    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/weights/minilm/config.json");
    let device = Device::flex();
    let network = Bert::load(&BertConfig::read(&config).unwrap(), &weights, &device).unwrap();
    let input = |data: Vec<i64>| Tensor::<2, Int>::from_data(TensorData::new(data, shape), &device);
    let (ids, mask) = (input(ids), input(mask));
    let pooled = mean_pool(network.forward(ids, mask.clone()), mask);
    assert_close(&outputs["pooled"].data, &values(pooled));
}
