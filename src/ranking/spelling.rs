//! The terms of a query, with other spellings of the words that hardly any product holds.

use crate::catalogue::{
    CatalogueError, Index,
    lexical::{QueryWord, Terms},
};

/// A word that fewer products hold may be a mistake. One of them may have the same mistake in it, hence not 1.
const COMMON: usize = 3;
/// Words that are looked up, at most: the rest of a long text is taken as it is.
const CHECKED: usize = 16;

/// The terms to search for. What is right is found first all the same: it shares every form with itself.
pub async fn terms_of(index: &dyn Index, words: &str) -> Result<Terms, CatalogueError> {
    let words = QueryWord::all_of(words);
    let doubtful: Vec<(u32, &[u32])> = words
        .iter()
        .filter(|word| !word.spellings.is_empty())
        .filter_map(|word| Some((*word.terms.first()?, word.spellings.as_slice())))
        .take(CHECKED)
        .collect();
    let terms: Vec<u32> = doubtful.iter().map(|(term, _)| *term).collect();
    let holders = index.holders(&terms, COMMON).await?;
    let rare = doubtful.iter().zip(holders).filter(|(_, holders)| *holders < COMMON);
    let spellings = rare.flat_map(|((_, spellings), _)| spellings.iter().copied());
    Ok(words.iter().flat_map(|word| word.terms.iter().copied()).chain(spellings).collect())
}
