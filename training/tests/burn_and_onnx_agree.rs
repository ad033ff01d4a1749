//! The same batch through burn and, exported, through ONNX Runtime: every output agrees to 1e-3.

use std::{path::Path, sync::LazyLock};

use burn::tensor::{Device, Int, Tensor, TensorData};
use marketrank::inference::{Device as Provider, Runtime};
use marketrank_train::{
    learn::{
        heads::{Heads, HeadsConfig, WordBatch},
        losses::ordered_quantiles,
        words::{Idf, Words},
    },
    networks::{Bert, BertConfig, EfficientNetLite2},
    onnx::{
        BertArchitecture, ImageBackbone, LabelCounts, Precision, TextBackbone, file,
        listing::{write_combined_model, write_image_model, write_text_model},
    },
    weights::{HostTensor, StateDict},
};
use ort::session::{Session, SessionOutputs};
use ort::value::Tensor as OrtTensor;

const LABELS: LabelCounts = LabelCounts { categories: 4, subcategories: 6 };
const SIDE: usize = 64;
const PHOTO_FEATURES: usize = 1_280;
/// Two texts: the second is shorter and padded.
const IDS: [[i64; 7]; 2] = [[101, 9, 55, 33, 7, 8, 102], [101, 33, 9, 9, 102, 0, 0]];
const MASK: [[i64; 7]; 2] = [[1; 7], [1, 1, 1, 1, 1, 0, 0]];

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/onnxruntime/libonnxruntime.so");
    Runtime::load(&library, Provider::Cpu).expect("run `make setup`")
});

fn bert_config() -> BertConfig {
    let config = serde_json::json!({
        "vocab_size": 120, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 48, "max_position_embeddings": 16
    });
    serde_json::from_value(config).unwrap()
}

fn heads_config(features: usize, text: bool, photo: bool) -> HeadsConfig {
    HeadsConfig {
        features,
        text_features: 0,
        columns: Some(LABELS.classes() + if text { 3 } else { 0 }),
        hidden: photo.then_some(24),
        projection_hidden: photo.then_some(40),
        embedding: 32,
        residual: !photo,
        vocabulary: text.then_some(120),
        dropout: 0.3,
    }
}

/// Heads whose every tensor, the word tables included, is random.
fn random_heads(config: &HeadsConfig, device: &Device) -> (Heads, StateDict) {
    let mut state = 7_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state as f32 / u32::MAX as f32 - 0.5
    };
    let tensors: StateDict = Heads::new(config, device)
        .state_dict()
        .into_iter()
        .map(|(name, tensor)| {
            let data = tensor.data.iter().map(|_| random() * 0.4).collect();
            (name, HostTensor { data, ..tensor })
        })
        .collect();
    (Heads::load(config, &tensors, device).unwrap(), tensors)
}

/// Normalisation of photo features with some mean and scale.
fn norm() -> (Vec<f32>, Vec<f32>) {
    let mean = (0..PHOTO_FEATURES).map(|i| (i % 5) as f32 * 0.01).collect();
    let std = (0..PHOTO_FEATURES).map(|i| 0.5 + (i % 3) as f32 * 0.25).collect();
    (mean, std)
}

fn with_norm(mut heads: StateDict) -> StateDict {
    let (mean, std) = norm();
    heads.insert("image_norm.mean", HostTensor { shape: vec![PHOTO_FEATURES], data: mean });
    heads.insert("image_norm.std", HostTensor { shape: vec![PHOTO_FEATURES], data: std });
    heads
}

fn pixels() -> Vec<u8> {
    (0..2 * SIDE * SIDE * 3).map(|i| (i * 37 % 251) as u8).collect()
}

fn text_features(bert: &Bert, device: &Device) -> Tensor<2> {
    let tensor = |rows: [[i64; 7]; 2]| Tensor::<2, Int>::from_data(rows, device);
    let pooled = bert.features(tensor(IDS), tensor(MASK));
    pooled.clone() / pooled.square().sum_dim(1).sqrt()
}

fn photo_features(network: &EfficientNetLite2, device: &Device) -> Tensor<2> {
    let values: Vec<f32> = pixels().iter().map(|&pixel| (f32::from(pixel) - 127.0) / 128.0).collect();
    let photos = Tensor::<4>::from_data(TensorData::new(values, [2, SIDE, SIDE, 3]), device);
    let (mean, std) = norm();
    let row = |values| Tensor::<2>::from_data(TensorData::new(values, [1, PHOTO_FEATURES]), device);
    (network.features(photos.permute([0, 3, 1, 2])) - row(mean)) / row(std)
}

/// The words of the two texts, as training makes them of tokens.
fn words(device: &Device) -> WordBatch {
    let texts = [Words::of_ids(&IDS[0]), Words::of_ids(&IDS[1][..5])];
    Idf::uniform(120).batch(&[&texts[0], &texts[1]], device)
}

fn run(model: &[u8], with_photo: bool, with_text: bool, check: impl FnOnce(&SessionOutputs<'_>)) {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("model.onnx");
    file::write(&path, model).unwrap();
    let mut session: Session = RUNTIME.open(&path, 1).unwrap();
    let mut inputs: Vec<(&str, ort::session::SessionInputValue<'_>)> = Vec::new();
    if with_photo {
        inputs.push(("image", OrtTensor::from_array(([2, SIDE, SIDE, 3], pixels())).unwrap().into()));
    }
    if with_text {
        inputs.push(("input_ids", OrtTensor::from_array(([2, 7], IDS.concat())).unwrap().into()));
        inputs.push(("attention_mask", OrtTensor::from_array(([2, 7], MASK.concat())).unwrap().into()));
    }
    check(&session.run(inputs).unwrap());
}

fn assert_agree(outputs: &SessionOutputs<'_>, name: &str, expected: Tensor<2>) {
    let (shape, found) = outputs[name].try_extract_tensor::<f32>().unwrap();
    assert_eq!(shape.to_vec(), expected.dims().map(|side| side as i64), "{name}");
    let expected: Vec<f32> = expected.into_data().iter().collect();
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let allowed = 1e-3_f32.max(expected.abs() * 1e-3);
        assert!((found - expected).abs() <= allowed, "{name}[{index}]: ONNX {found}, burn {expected}");
    }
    assert!(expected.iter().any(|value| value.abs() > 1e-2), "{name} says nothing");
}

fn assert_columns_agree(outputs: &SessionOutputs<'_>, columns: &Tensor<2>, with_price: bool) {
    assert_agree(outputs, "logits", columns.clone().narrow(1, 0, 4));
    assert_agree(outputs, "subcategory_logits", columns.clone().narrow(1, 4, 6));
    if with_price {
        assert_agree(outputs, "log_price", ordered_quantiles(columns.clone().narrow(1, 10, 3)));
    }
}

#[test]
fn the_text_model_says_the_same_in_burn_and_in_onnx_runtime() {
    let device = Device::flex();
    let config = bert_config();
    let bert = Bert::new(&config, &device);
    let (heads, tensors) = random_heads(&heads_config(32, true, false), &device);
    let weights = bert.state_dict();
    let text = TextBackbone { architecture: architecture(&config), weights: &weights };
    let model = write_text_model(LABELS, text, &tensors, Precision::Float32).unwrap();

    let features = text_features(&bert, &device);
    let columns = heads.columns(features.clone(), Some(&words(&device))).unwrap();
    run(&model, false, true, |outputs| {
        assert_columns_agree(outputs, &columns, true);
        assert_agree(outputs, "embedding", heads.embed(features));
    });
}

#[test]
fn the_image_model_says_the_same_in_burn_and_in_onnx_runtime() {
    let device = Device::flex();
    let network = EfficientNetLite2::new(1_000, &device);
    let (heads, tensors) = random_heads(&heads_config(PHOTO_FEATURES, false, true), &device);
    let weights = network.state_dict();
    let image = ImageBackbone::EfficientNetLite2(&weights);
    let model = write_image_model(LABELS, image, &with_norm(tensors), Precision::Float32).unwrap();

    let features = photo_features(&network, &device);
    let columns = heads.columns(features.clone(), None).unwrap();
    run(&model, true, false, |outputs| {
        assert_columns_agree(outputs, &columns, false);
        assert_agree(outputs, "embedding", heads.embed(features));
    });
}

#[test]
fn the_combined_model_says_the_same_in_burn_and_in_onnx_runtime() {
    let device = Device::flex();
    let config = bert_config();
    let (bert, network) = (Bert::new(&config, &device), EfficientNetLite2::new(1_000, &device));
    let (heads, tensors) = random_heads(&heads_config(32 + PHOTO_FEATURES, true, true), &device);
    let (text_weights, image_weights) = (bert.state_dict(), network.state_dict());
    let text = TextBackbone { architecture: architecture(&config), weights: &text_weights };
    let image = ImageBackbone::EfficientNetLite2(&image_weights);
    let model = write_combined_model(LABELS, image, text, &with_norm(tensors), Precision::Float32).unwrap();

    let features = Tensor::cat(vec![text_features(&bert, &device), photo_features(&network, &device)], 1);
    let columns = heads.columns(features.clone(), Some(&words(&device))).unwrap();
    run(&model, true, true, |outputs| {
        assert_columns_agree(outputs, &columns, true);
        assert_agree(outputs, "embedding", heads.embed(features));
    });
}

fn architecture(config: &BertConfig) -> BertArchitecture {
    BertArchitecture {
        layers: config.layers,
        heads: config.heads,
        layer_norm_epsilon: config.layer_norm_eps as f32,
    }
}
