//! The bag of words and pairs inside the text models.

use marketrank_train::{
    onnx::{
        Dim, GraphBuilder, Precision,
        lexical::{BIGRAM_BUCKETS, bigram_bucket, lexical_bag},
    },
    weights::{HostTensor, StateDict},
};

use crate::runtime::{Output, Runtime, assert_close, tensor};

const VOCABULARY: usize = 30_522;

/// Tables of one column: words weigh `word(id)`, pairs weigh `pair(bucket)`.
fn tables(word: impl Fn(usize) -> f32, pair: impl Fn(usize) -> f32) -> StateDict {
    let mut weights = StateDict::default();
    let column = |rows: usize, value: &dyn Fn(usize) -> f32| HostTensor {
        shape: vec![rows, 1],
        data: (0..rows).map(value).collect(),
    };
    weights.insert("lexical.unigram", column(VOCABULARY, &word));
    weights.insert("lexical.bigram", column(BIGRAM_BUCKETS, &pair));
    weights
}

/// The bags of texts of equal length; id 0 is padding.
fn bags<const TOKENS: usize>(weights: &StateDict, texts: &[[i64; TOKENS]]) -> Output {
    let mut g = GraphBuilder::new("lexical", Precision::Float32);
    let shape = [Dim::Named("batch"), Dim::Named("tokens")];
    let (ids, mask) = (g.input("ids", &shape), g.input("mask", &shape));
    let bag = lexical_bag(&mut g, weights, [VOCABULARY, 1], &ids, &mask).unwrap();
    g.output("bag", &bag, &[Dim::Named("batch"), Dim::Fixed(1)]);
    let mut runtime = Runtime::load(&g.finish().unwrap());
    let mask: Vec<i64> = texts.as_flattened().iter().map(|&id| i64::from(id != 0)).collect();
    let shape = [texts.len(), TOKENS];
    let inputs = vec![("ids", tensor(&shape, texts.as_flattened())), ("mask", tensor(&shape, &mask))];
    runtime.run(inputs).remove("bag").unwrap()
}

#[test]
fn words_and_pairs_are_summed_over_the_root_of_their_number() {
    let pair = bigram_bucket(2000, 3000);
    let weights = tables(|id| id as f32, move |bucket| if bucket == pair { 400.0 } else { 0.0 });
    let bag = bags(&weights, &[[101, 2000, 3000, 102]]);
    assert_close(&bag.data, &[5400.0 / 3.0_f32.sqrt()]);
}

#[test]
fn the_graph_hashes_pairs_as_the_public_function_does() {
    let weights = tables(|_| 0.0, |bucket| bucket as f32);
    let pairs = [(0, 1), (1, 0), (999, 999), (1037, 30_521), (30_521, 30_521), (65, 521), (12_345, 6789)];
    let texts = pairs.map(|(first, second)| [101, i64::from(first), i64::from(second), 102]);
    // Id 0 is a word here: every position counts, so that its pairs are hashed too.
    let texts = texts.map(|text| text.map(|id| if id == 0 { 1 } else { id }));
    let bag = bags(&weights, &texts);
    let expected = pairs.map(|(first, second): (u32, u32)| {
        bigram_bucket(first.max(1), second.max(1)) as f32 / 3.0_f32.sqrt()
    });
    for (found, expected) in bag.data.iter().zip(expected) {
        assert!((found - expected).abs() < 0.01, "{found}, expected {expected}");
    }
}

#[test]
fn the_order_of_a_pair_counts() {
    assert_ne!(bigram_bucket(2000, 3000), bigram_bucket(3000, 2000));
}

#[test]
fn a_pair_is_hashed_by_the_documented_formula() {
    // 31 * 5024 + 17 * 6116 + (5024 * 6116 mod 65521) = 155744 + 103972 + 62956, and that mod 65536.
    assert_eq!(bigram_bucket(5024, 6116), (155_744 + 103_972 + 5024 * 6116 % 65_521) % 65_536);
}

#[test]
fn no_pair_crosses_a_special_token() {
    let weights = tables(|_| 0.0, |_| 1.0);
    let bag = bags(&weights, &[[101, 2000, 102, 3000, 102]]);
    assert_eq!(bag.data, [0.0]);
}

#[test]
fn padding_changes_nothing() {
    let weights = tables(|id| id as f32 + 1.0, |bucket| bucket as f32);
    let alone = bags(&weights, &[[101, 2000, 3000, 102]]);
    let padded = bags(&weights, &[[101, 2000, 3000, 102, 0, 0, 0]]);
    assert_close(&padded.data, &alone.data);
}

#[test]
fn a_text_without_words_has_an_empty_bag() {
    let weights = tables(|_| 1.0, |_| 1.0);
    assert_eq!(bags(&weights, &[[101, 102, 0]]).data, [0.0]);
}

#[test]
fn a_text_of_one_position_has_no_pairs() {
    let weights = tables(|id| id as f32, |_| 1.0);
    assert_close(&bags(&weights, &[[2000]]).data, &[2000.0]);
}
