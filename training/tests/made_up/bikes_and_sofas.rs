//! A market of red bikes and blue sofas.

use std::{fmt::Write as _, fs, path::Path};

use image::{Rgb, RgbImage};

/// The columns of a clean table.
pub const COLUMNS: &str = "id,title,description,category,subcategory,category_path,price,currency,location,\
    listed_at,split,photos\n";

/// What a listing offers, by its number in turns.
pub const THINGS: [&str; 2] = ["bike", "sofa"];
pub const LISTINGS: usize = 60;
/// The first of them.
pub const VALIDATION: usize = 20;

/// Their clean table and photos. All training listings are filed wrong.
pub fn write_table(folder: &Path) {
    fs::create_dir(folder.join("photos")).unwrap();
    let mut table = COLUMNS.to_owned();
    for number in 0..LISTINGS {
        let thing = number % 2;
        let validation = number < VALIDATION;
        let category = if validation { thing } else { 1 - thing };
        let split = if validation { "validation" } else { "train" };
        let filed = ["Bikes", "Sofas"][category];
        let title = THINGS[thing];
        let photos: Vec<String> = (0..number % 4).map(|photo| format!("{number}-{photo}.png")).collect();
        for photo in &photos {
            write_photo(&folder.join("photos").join(photo), thing, number);
        }
        let photos = photos.join(";");
        writeln!(table, "{number},{title},used {title} {number},{filed},,{filed},,,,,{split},{photos}")
            .unwrap();
    }
    fs::write(folder.join("products.csv"), table).unwrap();
}

fn write_photo(file: &Path, thing: usize, shade: usize) {
    let shade = 150 + shade as u8;
    let colour = [[shade, 40, 40], [40, 40, shade]][thing];
    RgbImage::from_pixel(32, 32, Rgb(colour)).save(file).unwrap();
}
