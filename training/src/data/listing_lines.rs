//! Reads the table of listings, and joins the listings that line breaks have torn apart.
//!
//! Some exports write a description's line breaks without quoting the field. One listing then lies on several lines: its first
//! ends inside the description, the next ones hold nothing but text, and the last ends the description and goes on with the
//! remaining columns. Read line by line, such a file seems to hold thousands of rows without a category.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use csv::{ErrorKind, Position, StringRecord};

use super::{
    columns::{ListingColumns, position},
    reason::Reason,
    report::Report,
};

/// A listing as the file has it, put together again but not cleaned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawListing {
    pub id: String,
    pub title: String,
    pub description: String,
    pub category: String,
    pub price: String,
    pub location: String,
}

/// Reads the listings of a table, in its order.
///
/// Counts every line: `report.lines` is the number of records read, `report.listings_found` of listings put together from
/// them, `report.lines_joined` of further lines that became part of one.
///
/// # Errors
/// When the file cannot be read, lacks a column, or holds no listing.
pub fn read(path: &Path, columns: &ListingColumns, report: &mut Report) -> Result<Vec<RawListing>> {
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_path(path)
        .with_context(|| format!("cannot open the table of listings {}", path.display()))?;
    let header =
        reader.headers().with_context(|| format!("{} line 1: no readable header", path.display()))?;
    let layout = Layout::new(header, columns, path)?;
    let mut lines = Lines { layout, open: None, listings: Vec::new(), report };
    for record in reader.into_records() {
        match record {
            Ok(record) => lines.take(&record),
            Err(error) => {
                let ErrorKind::Utf8 { pos, .. } = error.kind() else {
                    return Err(error).with_context(|| format!("cannot read {}", path.display()));
                };
                lines.refuse(Reason::MalformedLine, pos.as_ref());
            }
        }
    }
    lines.close();
    ensure!(
        !lines.listings.is_empty(),
        "{} holds no listing: it has a header and {} further lines, none of them a whole row",
        path.display(),
        lines.report.lines
    );
    Ok(lines.listings)
}

/// Positions of the columns, and the widths by which the parts of a torn listing are known.
struct Layout {
    id: usize,
    title: usize,
    description: usize,
    category: usize,
    price: usize,
    location: usize,
    width: usize,
}

impl Layout {
    fn new(header: &StringRecord, columns: &ListingColumns, path: &Path) -> Result<Self> {
        let find = |name: &str, flag: &str| position(header, name, flag, path);
        Ok(Self {
            id: find(&columns.id_column, "--id-column")?,
            title: find(&columns.title_column, "--title-column")?,
            description: find(&columns.description_column, "--description-column")?,
            category: find(&columns.category_column, "--category-column")?,
            price: find(&columns.price_column, "--price-column")?,
            location: find(&columns.location_column, "--location-column")?,
            width: header.len(),
        })
    }

    /// What a whole row, or the beginning of a torn one, says.
    fn listing(&self, record: &StringRecord) -> RawListing {
        RawListing {
            id: field(record, self.id),
            title: field(record, self.title),
            description: field(record, self.description),
            category: field(record, self.category),
            price: field(record, self.price),
            location: field(record, self.location),
        }
    }

    /// The first line of a torn listing ends inside the description, and has what a listing cannot do without before it.
    fn is_beginning(&self, record: &StringRecord) -> bool {
        record.len() == self.description + 1
            && self.id.max(self.title).max(self.category) < self.description
            && !field(record, self.id).is_empty()
    }

    /// The last line begins inside the description and has every column after it.
    fn is_ending(&self, record: &StringRecord) -> bool {
        record.len() == self.width - self.description
    }
}

struct Lines<'a> {
    layout: Layout,
    /// A torn listing whose last line has not come yet.
    open: Option<RawListing>,
    listings: Vec<RawListing>,
    report: &'a mut Report,
}

impl Lines<'_> {
    fn take(&mut self, record: &StringRecord) {
        let layout = &self.layout;
        let continues = self.open.is_some() && (record.len() == 1 || layout.is_ending(record));
        if record.len() == layout.width {
            self.begin(record);
            self.listings.extend(self.open.take());
        } else if record.len() > layout.width {
            self.refuse(Reason::MalformedLine, record.position());
        } else if continues {
            self.join(record);
        } else if layout.is_beginning(record) {
            self.begin(record);
            self.report.count(Reason::TornListing, &field(record, self.layout.id));
        } else {
            self.refuse(Reason::OrphanLine, record.position());
        }
    }

    /// Opens a listing, whole or torn.
    fn begin(&mut self, record: &StringRecord) {
        self.close();
        self.report.lines += 1;
        self.report.listings_found += 1;
        self.open = Some(self.layout.listing(record));
    }

    /// Adds a further line to the open listing, and closes it if that line is its last.
    fn join(&mut self, record: &StringRecord) {
        let Some(open) = &mut self.open else { return };
        self.report.lines += 1;
        self.report.lines_joined += 1;
        open.description.push('\n');
        open.description.push_str(&field(record, 0));
        if self.layout.is_ending(record) {
            let skipped = self.layout.description;
            for (value, column) in
                [(&mut open.price, self.layout.price), (&mut open.location, self.layout.location)]
            {
                if let Some(column) = column.checked_sub(skipped) {
                    *value = field(record, column);
                }
            }
            self.listings.extend(self.open.take());
        }
    }

    /// A line that belongs to no listing. It ends the listing before it, whose own last line can no longer come.
    fn refuse(&mut self, reason: Reason, position: Option<&Position>) {
        self.close();
        self.report.lines += 1;
        let line = position.map_or(0, Position::line);
        self.report.count(reason, &format!("line {line}"));
    }

    /// Gives up waiting for the last line of a torn listing: what it would have held stays unknown.
    fn close(&mut self) {
        if let Some(listing) = self.open.take() {
            self.report.count(Reason::LostEnding, &listing.id);
            self.listings.push(listing);
        }
    }
}

/// A field of a record, empty where the record is too short.
fn field(record: &StringRecord, column: usize) -> String {
    record.get(column).unwrap_or_default().to_owned()
}
