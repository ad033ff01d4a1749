//! Texts as TF-IDF: words and neighbours of words, weighed by how rare they are.

use anyhow::{Context, Result};
use linfa_preprocessing::{CountVectorizer, Tokenizer, tf_idf_vectorization::TfIdfMethod};
use ndarray::Array1;

use crate::learn::ridge::SparseRows;

/// Words that say nothing of what is sold.
const STOP_WORDS: [&str; 64] = [
    "a", "about", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can",
    "do", "for", "from", "had", "has", "have", "he", "her", "his", "if", "in", "into", "is", "it", "its",
    "just", "me", "my", "no", "not", "of", "off", "on", "only", "or", "our", "out", "over", "she", "so",
    "some", "than", "that", "the", "their", "them", "there", "they", "this", "to", "too", "up", "was", "we",
    "will", "with", "would", "you", "your",
];

/// Which words and sequences of words count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VocabularyConfig {
    /// 1 for words, 2 for pairs of neighbours too.
    pub longest_ngram: usize,
    /// What is in fewer training texts is left out.
    pub least_texts: usize,
}

/// The words and sequences of the training texts, each with its inverse document frequency there.
pub struct Vocabulary {
    words: CountVectorizer,
    idf: Vec<f64>,
}

impl Vocabulary {
    /// # Errors
    /// The texts have no word in common.
    pub fn of(texts: &Array1<String>, config: VocabularyConfig) -> Result<Self> {
        // linfa cuts the number of texts to a whole one.
        let least_share = (config.least_texts as f32 + 0.5) / texts.len() as f32;
        let words = CountVectorizer::params()
            .tokenizer(Tokenizer::Function(words))
            .n_gram_range(1, config.longest_ngram)
            .document_frequency(least_share.min(1.0), 1.0)
            .fit(texts)
            .context("no vocabulary can be made of the training texts")?;
        let mut found_in = vec![0; words.nentries()];
        for text in words.transform(texts)?.outer_iterator() {
            text.indices().iter().for_each(|&word| found_in[word] += 1);
        }
        // Of the training texts only: linfa's own TF-IDF takes the frequencies of whatever texts it transforms, so that a word
        // would weigh otherwise in a few hundred unseen texts than in the thousands it was learnt from.
        let idf =
            found_in.into_iter().map(|found| TfIdfMethod::Smooth.compute_idf(texts.len(), found)).collect();
        Ok(Self { words, idf })
    }

    pub fn len(&self) -> usize {
        self.idf.len()
    }

    /// A row of L2 norm 1 for each text.
    ///
    /// # Errors
    /// None that a vocabulary made by [`Vocabulary::of`] leads to.
    pub fn rows(&self, texts: &Array1<String>) -> Result<SparseRows> {
        let counts = self.words.transform(texts).context("the texts do not vectorise")?;
        let rows = counts.outer_iterator().map(|text| {
            let mut row: Vec<(usize, f64)> =
                text.iter().map(|(word, &count)| (word, count as f64 * self.idf[word])).collect();
            let norm = row.iter().map(|(_, x)| x * x).sum::<f64>().sqrt();
            row.iter_mut().for_each(|(_, x)| *x /= norm);
            row
        });
        Ok(SparseRows { columns: self.len(), rows: rows.collect() })
    }
}

/// Words of two letters or digits and more, stop words left out. They are lower-case already.
fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.chars().nth(1).is_some() && !STOP_WORDS.contains(word))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Array1<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn pairs_of_neighbours_do_not_see_stop_words_between_them() {
        let config = VocabularyConfig { longest_ngram: 2, least_texts: 2 };
        let vocabulary =
            Vocabulary::of(&texts(&["Box of books", "a box, BOOKS!", "one lamp"]), config).unwrap();
        let mut words = vocabulary.words.vocabulary().clone();
        words.sort();
        assert_eq!(words, ["books", "box", "box books"]);
    }

    #[test]
    fn a_word_weighs_the_same_in_unseen_texts_as_in_those_it_was_learnt_from() {
        let config = VocabularyConfig { longest_ngram: 1, least_texts: 1 };
        let known = texts(&["red chair", "red table", "red lamp"]);
        let vocabulary = Vocabulary::of(&known, config).unwrap();
        let sorted = |rows: SparseRows| {
            let mut row = rows.rows[0].clone();
            row.sort_by_key(|&(word, _)| word);
            row
        };
        let alone = sorted(vocabulary.rows(&texts(&["red chair"])).unwrap());
        assert_eq!(alone, sorted(vocabulary.rows(&known).unwrap()));
        assert!((alone.iter().map(|(_, x)| x * x).sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
