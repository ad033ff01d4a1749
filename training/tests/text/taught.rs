//! A text model learns from a teacher's table, end to end: from the files to what it says of listings it has not seen.

use std::path::Path;

use burn::tensor::Device;
use clap::Parser;
use marketrank_train::{
    data::CleanTable,
    learn::{
        backbone::{TextNetwork, WeightsArgs},
        corpus::Corpus,
        heads::Heads,
        recipes::text_heads,
        text::{TextLesson, TextModel},
    },
    networks::Bert,
};

use crate::{
    bikes_and_sofas::write_table,
    small_bert::write_bert,
    teacher::{accuracy, recipe, write_answers},
};

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    weights: WeightsArgs,
}

/// Two layers.
fn small_network(folder: &Path) -> TextNetwork {
    write_bert(folder, 2);
    Flags::parse_from(["test", "--text-weights", folder.to_str().unwrap()]).weights.text_network().unwrap()
}

/// How many of the validation listings a model that learnt the lesson gets right.
fn learnt(network: &TextNetwork, lesson: &TextLesson, run: &Path) -> f32 {
    let training = Device::flex().autodiff();
    let model = TextModel {
        bert: Bert::load(&network.config, network.weights(), &training).unwrap(),
        heads: Heads::new(&text_heads(lesson.labels, network.config.width), &training),
    };
    accuracy(&recipe(12, 8, 1e-2), lesson, model, run)
}

#[test]
fn a_model_believes_its_teacher_more_than_labels_that_say_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let answers = folder.path().join("answers.csv");
    write_table(folder.path());
    write_answers(&answers);
    let device = Device::flex();
    device.seed(1);
    let network = small_network(folder.path());
    let bert = Bert::load(&network.config, network.weights(), &device).unwrap();
    let table = CleanTable::read(folder.path()).unwrap();
    let corpus = Corpus::new(&table);
    let lesson = |teacher| corpus.text_lesson(&network, &bert, teacher, &device).unwrap();

    let alone = learnt(&network, &lesson(None), &folder.path().join("alone"));
    let taught = learnt(&network, &lesson(Some(&answers)), &folder.path().join("taught"));

    assert!(taught > 0.95 && alone < 0.05, "{taught} {alone}");
}
