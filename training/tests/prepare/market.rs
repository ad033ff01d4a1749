//! A marketplace's tables and photos, made up on disk.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use clap::Parser;
use image::{Rgb, RgbImage};
use marketrank_train::data::{self, CleanTable, Listing, Report};

pub const HEADER: &str = ",id,product_name,category,product_description,price,location\n";
const PHOTOS_HEADER: &str = ",id,product_id,image_ref,create_time\n";

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: data::prepare::Args,
}

/// A marketplace in a temporary folder.
pub struct Market {
    folder: tempfile::TempDir,
    photo_rows: String,
}

impl Market {
    /// With these bytes for `Products.csv`, and no photos.
    pub fn with_table(products: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("images")).unwrap();
        fs::write(folder.path().join("Products.csv"), products).unwrap();
        let market = Self { folder, photo_rows: PHOTOS_HEADER.to_owned() };
        market.write_photo_rows();
        market
    }

    /// With these rows under the usual header.
    pub fn with_rows(rows: &[&str]) -> Self {
        Self::with_table(format!("{HEADER}{}\n", rows.join("\n")))
    }

    /// Adds a row to `Images.csv`.
    pub fn photo_row(&mut self, name: &str, product: &str, day: &str) -> &mut Self {
        self.photo_rows.push_str(&format!("0,{name},{product},ref,{day}\n"));
        self.write_photo_rows();
        self
    }

    /// Adds a row to `Images.csv` and a JPEG of one colour to the folder.
    pub fn photo(&mut self, name: &str, product: &str, colour: [u8; 3]) -> &mut Self {
        let path = self.path().join("images").join(format!("{name}.jpg"));
        RgbImage::from_pixel(16, 16, Rgb(colour)).save(path).unwrap();
        self.photo_row(name, product, "26/02/2022")
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn out(&self) -> PathBuf {
        self.path().join("clean")
    }

    /// Prepares with further flags.
    pub fn prepare_with(&self, flags: &[&str]) -> Result<Report> {
        let (data, out) = (self.path().to_owned().into_os_string(), self.out().into_os_string());
        let named = ["prepare".into(), "--data".into(), data, "--out".into(), out];
        let cli = Cli::try_parse_from(named.into_iter().chain(flags.iter().map(Into::into)))?;
        data::prepare(&cli.args)
    }

    pub fn prepare(&self) -> Report {
        self.prepare_with(&[]).unwrap()
    }

    /// The message of the error that preparing ends with.
    pub fn refusal(&self, flags: &[&str]) -> String {
        format!("{:#}", self.prepare_with(flags).unwrap_err())
    }

    pub fn table(&self) -> CleanTable {
        CleanTable::read(&self.out()).unwrap()
    }

    /// Prepares, and gives the only listing there is.
    pub fn only_listing(&self) -> Listing {
        self.prepare();
        let [listing] = <[Listing; 1]>::try_from(self.table().listings).unwrap();
        listing
    }

    fn write_photo_rows(&self) {
        fs::write(self.path().join("Images.csv"), &self.photo_rows).unwrap();
    }
}

/// A whole row with an id, a title and a description.
pub fn row(id: &str, title: &str, description: &str) -> String {
    format!("0,{id},{title},Home & Garden / Lamps,\"{description}\",£5.00,Leeds")
}
