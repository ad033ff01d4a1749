//! Which column of a marketplace's tables holds what.

use anyhow::{Result, anyhow};
use csv::StringRecord;
use std::path::Path;

/// Names of the columns of the table of listings.
#[derive(Debug, Clone, clap::Args)]
pub struct ListingColumns {
    /// Column of the listings' table with the product id.
    #[arg(long, default_value = "id", value_name = "NAME")]
    pub id_column: String,
    /// Column with the title.
    #[arg(long, default_value = "product_name", value_name = "NAME")]
    pub title_column: String,
    /// Column with the description.
    #[arg(long, default_value = "product_description", value_name = "NAME")]
    pub description_column: String,
    /// Column with the category path.
    #[arg(long, default_value = "category", value_name = "NAME")]
    pub category_column: String,
    /// Column with the price.
    #[arg(long, default_value = "price", value_name = "NAME")]
    pub price_column: String,
    /// Column with the place name.
    #[arg(long, default_value = "location", value_name = "NAME")]
    pub location_column: String,
}

/// Names of the columns of the table of photos.
#[derive(Debug, Clone, clap::Args)]
pub struct PhotoColumns {
    /// Column of the photos' table with the photo's file name, with or without its extension.
    #[arg(long, default_value = "id", value_name = "NAME")]
    pub photo_column: String,
    /// Column with the id of the product it shows.
    #[arg(long, default_value = "product_id", value_name = "NAME")]
    pub photo_product_column: String,
    /// Column with the day it was listed: `31/12/2025`, `2025-12-31` or RFC 3339.
    #[arg(long, default_value = "create_time", value_name = "NAME")]
    pub photo_time_column: String,
}

/// Position of a named column, or a message that names the file, the column, its flag and what is there instead.
pub fn position(header: &StringRecord, name: &str, flag: &str, file: &Path) -> Result<usize> {
    header.iter().position(|column| column.trim() == name).ok_or_else(|| {
        let present: Vec<String> = header.iter().map(|column| format!("{:?}", column.trim())).collect();
        anyhow!(
            "{} line 1: no column {name:?}; the columns are {}. Name the right one with {flag}",
            file.display(),
            present.join(", ")
        )
    })
}
