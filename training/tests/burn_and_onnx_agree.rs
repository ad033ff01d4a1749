//! The same batch through burn and, exported, through ONNX Runtime: every output agrees to 1e-3.

use std::{path::Path, sync::LazyLock};

use burn::tensor::{Device, Int, Tensor, TensorData};
use marketrank::inference::{Device as Provider, Runtime};
use marketrank_train::{
    learn::{
        heads::{Heads, HeadsConfig, l2_normalised},
        losses::ordered_quantiles,
        projection::{Projection, ProjectionConfig},
        word_model::WordModel,
        words::{Idf, Words},
    },
    networks::{Bert, BertConfig, EfficientNetLite2, UpperBlocks, upper_blocks::FIRST_UPPER_BLOCK},
    onnx::{
        BertArchitecture, ImageBackbone, LabelCounts, Precision, TextBackbone,
        efficientnet::MIDDLE_FEATURES,
        file,
        listing::{APPEARANCE, KIND, write_image_model, write_text_model},
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

fn text_config() -> HeadsConfig {
    HeadsConfig {
        columns: LABELS.classes_and_price(),
        projection: ProjectionConfig { features: 32, hidden: None, embedding: 32, residual: true },
        feature_scale: 1.0,
        dropout: 0.3,
    }
}

fn photo_config() -> HeadsConfig {
    HeadsConfig {
        columns: LABELS.classes(),
        projection: ProjectionConfig {
            features: PHOTO_FEATURES,
            hidden: Some(40),
            embedding: 32,
            residual: false,
        },
        ..text_config()
    }
}

/// The same tensors with random values.
fn randomised(tensors: StateDict) -> StateDict {
    let mut state = 7_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state as f32 / u32::MAX as f32 - 0.5
    };
    let tensors = tensors.into_iter().map(|(name, tensor)| {
        let data = tensor.data.iter().map(|_| random() * 0.4).collect();
        (name, HostTensor { data, ..tensor })
    });
    tensors.collect()
}

fn random_heads(config: &HeadsConfig, device: &Device) -> (Heads, StateDict) {
    let tensors = randomised(Heads::new(config, device).state_dict());
    (Heads::load(config, &tensors, device).unwrap(), tensors)
}

/// A photo's projection into the common space, and the tensors of it and of a linear appearance.
fn random_space(device: &Device) -> (Projection, StateDict) {
    let features = PHOTO_FEATURES + MIDDLE_FEATURES;
    let config = ProjectionConfig { features, hidden: Some(40), embedding: 32, residual: false };
    let linear = ProjectionConfig { features: MIDDLE_FEATURES, hidden: None, embedding: 3, residual: false };
    let mut projection = Projection::new(&config, device);
    let mut tensors = StateDict::default();
    projection.write(&mut tensors, "projection");
    Projection::new(&linear, device).write(&mut tensors, "appearance");
    let tensors = randomised(tensors);
    projection.read(&tensors, "projection", device).unwrap();
    (projection, tensors)
}

/// Word tables that [`WordModel`] learnt, and its columns of the two texts.
fn random_words(device: &Device) -> (StateDict, Tensor<2>) {
    let texts = [Words::of_ids(&IDS[0]), Words::of_ids(&IDS[1][..5])];
    let idf = Idf::uniform(120);
    let tensors = randomised(WordModel::new(120, LABELS.classes_and_price(), device).state_dict(&idf));
    let model = WordModel::load(&tensors, device).unwrap();
    let columns = model.columns(&idf.batch(&[&texts[0], &texts[1]], device));
    // The bias is the heads' in the graph.
    let bias = Tensor::<2>::from_data(
        TensorData::new(tensors.get("lexical.bias").unwrap().data.clone(), [1, LABELS.classes_and_price()]),
        device,
    );
    (tensors, columns - bias)
}

fn pixels() -> Vec<u8> {
    (0..2 * SIDE * SIDE * 3).map(|i| (i * 37 % 251) as u8).collect()
}

fn text_features(bert: &Bert, device: &Device) -> Tensor<2> {
    let tensor = |rows: [[i64; 7]; 2]| Tensor::<2, Int>::from_data(rows, device);
    l2_normalised(bert.features(tensor(IDS), tensor(MASK)))
}

fn photos(device: &Device) -> Tensor<4> {
    let values: Vec<f32> = pixels().iter().map(|&pixel| (f32::from(pixel) - 127.0) / 128.0).collect();
    let photos = Tensor::<4>::from_data(TensorData::new(values, [2, SIDE, SIDE, 3]), device);
    photos.permute([0, 3, 1, 2])
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

/// The topic stands behind the kind, which is as wide as the classes, and has this share of the squared norm.
fn assert_topic_agrees(outputs: &SessionOutputs<'_>, topic: Tensor<2>, share: f32) {
    let (shape, found) = outputs["embedding"].try_extract_tensor::<f32>().unwrap();
    let (width, [rows, columns]) = (shape[1] as usize, topic.dims());
    let found = Tensor::<2>::from_data(TensorData::new(found.to_vec(), [rows, width]), &topic.device());
    let difference = found.narrow(1, LABELS.classes(), columns) - topic.clone() * share.sqrt();
    let largest = |tensor: Tensor<2>| tensor.abs().max().into_scalar::<f32>();
    assert!(largest(topic) > 1e-2, "the topic says nothing");
    assert!(largest(difference) < 1e-3);
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
    let (heads, tensors) = random_heads(&text_config(), &device);
    let (words, by_words) = random_words(&device);
    let tensors: StateDict = tensors.into_iter().chain(words).collect();
    let weights = bert.state_dict();
    let text = TextBackbone { architecture: architecture(&config), weights: &weights };
    let model = write_text_model(LABELS, text, &tensors, 3, Precision::Float32).unwrap();

    let features = text_features(&bert, &device);
    let columns = heads.columns(features.clone()) + by_words;
    run(&model, false, true, |outputs| {
        assert_columns_agree(outputs, &columns, true);
        assert_topic_agrees(outputs, heads.embed(features), 1.0 - KIND);
    });
}

#[test]
fn the_image_model_says_the_same_in_burn_and_in_onnx_runtime() {
    let device = Device::flex();
    let network = EfficientNetLite2::new(1_000, &device);
    let (heads, tensors) = random_heads(&photo_config(), &device);
    let (projection, space) = random_space(&device);
    let tensors = tensors.into_iter().filter(|(name, _)| name.starts_with("heads.")).chain(space).collect();
    let weights = network.state_dict();
    let image = ImageBackbone::EfficientNetLite2(&weights);
    let model = write_image_model(LABELS, image, &tensors, Precision::Float32).unwrap();

    let features = network.features(photos(&device));
    let columns = heads.columns(features.clone());
    let middle = network.forward_to(FIRST_UPPER_BLOCK, photos(&device));
    let middle = middle.mean_dim(3).mean_dim(2).reshape([2, MIDDLE_FEATURES]);
    let topic = projection.forward(Tensor::cat(vec![features, middle], 1));
    run(&model, true, false, |outputs| {
        assert_columns_agree(outputs, &columns, false);
        assert_topic_agrees(outputs, topic, 1.0 - APPEARANCE);
    });
}

#[test]
fn the_upper_blocks_as_matrices_are_those_of_the_network() {
    let device = Device::flex();
    let network = EfficientNetLite2::new(1_000, &device);
    // Statistics as after training: none is 0 or 1.
    let weights: StateDict = network
        .state_dict()
        .into_iter()
        .map(|(name, mut tensor)| {
            let shift = if name.ends_with("running_var") || name.contains("_bn") { 0.3 } else { 0.0 };
            tensor.data.iter_mut().enumerate().for_each(|(i, x)| *x += shift * (1 + i % 3) as f32);
            (name, tensor)
        })
        .collect();
    let network = EfficientNetLite2::load(&weights, &device).unwrap();
    let upper = UpperBlocks::load(&weights, &device).unwrap();
    let maps = network.forward_to(FIRST_UPPER_BLOCK, photos(&device));
    let [batch, channels, height, width] = maps.dims();
    let by_channel = maps.clone().reshape([batch, channels, height * width]).swap_dims(0, 1);

    let expected = network.features_from(FIRST_UPPER_BLOCK, maps);
    let matrices = upper.forward(by_channel);
    let largest = |tensor: Tensor<2>| tensor.abs().max().into_scalar::<f32>();
    let scale = largest(expected.clone());
    assert!(scale > 1e-2, "the features say nothing");
    assert!(largest(expected.clone() - matrices) < 1e-4 * scale);

    // Written back under the published names they are the same network still.
    let mut written = weights.clone();
    upper.write_into(&mut written);
    let again = EfficientNetLite2::load(&written, &device).unwrap().features(photos(&device));
    assert!(largest(expected - again) < 1e-4 * scale);
    assert_ne!(written.get("_bn1.running_mean").unwrap(), weights.get("_bn1.running_mean").unwrap());
}

fn architecture(config: &BertConfig) -> BertArchitecture {
    BertArchitecture {
        layers: config.layers,
        heads: config.heads,
        layer_norm_epsilon: config.layer_norm_eps as f32,
    }
}
