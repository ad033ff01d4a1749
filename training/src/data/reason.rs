//! Why something was dropped, mended, or kept in spite of a fault.

use serde::{Deserialize, Serialize};

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
    /// A photo that does not decode, or whose size the server would refuse.
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

    /// For people, in the printed report.
    pub(super) fn label(self) -> &'static str {
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
