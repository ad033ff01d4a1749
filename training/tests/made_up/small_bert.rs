//! A text network that is learnt in seconds.

use std::{collections::BTreeMap, fs, path::Path};

use burn::tensor::Device;
use marketrank_train::{
    networks::{Bert, BertConfig},
    weights,
};

/// Numbers that stand for a token.
pub const WIDTH: usize = 16;

/// Random layers of two heads, with the served tokenizer, as a folder of published weights.
pub fn write_bert(folder: &Path, layers: usize) {
    let config = format!(
        r#"{{"vocab_size": 30522, "hidden_size": {WIDTH}, "num_hidden_layers": {layers}, "num_attention_heads": 2,
        "intermediate_size": 32, "max_position_embeddings": 128}}"#
    );
    fs::write(folder.join("config.json"), config).unwrap();
    let tokenizer = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tokenizer.json");
    fs::copy(tokenizer, folder.join("tokenizer.json")).unwrap();
    let config = BertConfig::read(&folder.join("config.json")).unwrap();
    let tensors = Bert::new(&config, &Device::flex()).state_dict();
    weights::write_safetensors(&folder.join("model.safetensors"), &tensors, &BTreeMap::new()).unwrap();
}
