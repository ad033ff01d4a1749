//! From a marketplace's own CSV and photos to one clean, split table.
//!
//! [`prepare`] makes the table; [`CleanTable`] is how everything downstream reads it. The folder of a clean table holds
//!
//! - `products.csv`, UTF-8 with a header, one listing a row, an empty field where something is unknown:
//!   `id`, `title`, `description`, `category`, `subcategory`, `category_path`, `price` (in units of `currency`, `0` is
//!   free), `currency` (ISO 4217, empty without a price), `location` (a place name), `listed_at` (RFC 3339), `split`
//!   (`train`, `validation` or `test`) and `photos` (file names separated by `;`);
//! - `photos`, a link to the folder those file names lie in;
//! - `report.json`, what was dropped, mended and kept, and why ([`Report`]).
//!
//! The hash of the data is the SHA-256 of `products.csv`.

mod clean;
mod columns;
mod duplicates;
mod label;
mod listing_lines;
mod masked_ids;
mod photos;
pub mod prepare;
mod price;
mod publish;
mod reason;
mod report;
mod site_rules;
mod split;
mod table;
mod text;

pub use prepare::prepare;
pub use price::{Price, is_currency_sign, names_amount, parse_price};
pub use reason::{Effect, Reason};
pub use report::{CategoryCount, Finding, Report};
pub use split::Split;
pub use table::{CleanTable, Listing, MIN_SUBCATEGORY_LISTINGS};
