//! A table and a network that are learnt in seconds.

use std::{collections::BTreeMap, fs, path::Path};

use burn::tensor::Device;
use marketrank_train::{
    networks::{Bert, BertConfig},
    weights,
};

/// The columns of a clean table.
pub const COLUMNS: &str = "id,title,description,category,subcategory,category_path,price,currency,location,\
    listed_at,split,photos\n";

/// Layers of two heads, sixteen numbers wide, with the served tokenizer.
pub fn write_network(folder: &Path, layers: usize) {
    let config = format!(
        r#"{{"vocab_size": 30522, "hidden_size": 16, "num_hidden_layers": {layers}, "num_attention_heads": 2,
        "intermediate_size": 32, "max_position_embeddings": 128}}"#
    );
    fs::write(folder.join("config.json"), config).unwrap();
    let tokenizer = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tokenizer.json");
    fs::copy(tokenizer, folder.join("tokenizer.json")).unwrap();
    let config = BertConfig::read(&folder.join("config.json")).unwrap();
    let tensors = Bert::new(&config, &Device::flex()).state_dict();
    weights::write_safetensors(&folder.join("model.safetensors"), &tensors, &BTreeMap::new()).unwrap();
}
