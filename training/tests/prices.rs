//! Prices as people write them.

use marketrank_train::data::{Price, names_amount, parse_price};

#[test]
fn british_and_continental_prices_are_read() {
    for (text, amount) in [
        ("£1,234.00", 1234.0),
        ("£99,999,999.99", 99_999_999.99),
        ("1234", 1234.0),
        ("1.234,00 €", 1234.0),
        ("1.234", 1234.0),
        ("12,5", 12.5),
        ("GBP 12.50", 12.5),
        ("1\u{a0}234,50 kr", 1234.5),
        ("£ 0.01", 0.01),
        ("Free", 0.0),
    ] {
        assert_eq!(parse_price(text), Price::Amount(amount), "{text}");
    }
}

#[test]
fn an_empty_field_is_no_price() {
    for text in ["", "  ", "N/A", "n/a"] {
        assert_eq!(parse_price(text), Price::Absent, "{text}");
    }
}

#[test]
fn words_ranges_signs_and_odd_groups_are_unreadable() {
    for text in [
        "offers", "£10 ono", "10-20", "-5", "£", "1,23,456", "1.2.3", "1e9", "1,,000", "Infinity", "£.50.1",
        "١٢",
    ] {
        assert_eq!(parse_price(text), Price::Unreadable, "{text}");
    }
}

#[test]
fn a_number_behind_the_sign_of_a_currency_is_an_amount() {
    for text in ["£40 ono", "asking £ 5", "20€ or $25", "Bike. ₹900", "¥1000"] {
        assert!(names_amount(text), "{text}");
    }
    for text in ["size 40", "40£", "£ each, 2 left", "40 pounds", "€", ""] {
        assert!(!names_amount(text), "{text}");
    }
}
