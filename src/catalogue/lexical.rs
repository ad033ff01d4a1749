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

use std::sync::LazyLock;

use qdrant_edge::{
    bm25_embed::{EdgeBm25, EdgeBm25Config},
    external::ordered_float::NotNan,
};

use super::Product;

/// `avgdl` of the formula: terms a listing has, title and description together. A constant, so that a stored weight
/// stays right whatever is stored later; the 9,652 listings in the project's data have 23.5 on average.
const TYPICAL_LISTING_TERMS: f64 = 24.0;

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

impl Terms {
    /// The terms of a listing with their `tf`.
    pub fn of_product(product: &Product) -> Self {
        let text = match &product.description {
            Some(description) => format!("{}\n{description}", product.title),
            None => product.title.clone(),
        };
        let vector = ENGLISH.embed_document(&text);
        Self { hashes: vector.indices, weights: vector.values }
    }

    /// The terms of a query, each with weight 1 however often it occurs.
    pub fn of_query(words: &str) -> Self {
        let vector = ENGLISH.embed_query(words);
        Self { hashes: vector.indices, weights: vector.values }
    }

    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Terms;

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
}
