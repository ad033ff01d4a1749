//! Every row is in the clean table or dropped for a reason.

use std::fs;

use marketrank_train::data::{Reason, Report};

use crate::market::{Market, row};

/// A marketplace with each fault in it once.
fn every_fault() -> (Market, Report) {
    let shared = "a description long enough to be nobody else's but this shop's";
    let rows = [
        row("good", "Lamp", "blue lamp"),
        row("good", "Another", "with an id used before"),
        row("repost", "LAMP!", "Blue  lamp."),
        row("", "No id", ""),
        row("no-title", "| in Leeds | Gumtree", ""),
        "0,no-category,Lamp,N/A,text,£1.00,Leeds".to_owned(),
        "0,blank-category,Lamp,,text,£1.00,Leeds".to_owned(),
        "0,too,many,fields,in,this,line,here".to_owned(),
        "a piece of another listing,£1.00,Leeds".to_owned(),
        row("leak", "Leak", "Posted by seller in Home & Garden, Lamps in Ulm. 1 May 2022"),
        row("entity", "Entity", "6&quot; x"),
        row("control", "Control", "a\u{7}b"),
        "0,words,Words,A / B,text,offers,Leeds".to_owned(),
        "0,absurd,Absurd,A / B,text,999999,Leeds".to_owned(),
        "0,absent,Absent,A / B,text,N/A,Leeds".to_owned(),
        "0,suffix,Suffix | in Leeds | Gumtree,A / B,text,£1.00,".to_owned(),
        row("mask[phone]", "Masked", "mask"),
        row("twin-1", "First", shared),
        row("twin-2", "Second", shared),
        "0,torn,Torn,A / B,begins".to_owned(),
        "goes on".to_owned(),
    ];
    let mut market = Market::with_rows(&rows.each_ref().map(String::as_str));
    market.photo("fine", "good", [9, 9, 9]);
    market.photo("of-dropped", "no-category", [8, 8, 8]);
    market.photo("of-nobody", "nobody", [7, 7, 7]);
    market.photo("truncated", "leak", [6, 6, 6]);
    market.photo_row("no-file", "leak", "1/1/2022").photo_row("fine", "leak", "soon");
    let truncated = market.path().join("images/truncated.jpg");
    let bytes = fs::read(&truncated).unwrap();
    fs::write(&truncated, &bytes[..bytes.len() / 4]).unwrap();
    let report = market.prepare();
    (market, report)
}

#[test]
fn every_reason_is_counted_with_an_example() {
    let (_, report) = every_fault();
    for (reason, count, example) in [
        (Reason::DuplicateId, 1, "good"),
        (Reason::Repost, 1, "repost"),
        (Reason::UnusableId, 1, ""),
        (Reason::NoTitle, 1, "no-title"),
        (Reason::NoCategory, 2, "no-category"),
        (Reason::MalformedLine, 1, "line 9"),
        (Reason::OrphanLine, 1, "line 10"),
        (Reason::LabelInText, 1, "leak"),
        (Reason::HtmlEntity, 1, "entity"),
        (Reason::ControlCharacter, 1, "control"),
        (Reason::UnreadablePrice, 1, "words"),
        (Reason::AbsurdPrice, 1, "absurd"),
        (Reason::NoPrice, 2, "absent"),
        (Reason::TitleSuffix, 1, "suffix"),
        (Reason::LocationFromTitle, 1, "suffix"),
        (Reason::MaskedId, 1, "mask[phone]"),
        (Reason::NearDuplicate, 2, "twin-1"),
        (Reason::TornListing, 1, "torn"),
        (Reason::LostEnding, 1, "torn"),
        (Reason::NoPhoto, 11, "leak"),
        (Reason::PhotoOfDroppedListing, 1, "of-dropped"),
        (Reason::PhotoWithoutListing, 1, "of-nobody"),
        (Reason::UnreadablePhoto, 1, "truncated.jpg"),
        (Reason::PhotoWithoutFile, 1, "no-file"),
        (Reason::UnusablePhotoRow, 1, "fine"),
        (Reason::UnreadableDate, 1, "fine"),
    ] {
        assert_eq!(report.total(reason), count, "{reason:?}");
        assert_eq!(report.findings[&reason].examples[0], example, "{reason:?}");
    }
    assert_eq!(
        report.findings.len(),
        26,
        "a reason without a case in this test: {:?}",
        report.findings.keys()
    );
}

#[test]
fn the_rows_read_are_the_listings_kept_and_the_rows_dropped() {
    let (market, report) = every_fault();
    assert_eq!((report.lines, report.lines_joined, report.listings_found), (21, 1, 18));
    assert_eq!(report.listings_kept, market.table().listings.len() as u64);
    assert_eq!(report.listings_found - report.listings_kept, 6);
    assert_eq!((report.photo_rows, report.photos_kept), (6, 1));
    report.verify().unwrap();
}

#[test]
fn a_report_that_lost_a_row_is_an_error() {
    let (_, mut report) = every_fault();
    report.lines += 1;
    assert!(report.verify().unwrap_err().to_string().contains("rows were lost"));
}

#[test]
fn the_printed_report_shows_sums_reasons_and_categories() {
    let (_, report) = every_fault();
    let printed = report.to_string();
    for part in
        ["21 = 18 listings + 1 continuing them + 2 dropped", "label leaked into the text", "Home & Garden"]
    {
        assert!(printed.contains(part), "{printed}");
    }
}
