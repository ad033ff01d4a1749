//! A photo model learns from a teacher's table, end to end: from the files to what it says of photos it has not seen.

#[path = "made_up/bikes_and_sofas.rs"]
mod bikes_and_sofas;
#[path = "made_up/onnxruntime.rs"]
mod onnxruntime;
#[path = "made_up/photo_network.rs"]
mod photo_network;
#[path = "made_up/teacher.rs"]
mod teacher;
#[path = "made_up/weights_flags.rs"]
mod weights_flags;

use std::path::Path;

use burn::tensor::Device;
use marketrank::inference::{Device as Provider, Runtime};
use marketrank_train::{
    data::CleanTable,
    learn::{
        corpus::{Corpus, TextEmbeddings},
        feature_store::FeatureStore,
        features::Features,
        heads::Heads,
        photo::{PhotoLesson, PhotoModel},
        recipes::image_heads,
    },
};

use bikes_and_sofas::{LISTINGS, write_table};
use onnxruntime::library;
use photo_network::write_photo_network;
use teacher::{accuracy, recipe, write_answers};
use weights_flags::weights_from;

/// How many of the validation photos heads that learnt the lesson, on the maps half-way up, get right.
fn learnt_from(lesson: &PhotoLesson, run: &Path) -> f32 {
    let [channels, _] = lesson.train.views[0].shape();
    let config = image_heads(lesson.labels, channels, lesson.train.anchors[0].width());
    let model = PhotoModel { upper: None, heads: Heads::new(&config, &Device::flex().autodiff()) };
    // Labels and teacher have equal shares: small steps, for the teacher's part is not much the larger.
    accuracy(&recipe(40, 16, 5e-3), lesson, model, run)
}

#[test]
fn a_photo_model_believes_what_a_teacher_says_of_the_text_more_than_labels_that_say_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let answers = folder.path().join("answers.csv");
    write_table(folder.path());
    write_answers(&answers);
    let device = Device::flex();
    device.seed(1);
    let file = folder.path().join("photo.safetensors");
    write_photo_network(&file);
    let network = weights_from("--image-weights", &file).photo_network().unwrap();
    let table = CleanTable::read(folder.path()).unwrap();
    let corpus = Corpus::new(&table);
    let runtime = Runtime::load(Path::new(&library()), Provider::Cpu).expect("run `make setup`");
    let store = FeatureStore::new(&runtime, folder.path().join("features"));
    // They tell bikes from sofas.
    let rows: Vec<f32> = (0..LISTINGS).flat_map(|number| [[1.0, 0.0], [0.0, 1.0]][number % 2]).collect();
    let [whole, title] = [rows.clone(), rows].map(|rows| Features::new(2, rows));
    let embeddings = TextEmbeddings { whole, title, made_by: "this test".into() };
    let teacher = corpus.teacher(&answers).unwrap();
    let learnt = |teacher, run| {
        let lesson = corpus.photo_lesson(&store, &network, &embeddings, 0, teacher, &device).unwrap();
        learnt_from(&lesson, &folder.path().join(run))
    };

    let (alone, taught) = (learnt(None, "alone"), learnt(Some(&teacher), "taught"));

    assert!(taught > 0.95 && alone < 0.05, "{taught} {alone}");
}
