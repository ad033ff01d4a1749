//! The amounts that texts name, in the graph and in training.

use std::path::Path;

use burn::tensor::Device;
use marketrank::{artefacts::TextInput, preprocess::TextEncoder};
use marketrank_train::{
    learn::{
        amounts::Pieces,
        fit::{FitConfig, Lesson, fit, schedule::Schedule},
        named_price::{NamedExample, NamedPrice, NamedPriceLesson},
    },
    onnx::{
        Dim, GraphBuilder, Precision,
        amounts::{BEFORE, CONTEXT, named_price},
    },
    weights::{HostTensor, StateDict},
};

use crate::runtime::{Output, Runtime, assert_close, tensor};

/// The raw columns of a price that the other words guess: e^3, in a band of 1 to both sides.
const GUESS: [f32; 3] = [0.541_324_9, 3.0, 0.541_324_9];

fn encoder() -> TextEncoder {
    let tokenizer = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tokenizer.json");
    TextEncoder::from_file(&tokenizer, TextInput { max_tokens: 64 }).unwrap()
}

fn ids(text: &str) -> Vec<i64> {
    encoder().encode(text, "").unwrap().ids().to_vec()
}

fn pieces() -> Pieces {
    Pieces::of(&encoder().word_pieces())
}

/// Tensors of which amounts count `score` wherever they stand, against 0 for the guess.
fn weights(score: f32) -> StateDict {
    let pieces = pieces();
    let mut weights = StateDict::default();
    let context = HostTensor { shape: vec![pieces.len(), CONTEXT], data: vec![0.0; pieces.len() * CONTEXT] };
    weights.insert("amounts.context", context);
    weights.insert("amounts.pieces", pieces.tensor());
    weights.insert("amounts.distance.0.weight", HostTensor { shape: vec![1, 1], data: vec![0.0] });
    weights.insert("amounts.distance.0.bias", HostTensor { shape: vec![1], data: vec![score] });
    weights.insert("amounts.band", HostTensor { shape: vec![2], data: vec![-4.0, -2.0] });
    weights
}

/// What a piece is worth to an amount that stands so many places behind it.
fn set_worth(weights: &mut StateDict, word: &str, places: usize, worth: f32) {
    let [_, id, _] = ids(word)[..] else { panic!("{word} is more than one piece") };
    let mut context = weights.get("amounts.context").unwrap().clone();
    context.data[id as usize * CONTEXT + BEFORE - places] = worth;
    weights.insert("amounts.context", context);
}

/// Price columns of texts, padded to the longest, of which all are guessed alike.
fn columns_of(weights: &StateDict, texts: &[Vec<i64>]) -> Output {
    let vocabulary = pieces().len();
    let mut g = GraphBuilder::new("amounts", Precision::Float16);
    let ids = g.input("ids", &[Dim::Named("batch"), Dim::Named("tokens")]);
    let price = g.input("price", &[Dim::Named("batch"), Dim::Fixed(3)]);
    let price = named_price(&mut g, weights, vocabulary, &ids, price).unwrap();
    g.output("columns", &price, &[Dim::Named("batch"), Dim::Fixed(3)]);
    let longest = texts.iter().map(Vec::len).max().unwrap();
    let padded: Vec<i64> = texts
        .iter()
        .flat_map(|text| text.iter().copied().chain(std::iter::repeat(0)).take(longest))
        .collect();
    let inputs = vec![
        ("ids", tensor(&[texts.len(), longest], &padded)),
        ("price", tensor(&[texts.len(), 3], &GUESS.repeat(texts.len()))),
    ];
    Runtime::load(&g.finish().unwrap()).run(inputs).remove("columns").unwrap()
}

fn columns(weights: &StateDict, text: &str) -> Vec<f32> {
    columns_of(weights, &[ids(text)]).data
}

#[test]
fn amounts_are_read_as_people_write_them() {
    let certain = weights(100.0);
    for (text, amount) in [
        ("£40 ono", 40.0),
        ("only £ 40", 40.0),
        ("asking £425.", 425.0),
        ("£3995", 3995.0),
        ("£1,250 or nearest offer", 1250.0),
        ("£12,500", 12_500.0),
        ("$40", 40.0),
        ("€1200", 1200.0),
        ("was££30", 30.0),
        ("£7.50 each", 7.0),
        ("£5each", 5.0),
    ] {
        let found = pieces().find(&ids(text));
        let logs: Vec<f32> = found.iter().map(|amount| amount.log.exp()).collect();
        assert!(logs.len() == 1 && (logs[0] / amount - 1.0).abs() < 1e-4, "{text}: {logs:?}");
        assert_close(&columns(&certain, text)[1..2], &[amount.ln()]);
    }
}

#[test]
fn a_number_without_a_currency_sign_is_no_amount() {
    for text in ["size 40", "40 x 50 cm", "iphone 12, 128 gb", "£", "£ collection, 128 gb", "£0", ""] {
        assert_eq!(pieces().find(&ids(text)), [], "{text}");
        assert_close(&columns(&weights(100.0), text), &GUESS);
    }
}

#[test]
fn a_text_of_one_piece_is_read_too() {
    assert_close(&columns_of(&weights(100.0), &[vec![2000]]).data, &GUESS);
    let sign = ids("£5")[1];
    assert_close(&columns_of(&weights(100.0), &[vec![sign]]).data[1..2], &[5.0_f32.ln()]);
}

#[test]
fn the_words_around_an_amount_say_how_much_it_counts() {
    let mut weights = weights(0.0);
    set_worth(&mut weights, "asking", 1, 100.0);
    set_worth(&mut weights, "retail", 2, -100.0);
    let median = |text: &str| columns(&weights, text)[1];
    assert_close(&[median("new for £90 but asking £40")], &[40.0_f32.ln()]);
    // Two places before the amount, not one; so the guess and the other amount share.
    assert_close(&[median("retail at £90, now £40")], &[(3.0 + 40.0_f32.ln()) / 2.0]);
    assert_close(&[median("retail £90")], &[(3.0 + 90.0_f32.ln()) / 2.0]);
}

#[test]
fn the_band_is_that_of_named_prices_as_far_as_the_text_names_one() {
    assert_close(&columns(&weights(100.0), "£40"), &[-4.0, 40.0_f32.ln(), -2.0]);
    let half = columns(&weights(0.0), "£40");
    assert_close(&half, &[(GUESS[0] - 4.0) / 2.0, (3.0 + 40.0_f32.ln()) / 2.0, (GUESS[2] - 2.0) / 2.0]);
}

#[test]
fn a_text_is_priced_alike_alone_and_beside_a_longer_one() {
    let mut weights = weights(0.5);
    set_worth(&mut weights, "asking", 1, 0.7);
    let (short, long) = (ids("asking £40"), ids("a bike that cost £900 when it was new, asking £1,150"));
    let both = columns_of(&weights, &[short.clone(), long]);
    assert_close(both.rows().next().unwrap(), &columns_of(&weights, &[short]).data);
}

#[test]
fn without_what_was_learnt_of_amounts_the_guess_stays() {
    assert_close(&columns(&StateDict::default(), "£40"), &GUESS);
}

/// Listings that ask for one amount and name another one that they cost when new.
fn lesson() -> NamedPriceLesson {
    let pieces = pieces();
    let example = |number: usize| {
        let (asked, new) = (5 + 7 * (number % 13), 5 + 7 * (number % 11));
        let text = format!("thing {number} retail £{new} asking £{asked} cash");
        let amounts = pieces.find(&ids(&text));
        NamedExample { amounts, guess: 3.0, log_price: (asked as f32).ln() }
    };
    NamedPriceLesson {
        train: (0..60).map(example).collect(),
        validation: (60..90).map(example).collect(),
        pieces: pieces.clone(),
        device: Device::flex(),
        fingerprint: String::new(),
    }
}

fn blank(lesson: &NamedPriceLesson) -> NamedPrice {
    NamedPrice::new(lesson.pieces.len(), &Device::flex().autodiff())
}

fn learnt(lesson: &NamedPriceLesson) -> NamedPrice {
    let config = FitConfig {
        epochs: 20,
        batch_size: 8,
        shards: 1,
        learning_rate: 3e-2,
        schedule: Schedule::OneCycle,
        weight_decay: 1e-2,
        gradient_clip: 1.0,
        patience: 20,
        seed: 1,
    };
    let run = tempfile::tempdir().unwrap();
    fit(&config, lesson, blank(lesson), &Device::flex(), run.path(), false).unwrap().network
}

#[test]
fn the_price_among_the_amounts_is_learnt_and_served_as_it_was_learnt() {
    let lesson = lesson();
    let before = lesson.validate(&blank(&lesson));
    let model = learnt(&lesson);
    let after = lesson.validate(&model);
    assert!(after.loss < 0.05 && after.loss < before.loss / 5.0, "{} {}", before.loss, after.loss);
    assert!(after.accuracy > 0.9, "{}", after.accuracy);

    let served = model.state_dict(&lesson.pieces, lesson.band(&model).unwrap());
    let [below, median, above] = columns(&served, "sofa retail £75 asking £40 cash")[..] else { panic!() };
    assert!((median - 40.0_f32.ln()).abs() < 0.05, "{median}");
    assert!(below < -2.0 && above < -2.0, "all prices were met, so the band is narrow: {below} {above}");
}

#[test]
fn a_few_validation_prices_tell_no_band() {
    let mut lesson = lesson();
    let model = learnt(&lesson);
    lesson.validation.truncate(5);
    assert_eq!(lesson.band(&model), None);
}
