use burn::tensor::Device;
use marketrank_train::networks::ResNet50;
use serde::Deserialize;

use crate::closeness::{assert_close, mean_and_deviation};
use crate::{made_up, reference};

#[derive(Deserialize)]
struct Outputs {
    input_shape: [usize; 4],
    logits_first8: Vec<Vec<f32>>,
    logits_mean: Vec<f32>,
    logits_std: Vec<f32>,
    argmax: Vec<usize>,
    layer1: Summary,
    layer2: Summary,
    layer3: Summary,
    layer4: Summary,
    avgpool: Summary,
}

#[derive(Deserialize)]
struct Summary {
    shape: Vec<usize>,
    mean: f32,
    std: f32,
    first4: Vec<f32>,
}

impl Summary {
    fn assert_matches(&self, what: &str, values: &[f32]) {
        assert_eq!(values.len(), self.shape.iter().product::<usize>(), "{what}");
        assert_close(what, &values[..4], &self.first4);
        assert_close(what, &mean_and_deviation(values), &[self.mean, self.std]);
    }
}

#[test]
fn resnet50_gives_what_torchvision_gives() {
    let expected: Outputs = reference("resnet50.json");
    let device = Device::flex();
    let weights = made_up::resnet(&ResNet50::new(1000, &device).state_dict());
    let network = ResNet50::load(&weights, &device).unwrap();
    let photos = made_up::input(expected.input_shape, 4.0, &device);

    let stages = network.stages(photos.clone());
    let features = network.features(photos.clone());
    let logits = network.forward(photos);

    let recorded = [&expected.layer1, &expected.layer2, &expected.layer3, &expected.layer4];
    for (number, (stage, recorded)) in stages.into_iter().zip(recorded).enumerate() {
        assert_eq!(stage.dims().to_vec(), recorded.shape);
        recorded.assert_matches(&format!("layer{}", number + 1), &stage.into_data().try_to_vec().unwrap());
    }
    expected.avgpool.assert_matches("avgpool", &features.into_data().try_to_vec().unwrap());
    let logits: Vec<f32> = logits.into_data().try_to_vec().unwrap();
    for (photo, logits) in logits.chunks(1000).enumerate() {
        assert_close("logits", &logits[..8], &expected.logits_first8[photo]);
        let spread = [expected.logits_mean[photo], expected.logits_std[photo]];
        assert_close("logits", &mean_and_deviation(logits), &spread);
        let best = (0..1000).max_by(|a, b| logits[*a].total_cmp(&logits[*b]));
        assert_eq!(best, Some(expected.argmax[photo]));
    }
}

#[test]
fn resnet50_has_the_parameters_torchvision_says() {
    let weights = ResNet50::new(1000, &Device::flex()).state_dict();

    let trainable = weights.iter().filter(|(name, _)| !name.contains(".running_"));
    assert_eq!(trainable.map(|(_, tensor)| tensor.data.len()).sum::<usize>(), 25_557_032);
}

#[test]
fn resnet50_gives_back_the_weights_it_was_loaded_with() {
    let device = Device::flex();
    let weights = made_up::resnet(&ResNet50::new(13, &device).state_dict());

    let returned = ResNet50::load(&weights, &device).unwrap().state_dict();

    assert!(returned == weights);
}
