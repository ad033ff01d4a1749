//! `train image`, from a table, photos and random networks to a run folder.

#[path = "made_up/bikes_and_sofas.rs"]
mod bikes_and_sofas;
#[path = "made_up/onnxruntime.rs"]
mod onnxruntime;
#[path = "made_up/photo_network.rs"]
mod photo_network;
#[path = "made_up/small_bert.rs"]
mod small_bert;

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
    networks::UpperBlocks,
    weights::{self, StateDict},
};

use bikes_and_sofas::write_table;
use onnxruntime::library;
use photo_network::write_photo_network;
use small_bert::{WIDTH, write_bert};

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    train: TrainArgs,
}

/// What `train text` leaves, of a random BERT of one layer.
fn write_text_run(folder: &Path, runs: &Path, table: &CleanTable) {
    write_bert(folder, 1);
    let heads = Heads::new(&text_heads(Corpus::new(table).labels(), WIDTH), &Device::flex()).state_dict();
    fs::create_dir_all(runs.join("text")).unwrap();
    fs::copy(folder.join("model.safetensors"), runs.join("text/backbone.safetensors")).unwrap();
    weights::write_safetensors(&runs.join("text/heads.safetensors"), &heads, &BTreeMap::new()).unwrap();
}

#[test]
fn train_image_keeps_the_mean_of_two_trainings_from_one_start() {
    let folder = tempfile::tempdir().unwrap();
    let inside = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    write_table(folder.path());
    write_photo_network(&folder.path().join("photo.safetensors"));
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
        assert!(one != other, "{name}: the trainings do not differ");
        let close = |((a, b), mean): ((&f32, &f32), &f32)| ((a + b) / 2.0 - mean).abs() < 1e-6;
        assert!(one.iter().zip(&other).zip(&kept).all(close), "{name}");
    }
    let [one, other] = [&heads, &other_heads].map(|of| tensor(of, "heads.0.weight"));
    let apart: f32 = one.iter().zip(&other).map(|(a, b)| (a - b).powi(2)).sum();
    let size: f32 = one.iter().map(|a| a.powi(2)).sum();
    assert!(apart < size / 10.0, "they began alike: {apart} of {size}");
}
