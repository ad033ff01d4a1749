//! Train, validation and test.

use marketrank_train::data::Split;

use crate::market::{Market, row};

#[test]
fn the_split_of_an_id_never_changes() {
    for (id, split) in [
        ("243809c0-9cfc-4486-ad12-3b7a16605ba9", Split::Train),
        ("1c58d3f9-8b93-47ea-9415-204fcc2a22e6", Split::Validation),
        ("860673f1-57f6-47ba-8d2f-13f9e05b8f9a", Split::Test),
        ("sofa-001", Split::Train),
        ("1", Split::Train),
    ] {
        assert_eq!(Split::of(id), split, "{id}");
    }
}

#[test]
fn one_listing_in_ten_is_for_validation_and_one_for_test() {
    let count = |split| (0..10_000).filter(|id| Split::of(&id.to_string()) == split).count();
    assert!((900..1100).contains(&count(Split::Validation)));
    assert!((900..1100).contains(&count(Split::Test)));
}

#[test]
fn a_listing_with_a_text_of_its_own_goes_where_its_id_says() {
    let rows: Vec<String> =
        (0..50).map(|id| row(&id.to_string(), &format!("Lamp {id}"), &format!("blue {id}"))).collect();
    let market = Market::with_rows(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    market.prepare();
    for listing in market.table().listings {
        assert_eq!(listing.split, Split::of(listing.id.as_str()));
    }
}

#[test]
fn listings_under_one_description_are_on_one_side() {
    let text = "Specialists in graded appliances, all with three months warranty";
    let rows: Vec<String> = (0..50).map(|id| row(&id.to_string(), &format!("Fridge {id}"), text)).collect();
    let market = Market::with_rows(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    market.prepare();
    let listings = market.table().listings;
    assert_eq!(listings.len(), 50);
    assert!(listings.iter().all(|listing| listing.split == Split::of("0")));
}

#[test]
fn listings_that_share_a_photo_are_on_one_side_through_any_chain() {
    let rows: Vec<String> =
        (0..30).map(|id| row(&id.to_string(), &format!("Lamp {id}"), &format!("blue {id}"))).collect();
    let mut market = Market::with_rows(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    for id in 0..30u8 {
        market.photo(&format!("a{id}"), &id.to_string(), [8 * id, 0, 0]);
        market.photo(&format!("b{id}"), &id.to_string(), [8 * (id + 1), 0, 0]);
    }
    market.prepare();
    assert!(market.table().listings.iter().all(|listing| listing.split == Split::of("0")));
}

#[test]
fn the_same_listing_twice_is_kept_once() {
    let market = Market::with_rows(&[&row("a", "Blue lamp", "lovely"), &row("b", "BLUE LAMP!!", "Lovely")]);
    assert_eq!(market.only_listing().id.as_str(), "a");
}

#[test]
fn a_subcategory_is_a_label_from_twenty_training_listings_on() {
    let training: Vec<String> =
        (0..).map(|id: u32| id.to_string()).filter(|id| Split::of(id) == Split::Train).take(39).collect();
    let rows: Vec<String> = training
        .iter()
        .enumerate()
        .map(|(place, id)| {
            format!(
                "0,{id},Thing {id},A / {},text {id},£1.00,Leeds",
                if place < 20 { "often" } else { "rare" }
            )
        })
        .collect();
    let market = Market::with_rows(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    market.prepare();
    let table = market.table();
    let names: Vec<&str> = table.subcategories.iter().map(|subcategory| subcategory.name.as_str()).collect();
    assert_eq!(names, ["often"]);
    assert_eq!(table.listings.iter().filter(|listing| listing.subcategory == Some(0)).count(), 20);
}

#[test]
fn categories_are_in_alphabetical_order() {
    let market = Market::with_rows(&["0,1,Thing,B / x,text one,,", "0,2,Other,A / y,text two,,"]);
    market.prepare();
    let table = market.table();
    assert_eq!(table.categories, ["A", "B"]);
    assert_eq!(table.listings[0].category, 1);
}
