//! The account of a preparation: what came of every row, in numbers.

use std::{collections::BTreeMap, fmt};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::{
    reason::{Effect, Reason},
    split::Split,
};

/// Examples kept for each reason: enough to look the matter up in the source.
const EXAMPLES: usize = 5;

/// How often a reason applied, and to what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub count: u64,
    /// The first few: product ids, photo names or line numbers.
    pub examples: Vec<String>,
}

/// Listings of one category in the clean table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryCount {
    pub listings: BTreeMap<Split, u64>,
    pub photos: u64,
}

/// The account of a preparation: `report.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// SHA-256 of `products.csv`.
    pub data_sha256: String,
    /// Rows of the listings' table, the header not counted.
    pub lines: u64,
    /// Rows that continue a listing begun on an earlier one.
    pub lines_joined: u64,
    /// Listings the rows make up.
    pub listings_found: u64,
    /// Listings in the clean table.
    pub listings_kept: u64,
    /// Rows of the photos' table, the header not counted.
    pub photo_rows: u64,
    /// Photos in the clean table.
    pub photos_kept: u64,
    pub findings: BTreeMap<Reason, Finding>,
    pub categories: BTreeMap<String, CategoryCount>,
    /// `category / subcategory` for every subcategory with enough training listings to be a label.
    pub subcategories: Vec<String>,
}

impl Report {
    /// Counts one case of `reason`; `example` is where to find it in the source.
    pub fn count(&mut self, reason: Reason, example: &str) {
        let finding = self.findings.entry(reason).or_default();
        finding.count += 1;
        if finding.examples.len() < EXAMPLES {
            finding.examples.push(example.to_owned());
        }
    }

    /// How often `reason` applied.
    pub fn total(&self, reason: Reason) -> u64 {
        self.findings.get(&reason).map_or(0, |finding| finding.count)
    }

    fn sum(&self, effect: Effect) -> u64 {
        self.findings.iter().filter(|(reason, _)| reason.effect() == effect).map(|(_, f)| f.count).sum()
    }

    /// Nothing is lost silently: every row of both tables is in the clean table or dropped for a reason.
    ///
    /// # Errors
    /// When the sums do not hold: the cleaning itself is at fault, and its output not to be used.
    pub fn verify(&self) -> Result<()> {
        let dropped = self.sum(Effect::LineDropped);
        ensure!(
            self.lines == self.listings_found + self.lines_joined + dropped,
            "{} rows read, but {} listings, {} joined and {dropped} dropped rows: rows were lost",
            self.lines,
            self.listings_found,
            self.lines_joined
        );
        let dropped = self.sum(Effect::ListingDropped);
        ensure!(
            self.listings_found == self.listings_kept + dropped,
            "{} listings found, but {} kept and {dropped} dropped: listings were lost",
            self.listings_found,
            self.listings_kept
        );
        let dropped = self.sum(Effect::PhotoDropped);
        ensure!(
            self.photo_rows == self.photos_kept + dropped,
            "{} photo rows read, but {} kept and {dropped} dropped: photos were lost",
            self.photo_rows,
            self.photos_kept
        );
        Ok(())
    }
}

impl fmt::Display for Report {
    /// The tables people read after `marketrank-train prepare`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dropped = |effect| self.sum(effect);
        writeln!(
            f,
            "rows      {:>6} = {} listings + {} continuing them + {} dropped",
            self.lines,
            self.listings_found,
            self.lines_joined,
            dropped(Effect::LineDropped)
        )?;
        writeln!(
            f,
            "listings  {:>6} = {} kept + {} dropped",
            self.listings_found,
            self.listings_kept,
            dropped(Effect::ListingDropped)
        )?;
        writeln!(
            f,
            "photos    {:>6} = {} kept + {} dropped",
            self.photo_rows,
            self.photos_kept,
            dropped(Effect::PhotoDropped)
        )?;
        for (effect, heading) in [
            (Effect::LineDropped, "rows dropped"),
            (Effect::ListingDropped, "listings dropped"),
            (Effect::PhotoDropped, "photos dropped"),
            (Effect::Mended, "mended"),
            (Effect::Kept, "kept as they are"),
        ] {
            let mut findings =
                self.findings.iter().filter(|(reason, _)| reason.effect() == effect).peekable();
            if findings.peek().is_some() {
                writeln!(f, "\n{heading}")?;
            }
            for (reason, finding) in findings {
                let example = finding.examples.first().map_or("", String::as_str);
                writeln!(f, "  {:<38}{:>6}   {example}", reason.label(), finding.count)?;
            }
        }
        writeln!(f, "\n{:<40}{:>7}{:>12}{:>6}{:>8}", "category", "train", "validation", "test", "photos")?;
        let mut total = CategoryCount::default();
        for (category, count) in &self.categories {
            write_counts(f, category, count)?;
            total.photos += count.photos;
            for (&split, listings) in &count.listings {
                *total.listings.entry(split).or_default() += listings;
            }
        }
        write_counts(f, "all", &total)?;
        write!(f, "\n{} subcategories, data {}", self.subcategories.len(), self.data_sha256)
    }
}

fn write_counts(f: &mut fmt::Formatter<'_>, name: &str, count: &CategoryCount) -> fmt::Result {
    let [train, validation, test] = Split::ALL.map(|split| count.listings.get(&split).copied().unwrap_or(0));
    writeln!(f, "{name:<40}{train:>7}{validation:>12}{test:>6}{:>8}", count.photos)
}
