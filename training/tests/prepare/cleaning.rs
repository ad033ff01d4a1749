//! What a listing looks like afterwards.

use crate::market::{Market, row};

fn description_of(source: &str) -> String {
    Market::with_rows(&[&row("a", "Thing", source)]).only_listing().description
}

#[test]
fn the_label_leaked_in_the_middle_of_a_description_is_gone() {
    let source = "Mirror wall art. Posted by seller in Dining, Living Room Furniture, Mirrors, Clocks & Ornaments \
                  in Wokingham. 25 February 2022Size 45x45cm";
    assert_eq!(description_of(source), "Mirror wall art.\nSize 45x45cm");
}

#[test]
fn the_label_leaked_at_either_end_of_a_description_is_gone() {
    let ending =
        "New in box Spotlights . Posted by seller in Home & Garden, Lamps in Newent. 25 February 2022";
    assert_eq!(description_of(ending), "New in box Spotlights.");
    let beginning = "Posted by seller in Home & Garden, Lamps in Newent. 25 February 2022 New in box";
    assert_eq!(description_of(beginning), "New in box");
}

#[test]
fn the_label_is_gone_however_its_date_is_written() {
    for date in ["25. February 2022", "February 25, 2022", " 9 October 2021", ""] {
        let cleaned =
            description_of(&format!("Bed. Posted by seller in Home & Garden, Lamps in Lambeth. {date}"));
        assert_eq!(cleaned, "Bed.", "{date}");
    }
}

#[test]
fn what_a_seller_says_about_posting_stays() {
    for source in ["Can be posted by courier for £4.", "Posted by courier. I was paid on 25 February 2022."]
    {
        assert_eq!(description_of(source), source);
    }
}

#[test]
fn a_breadcrumb_of_its_own_category_is_gone_from_title_and_description() {
    let listing =
        Market::with_rows(&[&row("a", "Lamp - Home & Garden > Lamps", "See home & garden / lamps / blue")])
            .only_listing();
    assert_eq!(listing.title, "Lamp -");
    assert_eq!(listing.description, "See blue");
}

#[test]
fn a_word_that_happens_to_be_the_subcategory_stays() {
    assert_eq!(description_of("Two lamps for the garden"), "Two lamps for the garden");
}

#[test]
fn the_site_suffix_is_gone_from_the_title() {
    let title = "\"Sofa | grey | in Wokingham, Berkshire | Gumtree\"";
    assert_eq!(Market::with_rows(&[&row("a", title, "")]).only_listing().title, "Sofa | grey");
}

#[test]
fn the_place_in_the_title_suffix_fills_an_empty_location() {
    let market = Market::with_rows(&["0,a,\"Sofa | in Wokingham, Berkshire | Gumtree\",A / B,text,£1.50,"]);
    assert_eq!(market.only_listing().location, "Wokingham, Berkshire");
}

#[test]
fn entities_controls_and_white_space_are_evened_out_and_emoji_stay_whole() {
    let source =
        "6&quot;  x\u{a0}4&amp;quot;\r\u{200e}two\r\r\r\u{f0d8}three \u{1f468}\u{200d}\u{1f469} [phone]";
    assert_eq!(description_of(source), "6\" x 4&quot;\ntwo\n\nthree \u{1f468}\u{200d}\u{1f469} [phone]");
}

#[test]
fn placeholder_prices_become_no_price_and_real_ones_stay() {
    for (written, price) in [
        ("£5.00", Some(5.0)),
        ("\"£1,950.00\"", Some(1950.0)),
        ("£0.00", Some(0.0)),
        ("£12.34", Some(12.34)),
        ("£999.99", Some(999.99)),
        ("\"£1,234,567.00\"", None),
        ("\"£1,234.56\"", None),
        ("\"£12,345.00\"", None),
        ("999999", None),
        ("\"£10,000,000.00\"", None),
        ("N/A", None),
        ("make me an offer", None),
    ] {
        let market = Market::with_rows(&[&format!("0,a,Thing,A / B,text,{written},Leeds")]);
        assert_eq!(market.only_listing().price, price, "{written}");
    }
}

#[test]
fn a_listing_is_as_old_as_its_oldest_photo() {
    let mut market = Market::with_rows(&[&row("a", "Thing", "text")]);
    market.photo_row("x", "a", "2022-03-01").photo_row("y", "a", "27/02/2022");
    assert_eq!(market.only_listing().listed_at.unwrap().to_string(), "2022-02-27 0:00:00.0 +00:00:00");
}

#[test]
fn with_an_infinite_limit_every_price_is_believed() {
    let market = Market::with_rows(&["0,a,Sofa,Home / Sofas,text,\"£1,234,567.00\",Leeds"]);
    market.prepare_with(&["--max-price", "inf"]).unwrap();
    assert_eq!(market.table().listings[0].price, Some(1_234_567.0));
}
