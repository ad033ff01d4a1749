//! A photo network that knows nothing.

use std::{collections::BTreeMap, path::Path};

use burn::tensor::Device;
use marketrank_train::{networks::EfficientNetLite2, weights};

/// Random weights.
pub fn write_photo_network(file: &Path) {
    let tensors = EfficientNetLite2::new(1, &Device::flex()).state_dict();
    weights::write_safetensors(file, &tensors, &BTreeMap::new()).unwrap();
}
