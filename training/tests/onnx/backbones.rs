//! The networks against reference numbers and against their own invariants.

use marketrank_train::{
    onnx::{
        BertArchitecture, Dim, GraphBuilder, ImageBackbone, OnnxError, Precision, TextBackbone, backbone,
        resnet50::resnet50,
    },
    weights::{StateDict, StateDictError},
};
use serde_json::Value as Json;

use crate::{
    formula::{self, WIDTH, small_bert},
    runtime::{Output, Runtime, assert_close, tensor},
};

const BERT: BertArchitecture = BertArchitecture { layers: 1, heads: 2, layer_norm_epsilon: 1e-12 };

pub fn reference(file: &str) -> Json {
    let path = format!("{}/tests/reference/{file}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub fn numbers(json: &Json) -> Vec<f32> {
    json.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

pub fn mean(data: &[f32]) -> f32 {
    (data.iter().map(|&value| f64::from(value)).sum::<f64>() / data.len() as f64) as f32
}

#[test]
fn resnet50_reproduces_torchvision() {
    let weights = formula::resnet50();
    let mut g = GraphBuilder::new("resnet50", Precision::Float32);
    let planes =
        |channels| [Dim::Named("batch"), Dim::Fixed(channels), Dim::Named("height"), Dim::Named("width")];
    let image = g.input("input", &planes(3));
    let network = resnet50(&mut g, &weights, &image).unwrap();
    for (index, layer) in network.layers.iter().enumerate() {
        g.output(&format!("layer{}", index + 1), layer, &planes(256 << index));
    }
    g.output("avgpool", &network.features, &[Dim::Named("batch"), Dim::Fixed(2048)]);
    let classifier = g.weight("fc.weight", weights.get("fc.weight").unwrap());
    let classifier = g.transpose(&classifier, &[1, 0]);
    let bias = g.weight("fc.bias", weights.get("fc.bias").unwrap());
    let logits = g.dense(&network.features, &classifier, &bias);
    g.output("logits", &logits, &[Dim::Named("batch"), Dim::Fixed(1000)]);

    let mut runtime = Runtime::load(&g.finish().unwrap());
    let shape = [2, 3, 128, 128];
    let input = formula::filled("input", &shape, 4.0, 0.0);
    let outputs = runtime.run(vec![("input", tensor(&shape, &input.data))]);

    let reference = reference("resnet50.json");
    for name in ["layer1", "layer2", "layer3", "layer4", "avgpool"] {
        let (found, expected) = (&outputs[name].data, &reference[name]);
        assert_close(&found[..4], &numbers(&expected["first4"]));
        assert_close(&[mean(found)], &[expected["mean"].as_f64().unwrap() as f32]);
    }
    for (index, logits) in outputs["logits"].rows().enumerate() {
        assert_close(&logits[..8], &numbers(&reference["logits_first8"][index]));
        let best = (0..1000).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
        assert_eq!(best as u64, reference["argmax"][index].as_u64().unwrap());
    }
}

fn pooled(weights: &StateDict, ids: &[i64], mask: &[i64], batch: usize) -> Output {
    let text = TextBackbone { architecture: BERT, weights };
    let model = backbone::write_text_backbone(text, Precision::Float32).unwrap();
    let shape = [batch, ids.len() / batch];
    let inputs = vec![("input_ids", tensor(&shape, ids)), ("attention_mask", tensor(&shape, mask))];
    Runtime::load(&model).run(inputs).remove("pooled").unwrap()
}

#[test]
fn what_stands_under_padding_changes_nothing() {
    let weights = small_bert();
    let alone = pooled(&weights, &[101, 7, 8, 102], &[1; 4], 1);
    let ids = [101, 7, 8, 102, 0, 0, 101, 7, 8, 102, 55, 66];
    let padded = pooled(&weights, &ids, &[1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0], 2);
    assert_eq!(padded.shape, [2, WIDTH]);
    for row in padded.rows() {
        assert_close(row, &alone.data);
    }
}

#[test]
fn the_order_of_words_counts() {
    let weights = small_bert();
    let there = pooled(&weights, &[101, 7, 8, 102], &[1; 4], 1);
    let back = pooled(&weights, &[101, 8, 7, 102], &[1; 4], 1);
    let difference: f32 = there.data.iter().zip(&back.data).map(|(a, b)| (a - b).abs()).sum();
    assert!(difference > 0.01, "{difference}");
}

#[test]
fn a_text_without_tokens_gives_zeros_and_not_nan() {
    let pooled = pooled(&small_bert(), &[0, 0], &[0, 0], 1);
    assert_eq!(pooled.data, [0.0; WIDTH]);
}

#[test]
fn names_behind_a_bert_prefix_are_the_same_network() {
    let plain = small_bert();
    let mut prefixed = StateDict::default();
    for (name, tensor) in plain.iter() {
        prefixed.insert(format!("bert.{name}"), tensor.clone());
    }
    let ids = [101, 7, 8, 102];
    assert_eq!(pooled(&prefixed, &ids, &[1; 4], 1), pooled(&plain, &ids, &[1; 4], 1));
}

#[test]
fn names_of_the_first_release_are_the_same_network() {
    let plain = small_bert();
    let mut first = StateDict::default();
    for (name, tensor) in plain.iter() {
        let name =
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        first.insert(format!("bert.{name}"), tensor.clone());
    }
    let ids = [101, 7, 8, 102];
    assert_eq!(pooled(&first, &ids, &[1; 4], 1), pooled(&plain, &ids, &[1; 4], 1));
}

#[test]
fn heads_that_do_not_divide_the_width_are_refused() {
    let weights = small_bert();
    let architecture = BertArchitecture { heads: 3, ..BERT };
    let text = TextBackbone { architecture, weights: &weights };
    let error = backbone::write_text_backbone(text, Precision::Float32).unwrap_err();
    assert!(matches!(error, OnnxError::AttentionHeads { width: WIDTH, heads: 3 }), "{error}");
}

#[test]
fn weights_of_another_architecture_name_the_missing_tensor() {
    let weights = small_bert();
    let error =
        backbone::write_image_backbone(ImageBackbone::EfficientNetLite2(&weights), Precision::Float32);
    let Err(OnnxError::Weights(StateDictError::Missing { name })) = error else {
        panic!("a BERT became an EfficientNet");
    };
    assert_eq!(name, "_conv_stem.weight");
}
