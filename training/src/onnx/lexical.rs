//! A linear model over the words of a text, beside the network: one learned row for each word piece and one for each
//! pair of neighbours, the pairs hashed into a fixed number of rows.

use super::{GraphBuilder, Value};
use crate::weights::{StateDict, StateDictError};

/// Rows of the table of pairs.
pub const BIGRAM_BUCKETS: usize = 1 << 16;
/// `[CLS]` and `[SEP]` of BERT's uncased English vocabulary: they are no words, and no pair crosses them.
pub const SPECIAL_TOKENS: [i64; 2] = [101, 102];

const FIRST_FACTOR: i64 = 31;
const SECOND_FACTOR: i64 = 17;
/// The largest prime below 2^16.
const PRODUCT_MODULUS: i64 = 65_521;

/// The row of the pair `first second`: `(31 first + 17 second + (first second mod 65521)) mod BIGRAM_BUCKETS`. The
/// factors differ, so that order counts. The same arithmetic as in the graph; exact for ids below 2^31.
pub fn bigram_bucket(first: u32, second: u32) -> usize {
    let (first, second) = (i64::from(first), i64::from(second));
    let product = first * second % PRODUCT_MODULUS;
    let hash = first * FIRST_FACTOR + second * SECOND_FACTOR + product;
    hash as usize % BIGRAM_BUCKETS
}

/// Emits the sum of the rows of a text's words and pairs, over the root of how many they are (of 1, if there is none):
/// `input_ids`, `attention_mask` int64 [batch, tokens] -> [batch, outputs].
///
/// Words are the positions that are neither padding nor [`SPECIAL_TOKENS`]; pairs are words in adjacent positions. Reads
/// `lexical.unigram` [vocabulary, outputs] and `lexical.bigram` [`BIGRAM_BUCKETS`, outputs].
///
/// # Errors
/// A table is missing or has another shape.
pub fn lexical_bag(
    g: &mut GraphBuilder,
    weights: &StateDict,
    [vocabulary, outputs]: [usize; 2],
    input_ids: &Value<i64>,
    attention_mask: &Value<i64>,
) -> Result<Value<f32>, StateDictError> {
    let unigrams = weights.get_shaped("lexical.unigram", &[vocabulary, outputs])?;
    let bigrams = weights.get_shaped("lexical.bigram", &[BIGRAM_BUCKETS, outputs])?;

    let words = word_positions(g, input_ids, attention_mask);
    let unigrams = g.table("lexical.unigram", unigrams);
    let unigrams = g.gather_rows(&unigrams, input_ids);
    let unigrams = g.weighted_sum(&words, &unigrams);

    let no_word = g.scalar(0.0);
    let next_words = followers(g, &words, &no_word);
    let pairs = g.mul(&words, &next_words);
    let no_id = g.integers(&[0]);
    let next_ids = followers(g, input_ids, &no_id);
    let buckets = bigram_buckets(g, input_ids, &next_ids);
    let bigrams = g.table("lexical.bigram", bigrams);
    let bigrams = g.gather_rows(&bigrams, &buckets);
    let bigrams = g.weighted_sum(&pairs, &bigrams);

    let sum = g.add(&unigrams, &bigrams);
    let (words, pairs) = (g.sum_last(&words), g.sum_last(&pairs));
    let count = g.add(&words, &pairs);
    let one = g.scalar(1.0);
    let count = g.max(&count, &one);
    let root = g.sqrt(&count);
    Ok(g.div(&sum, &root))
}

/// 1 at words, 0 at padding and special tokens: float32 [batch, tokens].
fn word_positions(g: &mut GraphBuilder, ids: &Value<i64>, mask: &Value<i64>) -> Value<f32> {
    let mut words: Value<bool> = g.cast(mask);
    for token in SPECIAL_TOKENS {
        let token = g.integers(&[token]);
        let special: Value<bool> = g.node("Equal").input(ids).input(&token).emit();
        let other: Value<bool> = g.node("Not").input(&special).emit();
        words = g.node("And").input(&words).input(&other).emit();
    }
    g.cast(&words)
}

/// At each position the element to its right, and `zero` at the last: [batch, tokens] -> [batch, tokens]. As long as the
/// input, because a text of one position would otherwise leave axes of size 0, over which runtimes stumble.
fn followers<T>(g: &mut GraphBuilder, x: &Value<T>, zero: &Value<T>) -> Value<T> {
    let rest = g.slice(x, 1, 1, i64::MAX);
    let column = g.slice(x, 1, 0, 1);
    let zeros = g.mul(&column, zero);
    g.concat(&[&rest, &zeros])
}

/// [`bigram_bucket`] of each pair.
fn bigram_buckets(g: &mut GraphBuilder, first: &Value<i64>, second: &Value<i64>) -> Value<i64> {
    let (first_factor, second_factor) = (g.integers(&[FIRST_FACTOR]), g.integers(&[SECOND_FACTOR]));
    let modulus = g.integers(&[PRODUCT_MODULUS]);
    let buckets = g.integers(&[BIGRAM_BUCKETS as i64]);
    let product = g.mul(first, second);
    let product = g.modulo(&product, &modulus);
    let first = g.mul(first, &first_factor);
    let second = g.mul(second, &second_factor);
    let hash = g.add(&first, &second);
    let hash = g.add(&hash, &product);
    g.modulo(&hash, &buckets)
}
