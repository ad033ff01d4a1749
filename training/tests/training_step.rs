//! One step of training changes what it should: gradients reach every weight of every network.

use std::fs;

use burn::module::Module;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Distribution, Int, Tensor};
use marketrank_train::networks::resnet50::LastStage;
use marketrank_train::networks::{Bert, BertConfig, EfficientNetLite2, ResNet50};
use marketrank_train::weights::StateDict;

/// The network after one step down the mean square of its output.
fn step<M: Module>(network: M, output: Tensor<2>) -> M {
    let gradients = GradientsParams::from_grads(output.square().mean().backward(), &network);
    SgdConfig::new().init().step(0.1, network, gradients)
}

fn names_of_unchanged(before: &StateDict, after: &StateDict) -> Vec<String> {
    assert_eq!(before.len(), after.len());
    let unchanged =
        before.iter().filter(|(name, tensor)| after.get(name).is_ok_and(|after| after == *tensor));
    unchanged.map(|(name, _)| name.to_owned()).collect()
}

fn photos(device: &Device) -> Tensor<4> {
    device.seed(7);
    Tensor::random([2, 3, 64, 64], Distribution::Normal(0.0, 1.0), device)
}

#[test]
fn a_step_changes_every_weight_and_statistic_of_resnet50() {
    let device = Device::flex().autodiff();
    let network = ResNet50::new(13, &device);
    let before = network.state_dict();

    let output = network.forward(photos(&device));
    let after = step(network, output).state_dict();

    assert_eq!(names_of_unchanged(&before, &after), Vec::<String>::new());
}

#[test]
fn the_last_stage_on_the_maps_of_the_third_sees_what_the_whole_network_sees() {
    let device = Device::flex();
    let network = ResNet50::new(13, &device);
    let photos = photos(&device);
    let [_, _, maps, _] = network.stages(photos.clone());
    let last = LastStage::load(&network.state_dict(), 4, &device).unwrap();

    let features = last.features(maps);
    let difference = (features.clone() - network.features(photos)).abs().max().into_scalar::<f32>();

    assert!(difference < 1e-4, "{difference}");
    assert_eq!(last.classify(features).dims(), [2, 4]);
}

#[test]
fn a_step_changes_every_weight_and_statistic_of_efficientnet_lite2() {
    let device = Device::flex().autodiff();
    let network = EfficientNetLite2::new(13, &device);
    let before = network.state_dict();

    let output = network.forward(photos(&device));
    let after = step(network, output).state_dict();

    assert_eq!(names_of_unchanged(&before, &after), Vec::<String>::new());
}

#[test]
fn a_step_changes_every_weight_of_bert() {
    let device = Device::flex().autodiff();
    let config = small_bert();
    let network = Bert::new(&config, &device);
    let before = network.state_dict();

    let ids = Tensor::<2, Int>::from_data([[1, 2, 3], [4, 5, 0]], &device);
    let mask = Tensor::<2, Int>::from_data([[1, 1, 1], [1, 1, 0]], &device);
    let output = network.features(ids, mask);
    let after = step(network, output).state_dict();

    // The softmax of attention does not see what is added to all keys alike.
    let unchanged = names_of_unchanged(&before, &after);
    assert!(unchanged.iter().all(|name| name.ends_with("attention.self.key.bias")), "{unchanged:?}");
}

/// Two layers of two heads, eight numbers wide.
fn small_bert() -> BertConfig {
    let config = r#"{"vocab_size": 6, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 16, "max_position_embeddings": 4}"#;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    fs::write(&path, config).unwrap();
    BertConfig::read(&path).unwrap()
}
