use std::fs;
use std::os::unix::fs::symlink;

use burn::tensor::{Device, Int, Tensor, TensorData};
use marketrank_train::networks::{Bert, BertConfig};
use marketrank_train::weights::{StateDict, StateDictError};
use serde::Deserialize;
use tokenizers::{Tokenizer, TruncationParams};

use crate::closeness::assert_close;
use crate::weights_flags::weights_from;
use crate::{published, published_weights, reference};

#[derive(Deserialize)]
struct Outputs {
    max_length: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    input_ids: Vec<u32>,
    embedding_first8: Vec<f32>,
    embedding_sum: f32,
}

fn config() -> BertConfig {
    BertConfig::read(&published("minilm/config.json")).unwrap()
}

fn minilm(device: &Device) -> Bert {
    Bert::load(&config(), &published_weights("minilm/model.safetensors"), device).unwrap()
}

/// Ids and mask of sentences of several lengths, padded to the longest.
fn batch(sentences: &[&[u32]], device: &Device) -> [Tensor<2, Int>; 2] {
    let longest = sentences.iter().map(|ids| ids.len()).max().unwrap();
    let padded = |value: &dyn Fn(u32) -> i64| {
        let rows =
            sentences.iter().flat_map(|ids| (0..longest).map(|at| ids.get(at).map_or(0, |id| value(*id))));
        let values: Vec<i64> = rows.collect();
        Tensor::from_data(TensorData::new(values, [sentences.len(), longest]), device)
    };
    [padded(&|id| i64::from(id)), padded(&|_| 1)]
}

/// The rows of `[batch, width]`, each scaled to length 1.
fn unit_rows(embeddings: Tensor<2>) -> Vec<Vec<f32>> {
    let [_, width] = embeddings.dims();
    let values: Vec<f32> = embeddings.into_data().try_to_vec().unwrap();
    let unit = |row: &[f32]| {
        let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        row.iter().map(|value| value / length).collect()
    };
    values.chunks(width).map(unit).collect()
}

#[test]
fn minilm_tokens_are_those_of_transformers() {
    let expected: Outputs = reference("minilm.json");
    let mut tokenizer = Tokenizer::from_file(published("minilm/tokenizer.json")).unwrap();
    let truncation = TruncationParams { max_length: expected.max_length, ..TruncationParams::default() };
    tokenizer.with_truncation(Some(truncation)).unwrap().with_padding(None);

    for case in expected.cases {
        let encoding = tokenizer.encode(case.text.as_str(), true).unwrap();
        assert_eq!(encoding.get_ids(), case.input_ids, "{}", case.text);
    }
}

#[test]
fn minilm_gives_what_transformers_gives_alone_and_in_a_padded_batch() {
    let expected: Outputs = reference("minilm.json");
    let device = Device::flex();
    let network = minilm(&device);
    let sentences: Vec<&[u32]> = expected.cases.iter().map(|case| case.input_ids.as_slice()).collect();

    let [ids, mask] = batch(&sentences, &device);
    let together = unit_rows(network.features(ids, mask));

    for (case, together) in expected.cases.iter().zip(together) {
        let [ids, mask] = batch(&[&case.input_ids], &device);
        let alone = unit_rows(network.features(ids, mask)).remove(0);
        for embedding in [alone, together] {
            assert_close(&case.text, &embedding[..8], &case.embedding_first8);
            assert_close(&case.text, &[embedding.iter().sum()], &[case.embedding_sum]);
        }
    }
}

#[test]
fn bert_gives_back_the_weights_it_was_loaded_with() {
    let weights = published_weights("minilm/model.safetensors");

    let returned = Bert::load(&config(), &weights, &Device::flex()).unwrap().state_dict();

    assert!(returned == weights);
}

#[test]
fn bert_is_found_inside_a_model_with_a_head_and_the_first_release_s_names() {
    let weights = published_weights("minilm/model.safetensors");
    let wrapped: StateDict = weights
        .iter()
        .map(|(name, tensor)| {
            let name = name
                .replace("LayerNorm.weight", "LayerNorm.gamma")
                .replace("LayerNorm.bias", "LayerNorm.beta");
            (format!("bert.{name}"), tensor.clone())
        })
        .collect();

    let network = Bert::load(&config(), &wrapped, &Device::flex()).unwrap();

    assert!(network.state_dict() == weights);
}

#[test]
fn a_config_of_another_size_than_the_weights_names_the_tensor() {
    let mut wider = config();
    wider.intermediate_width = 3072;

    let refusal = Bert::load(&wider, &published_weights("minilm/model.safetensors"), &Device::flex());

    let Err(StateDictError::Shape { name, expected, .. }) = refusal else { panic!("no shape was refused") };
    assert_eq!((name.as_str(), expected), ("encoder.layer.0.intermediate.dense.weight", vec![3072, 384]));
}

/// MiniLM's `config.json` with one value replaced.
fn refusal_of(field: &str, value: serde_json::Value) -> String {
    let original = fs::read_to_string(published("minilm/config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&original).unwrap();
    config[field] = value;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    fs::write(&path, config.to_string()).unwrap();
    BertConfig::read(&path).unwrap_err().to_string()
}

#[test]
fn a_config_of_absurd_depth_is_refused() {
    let refusal = refusal_of("num_hidden_layers", 1_000_000_000_u64.into());

    assert!(refusal.contains("num_hidden_layers is 1000000000, and only 1 to 256"), "{refusal}");
}

#[test]
fn a_config_of_another_activation_is_refused() {
    let refusal = refusal_of("hidden_act", "relu".into());

    assert!(refusal.contains("hidden_act is \"relu\", and only \"gelu\""), "{refusal}");
}

#[test]
fn a_config_of_another_kind_of_network_with_the_same_tensors_is_refused() {
    let refusal = refusal_of("model_type", "roberta".into());

    assert!(refusal.contains("model_type is \"roberta\", and only \"bert\""), "{refusal}");
}

#[test]
fn a_network_of_more_layers_than_its_config_names_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["model.safetensors", "tokenizer.json"] {
        symlink(published("minilm").join(file), folder.path().join(file)).unwrap();
    }
    let config = fs::read_to_string(published("minilm/config.json")).unwrap();
    let five = config.replace("\"num_hidden_layers\": 6", "\"num_hidden_layers\": 5");
    fs::write(folder.path().join("config.json"), five).unwrap();

    let refusal = weights_from("--text-weights", folder.path()).text_network().err().unwrap().to_string();

    assert!(refusal.contains("more than the 5 layers"), "{refusal}");
}

#[test]
fn a_config_whose_heads_do_not_divide_the_width_is_refused() {
    let refusal = refusal_of("num_attention_heads", 7.into());

    assert!(refusal.contains("hidden_size is 384, and only a multiple of the 7 heads"), "{refusal}");
}
