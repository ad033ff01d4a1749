//! What one site adds to its listings: everything that is true of Gumtree only is in this file.
//!
//! | rule | in the source | becomes |
//! | --- | --- | --- |
//! | title suffix | `Spotlights \| in Newent, Gloucestershire \| Gumtree` | `Spotlights`; the place fills an empty location |
//! | signature | `… Posted by seller in Home & Garden, Other Household Goods in Newent. 25 February 2022` | taken out |
//! | masked id | `9bf[phone]fa6-b82c-e8c1022c46eb` | restored from the photos' table |
//!
//! The signature names the category, so a model that sees it has seen the answer. It ends some descriptions, stands in the
//! middle of others (the seller's last words follow the date without a space), and its date comes as `25 February 2022`,
//! `25. February 2022`, `February 25, 2022` or not at all. `[phone]` in a text stands for a telephone number, hides
//! nothing a model should know, and stays.

use std::borrow::Cow;

use anyhow::Result;
use regex::{Captures, Regex};

/// What the site's publisher put in the place of anything that looked like a telephone number, in ids too.
pub const MASK: &str = "[phone]";

/// The site's rules, compiled.
pub struct SiteRules {
    title_suffix: Regex,
    signature: Regex,
}

impl SiteRules {
    /// # Errors
    /// When a pattern does not compile, which is a fault of this file.
    pub fn new() -> Result<Self> {
        let day = r"(?:\d{1,2}\.?\s+[A-Z][a-z]+\s+\d{4}|[A-Z][a-z]+\s+\d{1,2},\s+\d{4})";
        Ok(Self {
            title_suffix: Regex::new(r"\s*\|\s*in\s+([^|]*?)\s*\|\s*Gumtree\s*$")?,
            signature: Regex::new(&format!(
                r"\s*\.?\s*Posted by (?:seller in [^\n]{{1,200}}?(?:{day}|\s*$)|\S+\.\s+{day})"
            ))?,
        })
    }

    /// The title without the site's suffix, and the place the suffix names.
    pub fn split_title<'a>(&self, title: &'a str) -> Option<(&'a str, &'a str)> {
        let suffix = self.title_suffix.captures(title)?;
        let title = title.get(..suffix.get(0)?.start())?;
        Some((title, suffix.get(1)?.as_str()))
    }

    /// The description without the site's signature, where it has one.
    pub fn without_signature(&self, description: &str) -> Option<String> {
        // The seller's words before and after it were never meant to be one sentence.
        let gap = |found: &Captures<'_>| if found.get_match().start() == 0 { "" } else { ".\n" };
        match self.signature.replace_all(description, gap) {
            Cow::Borrowed(_) => None,
            Cow::Owned(unsigned) => Some(unsigned),
        }
    }
}
