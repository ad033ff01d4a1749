//! Which words a listing has, and how much each weighs: the terms behind the `lexical` signal.
//!
//! Every engine stores the same term weights, computed here, and multiplies them by the inverse document frequency of
//! its own collection at query time. Together that is BM25 (Robertson & Zaragoza, "The Probabilistic Relevance
//! Framework: BM25 and Beyond", 2009, eq. 3.15):
//!
//! ```text
//! score(q, d) = sum over t in q of idf(t) * tf(t, d)
//! tf(t, d)    = n * (k1 + 1) / (n + k1 * (1 - b + b * |d| / avgdl))        n = occurrences of t in d
//! idf(t)      = ln(1 + (N - df(t) + 0.5) / (df(t) + 0.5))                  N documents, df(t) of them with t
//! ```
//!
//! Words are runs of letters and digits, lower-cased, accents folded, English stop words dropped, English plurals and
//! endings stemmed (Snowball), so `bikes` finds `bike` and `WH-1000XM4` is the two terms `wh` and `1000xm4`.
//!
//! Spelling: each longer word of a title is also stored under every form it has with one letter left out (the symmetric
//! deletion neighbourhood of Garbe's SymSpell, 2012). A query word that hardly anybody has written is looked for
//! under its own such forms: a letter too many, too few, wrong, or two swapped leave a form in common (`samsung` and
//! `samsnug` have `samsug` and `samsng`). Nothing but the index is needed for it, so every engine can do it, and a
//! query without rare words costs nothing more.

use std::{collections::BTreeMap, sync::LazyLock};

use qdrant_edge::{
    bm25_embed::{EdgeBm25, EdgeBm25Config},
    external::ordered_float::NotNan,
};

use super::Product;

/// `avgdl` of the formula: terms a listing has, title and description together. A constant, so that a stored weight
/// stays right whatever is stored later; the 9,652 listings in the project's data have 23.5 on average.
const TYPICAL_LISTING_TERMS: f64 = 24.0;

/// Letters of a word whose misspellings are found. Shorter words have too many neighbours (`boot`, `boat`, `boots`).
const SPELLING_LETTERS: std::ops::RangeInclusive<usize> = 5..=20;
/// `tf` of a form of a word, where the word itself has about 1: what is spelt right comes first.
const SPELLING_WEIGHT: f32 = 0.4;

static ENGLISH: LazyLock<EdgeBm25> = LazyLock::new(|| {
    let typical = NotNan::new(TYPICAL_LISTING_TERMS).expect("a constant that is a number");
    let config = EdgeBm25Config { avg_len: typical, ascii_folding: Some(true), ..EdgeBm25Config::default() };
    EdgeBm25::new(config).expect("BM25 with constant, valid parameters and English can always be built")
});

/// The distinct terms of a text, by hash and in ascending order, with a weight each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Terms {
    pub hashes: Vec<u32>,
    pub weights: Vec<f32>,
}

/// A word of a query, and how to find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryWord {
    /// Hashes of its terms: one, or none for a stop word.
    pub terms: Vec<u32>,
    /// Hashes of its forms with a letter left out, for where nobody has the word itself; empty where it is too short
    /// or holds anything but the letters a to z.
    pub spellings: Vec<u32>,
}

impl Terms {
    /// The terms of a listing with their `tf`.
    pub fn of_product(product: &Product) -> Self {
        let text = match &product.description {
            Some(description) => format!("{}\n{description}", product.title),
            None => product.title.clone(),
        };
        let vector = ENGLISH.embed_document(&text);
        let mut weights: BTreeMap<u32, f32> = vector.indices.into_iter().zip(vector.values).collect();
        for spelling in words_of(&product.title).flat_map(spellings) {
            weights.entry(spelling).or_insert(SPELLING_WEIGHT);
        }
        weights.into_iter().collect()
    }

    /// The terms of a query, each with weight 1 however often it occurs.
    pub fn of_query(words: &str) -> Self {
        ENGLISH.embed_query(words).indices.into_iter().collect()
    }

    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}

/// Distinct terms of weight 1.
impl FromIterator<u32> for Terms {
    fn from_iter<I: IntoIterator<Item = u32>>(hashes: I) -> Self {
        hashes.into_iter().map(|hash| (hash, 1.0)).collect::<BTreeMap<_, _>>().into_iter().collect()
    }
}

/// Distinct terms in ascending order with their weights.
impl FromIterator<(u32, f32)> for Terms {
    fn from_iter<I: IntoIterator<Item = (u32, f32)>>(terms: I) -> Self {
        let (hashes, weights) = terms.into_iter().unzip();
        Self { hashes, weights }
    }
}

impl QueryWord {
    /// The words of a query, in their order.
    pub fn all_of(words: &str) -> Vec<Self> {
        let word = |word| Self { terms: Terms::of_query(word).hashes, spellings: spellings(word) };
        words_of(words).map(word).collect()
    }
}

fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// The word and what is left of it without one of its letters, hashed.
fn spellings(word: &str) -> Vec<u32> {
    if !word.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Vec::new();
    }
    let mut letters = word.to_ascii_lowercase();
    // A plural may be misspelt too.
    if letters.ends_with('s') && !letters.ends_with("ss") {
        letters.pop();
    }
    if !SPELLING_LETTERS.contains(&letters.len()) {
        return Vec::new();
    }
    // The mark keeps a form apart from a word that is written like it.
    let hash = |form: &str| crc32fast::hash(format!("spelling:{form}").as_bytes());
    let without = |place: usize| hash(&format!("{}{}", &letters[..place], &letters[place + 1..]));
    let mut forms: Vec<u32> =
        std::iter::once(hash(&letters)).chain((0..letters.len()).map(without)).collect();
    forms.sort_unstable();
    forms.dedup();
    forms
}

#[cfg(test)]
mod tests {
    use super::{QueryWord, Terms};

    #[test]
    fn english_plurals_are_one_term_with_their_singular() {
        for (singular, plural) in
            [("bike", "bikes"), ("sofa", "Sofas"), ("battery", "batteries"), ("dress", "dresses")]
        {
            assert_eq!(Terms::of_query(singular), Terms::of_query(plural), "{singular}/{plural}");
        }
    }

    #[test]
    fn case_and_accents_do_not_matter() {
        assert_eq!(Terms::of_query("CAFÉ table"), Terms::of_query("cafe Table"));
    }

    #[test]
    fn a_model_number_survives_whole() {
        let number = Terms::of_query("1000XM4");
        assert_eq!(number.hashes.len(), 1);
        assert!(Terms::of_query("Sony WH-1000XM4 headphones").hashes.contains(&number.hashes[0]));
    }

    #[test]
    fn stop_words_alone_leave_no_terms() {
        assert!(Terms::of_query("the and of").is_empty());
    }

    #[test]
    fn one_mistake_leaves_a_form_in_common_and_another_word_does_not() {
        let forms = |word| QueryWord::all_of(word).remove(0).spellings;
        let meets = |a, b| forms(a).iter().any(|form| forms(b).contains(form));
        for wrong in ["samsnug", "samsun", "samsumg", "samsungg", "Smasung", "samsugns"] {
            assert!(meets("Samsung", wrong), "{wrong}");
        }
        assert!(!meets("samsung", "sausage"));
    }

    #[test]
    fn short_words_and_model_numbers_have_no_other_spelling() {
        let words = QueryWord::all_of("sofa 1000xm4 café");
        assert!(words.iter().all(|word| word.spellings.is_empty()), "{words:?}");
    }
}
