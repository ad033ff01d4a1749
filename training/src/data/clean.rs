//! From a listing as the site wrote it to one a model may learn from.

use anyhow::Result;
use marketrank::catalogue::ProductId;

use super::{
    label::without_breadcrumbs,
    listing_lines::RawListing,
    price::{Price, is_absurd, parse_price},
    reason::Reason,
    report::Report,
    site_rules::SiteRules,
    text::{is_absent, tidy},
};

/// A clean listing, before it is given a split and photos.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub id: ProductId,
    pub title: String,
    /// Empty where the seller wrote none.
    pub description: String,
    /// Parts of the category path, the category first; one at least.
    pub path: Vec<String>,
    pub price: Option<f64>,
    /// Empty where unknown.
    pub location: String,
}

/// The rules of cleaning.
pub struct Cleaner {
    rules: SiteRules,
    separator: String,
    max_price: f64,
}

impl Cleaner {
    /// `separator` stands between the parts of a category path; a price above `max_price` is not believed.
    ///
    /// # Errors
    /// When a rule does not compile.
    pub fn new(separator: &str, max_price: f64) -> Result<Self> {
        Ok(Self { rules: SiteRules::new()?, separator: separator.to_owned(), max_price })
    }

    /// The clean listing, or nothing where it has to be dropped. Counts why, and what was mended.
    pub fn clean(&self, raw: &RawListing, report: &mut Report) -> Option<Draft> {
        let Ok(id) = ProductId::try_from(raw.id.trim().to_owned()) else {
            report.count(Reason::UnusableId, &raw.id);
            return None;
        };
        let path = self.category_path(&raw.category);
        if path.is_empty() {
            report.count(Reason::NoCategory, id.as_str());
            return None;
        }
        let mut findings = Vec::new();
        let (title, suffix_place) = self.title(&raw.title, &path, &mut findings);
        if title.is_empty() {
            report.count(Reason::NoTitle, id.as_str());
            return None;
        }
        let description = self.description(&raw.description, &path, &mut findings);
        let price = self.price(&raw.price, &mut findings);
        let mut location = if is_absent(&raw.location) { String::new() } else { tidy(&raw.location).text };
        if location.is_empty()
            && let Some(place) = suffix_place
        {
            findings.push(Reason::LocationFromTitle);
            location = place;
        }
        findings.sort_unstable();
        findings.dedup();
        for reason in findings {
            report.count(reason, id.as_str());
        }
        Some(Draft { id, title, description, path, price, location })
    }

    fn category_path(&self, field: &str) -> Vec<String> {
        if is_absent(field) {
            return Vec::new();
        }
        field.split(&self.separator).map(|part| tidy(part).text).filter(|part| !part.is_empty()).collect()
    }

    /// The title on one line, and the place its suffix names.
    fn title(&self, raw: &str, path: &[String], findings: &mut Vec<Reason>) -> (String, Option<String>) {
        let text = tidied(raw, findings).replace('\n', " ");
        let (title, place) = match self.rules.split_title(&text) {
            Some((title, place)) => {
                findings.push(Reason::TitleSuffix);
                (title.trim(), Some(place.to_owned()))
            }
            None => (text.as_str(), None),
        };
        (without_label(title, path, findings), place.filter(|place| !place.is_empty()))
    }

    fn description(&self, raw: &str, path: &[String], findings: &mut Vec<Reason>) -> String {
        if is_absent(raw) {
            return String::new();
        }
        let text = tidied(raw, findings);
        let text = match self.rules.without_signature(&text) {
            Some(unsigned) => {
                findings.push(Reason::LabelInText);
                tidy(&unsigned).text
            }
            None => text,
        };
        without_label(&text, path, findings)
    }

    fn price(&self, raw: &str, findings: &mut Vec<Reason>) -> Option<f64> {
        let (price, reason) = match parse_price(raw) {
            Price::Amount(amount) if is_absurd(amount, self.max_price) => (None, Some(Reason::AbsurdPrice)),
            Price::Amount(amount) => (Some(amount), None),
            Price::Absent => (None, Some(Reason::NoPrice)),
            Price::Unreadable => (None, Some(Reason::UnreadablePrice)),
        };
        findings.extend(reason);
        price
    }
}

fn tidied(raw: &str, findings: &mut Vec<Reason>) -> String {
    let tidied = tidy(raw);
    findings.extend(tidied.had_entities.then_some(Reason::HtmlEntity));
    findings.extend(tidied.had_controls.then_some(Reason::ControlCharacter));
    tidied.text
}

fn without_label(text: &str, path: &[String], findings: &mut Vec<Reason>) -> String {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match without_breadcrumbs(text, &path) {
        Some(cleaned) => {
            findings.push(Reason::LabelInText);
            tidy(&cleaned).text
        }
        None => text.to_owned(),
    }
}
