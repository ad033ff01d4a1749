//! Tables of other shapes, and tables that are broken.

use std::fs;

use image::{Rgb, RgbImage};
use marketrank_train::data::Reason;

use crate::market::{HEADER, Market, row};

#[test]
fn a_listing_torn_over_several_lines_is_put_together() {
    let market = Market::with_rows(&[
        "0,a,Sofa,A / B,New Design",
        "5 seats",
        "\"blue, too\",£399.00,\"Delph, Manchester\"",
    ]);
    let listing = market.only_listing();
    assert_eq!(listing.description, "New Design\n5 seats\nblue, too");
    assert_eq!(listing.price, Some(399.0));
    assert_eq!(listing.location, "Delph, Manchester");
}

#[test]
fn a_torn_listing_without_its_last_line_keeps_what_there_is() {
    let next = row("b", "Lamp", "blue");
    let market = Market::with_rows(&["0,a,Sofa,A / B,New Design", "5 seats", &next]);
    let report = market.prepare();
    assert_eq!(report.total(Reason::LostEnding), 1);
    let listings = market.table().listings;
    assert_eq!(listings[0].description, "New Design\n5 seats");
    assert_eq!(listings[0].price, None);
    assert_eq!(listings[1].description, "blue");
}

#[test]
fn a_piece_without_a_beginning_joins_no_other_listing() {
    let market = Market::with_rows(&[&row("a", "Lamp", "blue"), "5 seats", "the end,£399.00,Delph"]);
    let listing = market.only_listing();
    assert_eq!((listing.description.as_str(), listing.price), ("blue", Some(5.0)));
}

#[test]
fn a_masked_id_is_restored_from_the_photos() {
    let mut market = Market::with_rows(&[&row("9bf[phone]fa6", "Lamp", "blue")]);
    market.photo("x", "9bf-0123-fa6", [1, 2, 3]);
    let listing = market.only_listing();
    assert_eq!(listing.id.as_str(), "9bf-0123-fa6");
    assert_eq!(listing.photos, ["x.jpg"]);
}

#[test]
fn a_masked_id_that_fits_two_products_is_not_guessed() {
    let mut market = Market::with_rows(&[&row("9bf[phone]fa6", "Lamp", "blue")]);
    market.photo("x", "9bf-0123-fa6", [1, 2, 3]).photo("y", "9bf-4567-fa6", [1, 2, 3]);
    let listing = market.only_listing();
    assert_eq!(listing.id.as_str(), "9bfmaskedfa6");
    assert!(listing.photos.is_empty());
}

#[test]
fn another_marketplace_names_its_columns_separator_and_currency() {
    let market = Market::with_table(
        "nr,kategorie,titel,preis,ort,text\n7,Haus > Licht > LED,Lampe,\"1.234,00 €\",Ulm,blau\n",
    );
    fs::write(market.path().join("Images.csv"), "datei,artikel,tag\nx,7,2025-01-31\n").unwrap();
    let flags = "--id-column nr --title-column titel --category-column kategorie --description-column text \
                 --price-column preis --location-column ort --photo-column datei --photo-product-column artikel \
                 --photo-time-column tag --currency EUR --max-price 5000 --category-separator >";
    let report = market.prepare_with(&flags.split_whitespace().collect::<Vec<_>>()).unwrap();
    assert_eq!(report.total(Reason::AbsurdPrice), 1, "1.234 counts up");
    let table = market.table();
    let listing = &table.listings[0];
    assert_eq!(table.categories, ["Haus"]);
    assert_eq!((listing.id.as_str(), listing.title.as_str()), ("7", "Lampe"));
    assert_eq!(listing.category_path, "Haus / Licht / LED");
}

#[test]
fn a_missing_column_is_named_with_its_file_and_flag() {
    let message = Market::with_table("id,title,category\n1,Lamp,A / B\n").refusal(&[]);
    for part in ["Products.csv line 1", "\"product_name\"", "--title-column", "\"title\""] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let market = Market::with_rows(&[&row("a", "Lamp", "blue")]);
    fs::remove_file(market.path().join("Images.csv")).unwrap();
    assert!(market.refusal(&[]).contains("Images.csv"));
    assert!(market.refusal(&["--products", "Nothing.csv"]).contains("Nothing.csv"));
}

#[test]
fn a_table_without_listings_is_refused() {
    assert!(Market::with_table(HEADER).refusal(&[]).contains("holds no listing"));
    assert!(
        Market::with_rows(&["0,a,Lamp,N/A,text,£1.00,Leeds"]).refusal(&[]).contains("none of the 1 listings")
    );
}

#[test]
fn lines_that_do_not_read_are_counted_and_the_others_kept() {
    let mut table =
        format!("{HEADER}{}\n0,b,Lamp,A / B,text,£1.00,Leeds,more\n", row("a", "Lamp", "blue")).into_bytes();
    table.extend_from_slice(b"0,c,Lamp,A / B,\xff\xfe,1.00,Leeds\n");
    let market = Market::with_table(table);
    let report = market.prepare();
    assert_eq!(report.total(Reason::MalformedLine), 2);
    assert_eq!(report.listings_kept, 1);
}

#[test]
fn a_photo_that_training_and_the_server_would_refuse_is_left_out() {
    let mut market = Market::with_rows(&[&row("a", "Lamp", "blue")]);
    market.photo("fine", "a", [1, 2, 3]).photo("tiny", "a", [3, 2, 1]);
    RgbImage::from_pixel(15, 16, Rgb([3, 2, 1])).save(market.path().join("images/tiny.jpg")).unwrap();
    let report = market.prepare();
    assert_eq!(report.total(Reason::UnreadablePhoto), 1);
    assert_eq!(market.table().listings[0].photos, ["fine.jpg"]);
}

#[test]
fn a_whole_file_name_means_that_file_and_a_folder_means_none() {
    let mut market = Market::with_rows(&[&row("a", "Lamp", "blue")]);
    let images = market.path().join("images");
    let photo = |name: &str| RgbImage::from_pixel(16, 16, Rgb([1, 2, 3])).save(images.join(name)).unwrap();
    ["x.jpg", "x.jpg.png", "y.png", "y.jpg"].into_iter().for_each(photo);
    fs::create_dir(images.join("z")).unwrap();
    for name in ["x.jpg", "x.jpg.png", "y", "z"] {
        market.photo_row(name, "a", "1/1/2022");
    }
    let report = market.prepare();
    assert_eq!(market.table().listings[0].photos, ["x.jpg", "x.jpg.png", "y.jpg"]);
    assert_eq!(report.total(Reason::PhotoWithoutFile), 1, "the folder");
}
