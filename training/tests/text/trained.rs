//! `train text`, from a table and a network to a run folder.

use std::{fmt::Write as _, fs, path::Path};

use clap::Parser;
use marketrank::{artefacts::TextInput, preprocess::TextEncoder};
use marketrank_train::{
    learn::{
        amounts::Pieces,
        run::{Model, TrainArgs, read_heads, train},
    },
    onnx::amounts::{BEFORE, CONTEXT},
};

use crate::{bikes_and_sofas::COLUMNS, onnxruntime::library, small_bert::write_bert};

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    train: TrainArgs,
}

/// Listings of which most name what they cost, beside what they cost when new.
fn write_table(folder: &Path) {
    let mut table = COLUMNS.to_owned();
    for number in 0..80 {
        let split = if number % 4 == 0 { "validation" } else { "train" };
        let category = ["Bikes", "Sofas"][number % 2];
        let (price, new) = (5 + 7 * (number % 13), 5 + 7 * (number % 11));
        let text = format!("retail £{new} asking £{price}");
        writeln!(table, "{number},thing {number},{text},{category},,{category},{price},GBP,,,{split},")
            .unwrap();
    }
    fs::write(folder.join("products.csv"), table).unwrap();
}

#[test]
fn the_text_model_learns_which_of_the_amounts_in_a_text_is_the_price() {
    let folder = tempfile::tempdir().unwrap();
    write_table(folder.path());
    write_bert(folder.path(), 1);
    let inside = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let runs = folder.path().join("runs");
    let library = library();
    let [clean, text, runs_flag, features] = [inside(""), inside(""), inside("runs"), inside("features")];
    let args = Program::parse_from([
        "train",
        "text",
        "--clean",
        &clean,
        "--text-weights",
        &text,
        "--runs",
        &runs_flag,
        "--features",
        &features,
        "--onnxruntime",
        &library,
        "--epochs",
        "4",
        "--batch-size",
        "8",
    ]);

    train(&args.train).unwrap();

    let heads = read_heads(&runs, Model::Text).unwrap();
    let encoder =
        TextEncoder::from_file(&folder.path().join("tokenizer.json"), TextInput { max_tokens: 8 }).unwrap();
    assert_eq!(heads.get("amounts.pieces").unwrap(), &Pieces::of(&encoder.word_pieces()).tensor());
    let context = heads.get("amounts.context").unwrap();
    let worth = |word: &str| {
        let id = encoder.encode(word, "").unwrap().ids()[1] as usize;
        context.data[id * CONTEXT + BEFORE - 1]
    };
    assert!(worth("asking") > 0.0 && worth("retail") < 0.0, "{} {}", worth("asking"), worth("retail"));
    assert!(runs.join("text/amounts").is_dir(), "its curves and checkpoints");
}
