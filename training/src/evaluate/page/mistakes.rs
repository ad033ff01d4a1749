//! The answers that are wrong and sure of it: where a label, a photo or a model is at fault.

use std::collections::BTreeSet;

use crate::{
    data::{CleanTable, Listing},
    evaluate::measured::Measured,
};

/// A wrong answer to a listing of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Mistake<'a> {
    pub listing: &'a Listing,
    /// File names: what the model saw, or the listing's photos where it saw only words.
    pub photos: &'a [String],
    pub right: Candidate<'a>,
    pub answered: Candidate<'a>,
}

/// A category and what the model gives for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate<'a> {
    pub category: &'a str,
    pub probability: f32,
}

/// The `most` wrong answers of the highest confidence, highest first; of a listing's photos only the worst counts.
pub fn worst<'a>(measured: &'a Measured, table: &'a CleanTable, most: usize) -> Vec<Mistake<'a>> {
    let mut wrong: Vec<_> =
        measured.scored.iter().zip(&measured.answers).filter(|(scored, _)| !scored.is_right()).collect();
    wrong.sort_by(|(a, _), (b, _)| b.confidence().total_cmp(&a.confidence()));
    let mut seen = BTreeSet::new();
    wrong.retain(|(_, answer)| seen.insert(answer.listing));
    let mistakes = wrong.into_iter().filter_map(|(scored, answer)| {
        let candidate = |class: usize| {
            let category = table.categories.get(class)?;
            Some(Candidate { category, probability: *scored.probabilities.get(class)? })
        };
        let listing = table.listings.get(answer.listing)?;
        Some(Mistake {
            listing,
            photos: if answer.photos.is_empty() { &listing.photos } else { &answer.photos },
            right: candidate(scored.label)?,
            answered: candidate(scored.predicted())?,
        })
    });
    mistakes.take(most).collect()
}
