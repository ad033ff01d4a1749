//! What happened to the data on its way into the clean table, counted by reason.

use std::{collections::BTreeMap, fmt};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::split::Split;

/// Examples kept for each reason: enough to look the matter up in the source.
const EXAMPLES: usize = 5;

/// Why a line, a listing or a photo was dropped, mended, or kept in spite of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A line that is no UTF-8 or has more fields than the header.
    MalformedLine,
    /// A piece of a torn listing whose beginning is not in the file.
    OrphanLine,

    /// A listing without an id, or with one that a URL cannot carry.
    UnusableId,
    /// A listing whose title is empty after cleaning.
    NoTitle,
    /// A listing without a category, or with `N/A` for one.
    NoCategory,
    /// A second listing with the id of an earlier one.
    DuplicateId,
    /// A listing with the title, description and price of an earlier one.
    Repost,

    /// A photo's row whose file is not in the photos' folder.
    PhotoWithoutFile,
    /// A photo's row whose product is in no row of the listings.
    PhotoWithoutListing,
    /// A photo's row whose listing was dropped.
    PhotoOfDroppedListing,
    /// A photo that does not decode.
    UnreadablePhoto,
    /// A photo's row that is malformed or names the same file as an earlier one.
    UnusablePhotoRow,

    /// A listing put together from several lines.
    TornListing,
    /// A torn listing whose last line is missing: price and place went with it.
    LostEnding,
    /// An id in which a mask stood for digits, restored from the photos' table.
    MaskedId,
    /// A title with the site's name and the place at its end.
    TitleSuffix,
    /// A text that named the listing's own category path.
    LabelInText,
    /// A text with HTML entities.
    HtmlEntity,
    /// A text with control, formatting or private-use characters.
    ControlCharacter,
    /// A price that is no number.
    UnreadablePrice,
    /// A placeholder for a price (1,234, 99,999 and the like), or one beyond belief.
    AbsurdPrice,
    /// A listing without a place whose title suffix named it.
    LocationFromTitle,
    /// A listing date that is no date.
    UnreadableDate,

    /// A listing without a price.
    NoPrice,
    /// A listing without a usable photo: the text model can learn from it.
    NoPhoto,
    /// A listing that shares a description, or a photo byte for byte, with another: they go to the same split.
    NearDuplicate,
}

/// What became of the thing a [`Reason`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// A line of the listings' table that became part of no listing.
    LineDropped,
    /// A listing that is not in the clean table.
    ListingDropped,
    /// A row of the photos' table that is on no listing.
    PhotoDropped,
    /// Changed.
    Mended,
    /// As it was.
    Kept,
}

impl Reason {
    pub fn effect(self) -> Effect {
        match self {
            Self::MalformedLine | Self::OrphanLine => Effect::LineDropped,
            Self::UnusableId | Self::NoTitle | Self::NoCategory | Self::DuplicateId | Self::Repost => {
                Effect::ListingDropped
            }
            Self::PhotoWithoutFile
            | Self::PhotoWithoutListing
            | Self::PhotoOfDroppedListing
            | Self::UnreadablePhoto
            | Self::UnusablePhotoRow => Effect::PhotoDropped,
            Self::TornListing
            | Self::LostEnding
            | Self::MaskedId
            | Self::TitleSuffix
            | Self::LabelInText
            | Self::HtmlEntity
            | Self::ControlCharacter
            | Self::UnreadablePrice
            | Self::AbsurdPrice
            | Self::LocationFromTitle
            | Self::UnreadableDate => Effect::Mended,
            Self::NoPrice | Self::NoPhoto | Self::NearDuplicate => Effect::Kept,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::MalformedLine => "malformed line",
            Self::OrphanLine => "line of a listing without a beginning",
            Self::UnusableId => "no usable id",
            Self::NoTitle => "no title",
            Self::NoCategory => "no category",
            Self::DuplicateId => "id used before",
            Self::Repost => "repost of the same listing",
            Self::PhotoWithoutFile => "photo without file",
            Self::PhotoWithoutListing => "photo without listing",
            Self::PhotoOfDroppedListing => "photo of a dropped listing",
            Self::UnreadablePhoto => "unreadable photo",
            Self::UnusablePhotoRow => "unusable photo row",
            Self::TornListing => "torn over several lines",
            Self::LostEnding => "last line missing",
            Self::MaskedId => "masked id",
            Self::TitleSuffix => "site suffix in title",
            Self::LabelInText => "label leaked into the text",
            Self::HtmlEntity => "HTML entities",
            Self::ControlCharacter => "control characters",
            Self::UnreadablePrice => "unreadable price",
            Self::AbsurdPrice => "absurd price",
            Self::LocationFromTitle => "place taken from title",
            Self::UnreadableDate => "unreadable date",
            Self::NoPrice => "no price",
            Self::NoPhoto => "no photo",
            Self::NearDuplicate => "near-duplicate, split together",
        }
    }
}

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
