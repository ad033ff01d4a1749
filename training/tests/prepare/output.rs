//! The folder of the clean table.

use std::fs;

use marketrank_train::data::CleanTable;

use crate::market::{Market, row};

fn market() -> Market {
    let mut market = Market::with_rows(&[&row("a", "Lamp", "blue"), &row("b", "Sofa", "red")]);
    market.photo("x", "a", [1, 2, 3]).photo("y", "a", [3, 2, 1]);
    market
}

#[test]
fn the_table_has_the_documented_columns() {
    let market = market();
    market.prepare();
    let table = fs::read_to_string(market.out().join("products.csv")).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(
        lines[..2],
        [
            "id,title,description,category,subcategory,category_path,price,currency,location,listed_at,split,photos",
            "a,Lamp,blue,Home & Garden,Lamps,Home & Garden / Lamps,5.0,GBP,Leeds,2022-02-26T00:00:00Z,train,x.jpg;y.jpg",
        ]
    );
}

#[test]
fn a_photo_of_the_table_opens() {
    let market = market();
    market.prepare();
    let table = market.table();
    assert!(image::open(table.photo_path(&table.listings[0].photos[1])).is_ok());
}

#[test]
fn the_same_data_gives_the_same_hash_and_other_data_another() {
    let (first, second) = (market(), market());
    let hash = first.prepare().data_sha256;
    assert_eq!(hash, second.prepare().data_sha256);
    assert_eq!(hash, first.table().sha256);
    assert_ne!(hash, second.prepare_with(&["--currency", "EUR"]).unwrap().data_sha256);
}

#[test]
fn an_older_table_is_replaced() {
    let market = market();
    market.prepare_with(&["--currency", "EUR"]).unwrap();
    market.prepare();
    assert_eq!(market.table().listings[0].currency, "GBP");
    let left: Vec<_> = fs::read_dir(market.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
}

#[test]
fn a_failure_leaves_the_older_table_as_it_was() {
    let market = market();
    market.prepare();
    let before = market.table();
    assert!(market.prepare_with(&["--photos", "nowhere"]).is_err());
    assert_eq!(market.table(), before);
}

#[test]
fn a_folder_with_other_files_is_not_deleted() {
    let market = market();
    fs::create_dir(market.out()).unwrap();
    fs::write(market.out().join("thesis.doc"), "years of work").unwrap();
    assert!(market.refusal(&[]).contains("thesis.doc"));
    assert!(market.out().join("thesis.doc").exists());
}

#[test]
fn a_missing_table_says_what_makes_it() {
    let message = format!("{:#}", CleanTable::read("/nonexistent".as_ref()).unwrap_err());
    assert!(message.contains("/nonexistent/products.csv") && message.contains("prepare"), "{message}");
}

#[test]
fn a_row_that_does_not_read_is_named_by_file_and_line() {
    let market = market();
    market.prepare();
    let path = market.out().join("products.csv");
    let broken = fs::read_to_string(&path).unwrap().replacen("train", "trial", 1);
    fs::write(&path, broken).unwrap();
    let message = format!("{:#}", CleanTable::read(&market.out()).unwrap_err());
    assert!(message.contains("products.csv") && message.contains("line"), "{message}");
}

#[test]
fn a_photo_outside_the_photos_folder_is_refused() {
    let market = market();
    market.prepare();
    let path = market.out().join("products.csv");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("x.jpg", "../x.jpg")).unwrap();
    assert!(format!("{:#}", CleanTable::read(&market.out()).unwrap_err()).contains("../x.jpg"));
}
