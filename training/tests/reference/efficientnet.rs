use burn::tensor::{Device, Tensor, TensorData};
use marketrank_train::networks::{EfficientNetLite2, ResNet50};
use serde::Deserialize;

use crate::closeness::{assert_close, mean_and_deviation};
use crate::{made_up, published_weights, reference};

const SIZE: usize = EfficientNetLite2::PHOTO_SIZE;

#[derive(Deserialize)]
struct Outputs {
    top5_class: Vec<Vec<usize>>,
    top5_logit: Vec<Vec<f32>>,
    embedding_first8: Vec<Vec<f32>>,
    embedding_mean: Vec<f32>,
}

/// The two inputs of the reference: waves, and noise. `[2, 3, 260, 260]`.
fn photos(device: &Device) -> Tensor<4> {
    let last = (SIZE - 1) as f32;
    let pixels = (0..3)
        .flat_map(|c| (0..SIZE).flat_map(move |y| (0..SIZE).map(move |x| (c as f32, y as f32, x as f32))));
    let waves: Vec<f32> =
        pixels.map(|(c, y, x)| (6.0 * x / last + 3.0 * c).sin() * (5.0 * y / last - 2.0 * c).cos()).collect();
    let waves = Tensor::from_data(TensorData::new(waves, [1, 3, SIZE, SIZE]), device);
    Tensor::cat(vec![waves, made_up::input([1, 3, SIZE, SIZE], 2.0, device)], 0)
}

#[test]
fn efficientnet_lite2_gives_what_onnx_runtime_gives() {
    let expected: Outputs = reference("efficientnet_lite2.json");
    let device = Device::flex();
    let network = EfficientNetLite2::load(&published_weights("efficientnet_lite2.pth"), &device).unwrap();
    let photos = photos(&device);

    let features: Vec<f32> = network.features(photos.clone()).into_data().try_to_vec().unwrap();
    let logits: Vec<f32> = network.forward(photos).into_data().try_to_vec().unwrap();

    for (photo, features) in features.chunks(EfficientNetLite2::EMBEDDING_WIDTH).enumerate() {
        assert_close("embedding", &features[..8], &expected.embedding_first8[photo]);
        let [mean, _] = mean_and_deviation(features);
        assert_close("embedding mean", &[mean], &[expected.embedding_mean[photo]]);
    }
    for (photo, logits) in logits.chunks(1000).enumerate() {
        let mut classes: Vec<usize> = (0..1000).collect();
        classes.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
        assert_eq!(classes[..5], expected.top5_class[photo]);
        let best: Vec<f32> = classes[..5].iter().map(|class| logits[*class]).collect();
        assert_close("logits", &best, &expected.top5_logit[photo]);
    }
}

#[test]
fn efficientnet_lite2_split_at_any_block_gives_the_same_features() {
    let device = Device::flex();
    let network = EfficientNetLite2::new(1, &device);
    let photos = made_up::input([1, 3, 64, 64], 2.0, &device);
    let whole: Vec<f32> = network.features(photos.clone()).into_data().try_to_vec().unwrap();

    for blocks in [1, 16, network.blocks()] {
        let parts = network.features_from(blocks, network.forward_to(blocks, photos.clone()));
        assert_eq!(parts.into_data().try_to_vec::<f32>().unwrap(), whole, "split after {blocks} blocks");
    }
}

#[test]
fn efficientnet_lite2_gives_back_the_weights_it_was_loaded_with() {
    let weights = published_weights("efficientnet_lite2.pth");

    let returned = EfficientNetLite2::load(&weights, &Device::flex()).unwrap().state_dict();

    assert!(returned == weights);
}

#[test]
fn weights_of_another_architecture_name_the_missing_tensor() {
    let device = Device::flex();
    let weights = ResNet50::new(13, &device).state_dict();

    let refusal = EfficientNetLite2::load(&weights, &device).unwrap_err().to_string();

    assert!(refusal.contains("\"_fc.bias\"") && refusal.contains("another architecture"), "{refusal}");
}
