//! A text model learns from a teacher's table, end to end: from the files to what it says of listings it has not seen.

use std::{fmt::Write as _, fs, path::Path};

use burn::tensor::Device;
use clap::Parser;
use marketrank_train::{
    data::CleanTable,
    learn::{
        backbone::{TextNetwork, WeightsArgs},
        corpus::Corpus,
        fit::{FitConfig, fit, schedule::Schedule},
        heads::Heads,
        recipes::text_heads,
        text::{TextLesson, TextModel},
    },
    networks::Bert,
};

use crate::small::{COLUMNS, write_network};

const THINGS: [&str; 2] = ["bike", "sofa"];
const LISTINGS: usize = 60;
const FIRST_OF_VALIDATION: usize = 40;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    weights: WeightsArgs,
}

/// A clean table of bikes and sofas, of which all training listings are filed wrong.
fn write_table(folder: &Path) {
    let mut table = COLUMNS.to_owned();
    for number in 0..LISTINGS {
        let thing = number % 2;
        let validation = number >= FIRST_OF_VALIDATION;
        let category = if validation { thing } else { 1 - thing };
        let split = if validation { "validation" } else { "train" };
        let filed = ["Bikes", "Sofas"][category];
        let title = THINGS[thing];
        writeln!(table, "{number},{title},used {title} {number},{filed},,{filed},,,,,{split},").unwrap();
    }
    fs::write(folder.join("products.csv"), table).unwrap();
}

/// A teacher who knows what is what, in the order in which it pleased it to answer.
fn write_answers(path: &Path) {
    let mut table = "listing,part,title,description,c0,c1,c2,c3,c4\n".to_owned();
    for number in (0..FIRST_OF_VALIDATION).rev() {
        let thing = number % 2;
        let (name, answer) = (THINGS[thing], ["6,-6,0,3,0", "-6,6,0,3,0"][thing]);
        for (part, title, text) in [
            ("view", name, format!("{name} {number}")),
            ("title", name, String::new()),
            ("whole", name, format!("used {name} {number}")),
        ] {
            writeln!(table, "{number},{part},{title},{text},{answer}").unwrap();
        }
    }
    fs::write(path, table).unwrap();
}

/// Two layers.
fn small_network(folder: &Path) -> TextNetwork {
    write_network(folder, 2);
    Flags::parse_from(["test", "--text-weights", folder.to_str().unwrap()]).weights.text_network().unwrap()
}

/// How many of the validation listings a model that learnt the lesson gets right.
fn accuracy(network: &TextNetwork, lesson: &TextLesson, run: &Path) -> f32 {
    let device = Device::flex();
    let training = device.clone().autodiff();
    let model = TextModel {
        bert: Bert::load(&network.config, network.weights(), &training).unwrap(),
        heads: Heads::new(&text_heads(lesson.labels, network.config.width), &training),
    };
    let config = FitConfig {
        epochs: 12,
        batch_size: 8,
        shards: 1,
        learning_rate: 1e-2,
        schedule: Schedule::OneCycle,
        weight_decay: 1e-2,
        gradient_clip: 1.0,
        patience: 12,
        seed: 1,
    };
    let fitted = fit(&config, lesson, model, &device, run, false).unwrap();
    fitted.epochs.last().unwrap().validation.accuracy as f32
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

    let alone = accuracy(&network, &lesson(None), &folder.path().join("alone"));
    let taught = accuracy(&network, &lesson(Some(&answers)), &folder.path().join("taught"));

    assert!(taught > 0.95 && alone < 0.05, "{taught} {alone}");
}
