//! `train image`, from a table, photos and random networks to a run folder.

mod bikes_and_sofas;

use std::{collections::BTreeMap, fs, path::Path};

use burn::{module::Module, tensor::Device};
use clap::Parser;
use marketrank_train::{
    data::CleanTable,
    learn::{
        corpus::Corpus,
        heads::Heads,
        photo::PhotoModel,
        recipes::{image_heads, text_heads},
        run::{Model, TrainArgs, backbone_file, read_heads, train},
    },
    networks::{Bert, BertConfig, UpperBlocks},
    weights::{self, StateDict},
};

use bikes_and_sofas::{library, write_network, write_table};

/// Width of the small BERT.
const WIDTH: usize = 16;

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    train: TrainArgs,
}

/// What `train text` leaves, of a random BERT of one layer.
fn write_text_run(folder: &Path, runs: &Path, table: &CleanTable) {
    let config = format!(
        r#"{{"vocab_size": 30522, "hidden_size": {WIDTH}, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 32, "max_position_embeddings": 128}}"#
    );
    fs::write(folder.join("config.json"), config).unwrap();
    let tokenizer = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tokenizer.json");
    fs::copy(tokenizer, folder.join("tokenizer.json")).unwrap();
    let config = BertConfig::read(&folder.join("config.json")).unwrap();
    let bert = Bert::new(&config, &Device::flex()).state_dict();
    let heads = Heads::new(&text_heads(Corpus::new(table).labels(), WIDTH), &Device::flex()).state_dict();
    fs::create_dir_all(runs.join("text")).unwrap();
    let write = |file: &Path, tensors| weights::write_safetensors(file, tensors, &BTreeMap::new()).unwrap();
    write(&folder.join("model.safetensors"), &bert);
    write(&runs.join("text/backbone.safetensors"), &bert);
    write(&runs.join("text/heads.safetensors"), &heads);
}

#[test]
fn train_image_keeps_the_mean_of_two_trainings_from_one_start() {
    let folder = tempfile::tempdir().unwrap();
    let inside = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    write_table(folder.path());
    write_network(&folder.path().join("photo.safetensors"));
    let table = CleanTable::read(folder.path()).unwrap();
    let runs = folder.path().join("runs");
    write_text_run(folder.path(), &runs, &table);
    let [clean, photo, text] = [inside(""), inside("photo.safetensors"), inside("")];
    let [runs_flag, features, library] = [inside("runs"), inside("features"), library()];
    let flags = [
        ["--clean", &clean],
        ["--image-weights", &photo],
        ["--text-weights", &text],
        ["--runs", &runs_flag],
        ["--features", &features],
        ["--onnxruntime", &library],
        ["--epochs", "1"],
        ["--batch-size", "16"],
    ];
    let program = Program::parse_from(["train", "image"].into_iter().chain(flags.into_iter().flatten()));

    train(&program.train).unwrap();

    let published = weights::read(Path::new(&photo)).unwrap();
    let device = Device::flex();
    let member = |number: usize| -> [StateDict; 2] {
        let checkpoint = runs.join(format!("image/photo-{number}/checkpoint/best.bpk"));
        let upper = UpperBlocks::load(&published, &device).unwrap();
        let heads = Heads::new(&image_heads(Corpus::new(&table).labels(), 1_280, WIDTH), &device);
        let model = PhotoModel { upper: Some(upper), heads }.try_load_file(checkpoint).unwrap();
        let mut backbone = published.clone();
        model.upper.unwrap().write_into(&mut backbone);
        [model.heads.state_dict(), backbone]
    };
    let ([heads, backbone], [other_heads, other_backbone]) = (member(0), member(1));
    let tensor = |of: &StateDict, name: &str| of.get(name).unwrap().data.clone();
    let kept_heads = read_heads(&runs, Model::Image).unwrap();
    let kept_backbone = weights::read(&backbone_file(&runs, Model::Image).unwrap()).unwrap();
    for (one, other, kept, name) in [
        (&heads, &other_heads, &kept_heads, "heads.0.weight"),
        (&heads, &other_heads, &kept_heads, "projection.1.weight"),
        (&backbone, &other_backbone, &kept_backbone, "_blocks.20._depthwise_conv.weight"),
        (&backbone, &other_backbone, &kept_backbone, "_conv_head.weight"),
        (&backbone, &other_backbone, &kept_backbone, "_bn1.bias"),
    ] {
        let [one, other, kept] = [one, other, kept].map(|of| tensor(of, name));
        assert_ne!(one, other, "{name}: the trainings differ");
        let close = |((a, b), mean): ((&f32, &f32), &f32)| ((a + b) / 2.0 - mean).abs() < 1e-6;
        assert!(one.iter().zip(&other).zip(&kept).all(close), "{name}");
    }
    let [one, other] = [&heads, &other_heads].map(|of| tensor(of, "heads.0.weight"));
    let apart: f32 = one.iter().zip(&other).map(|(a, b)| (a - b).powi(2)).sum();
    let size: f32 = one.iter().map(|a| a.powi(2)).sum();
    assert!(apart < size / 10.0, "they began alike: {apart} of {size}");
}
