//! What a request may wish for beside its query: boosts, taste, what is not wanted, diversity, other spellings.

use marketrank::{
    catalogue::{Catalogue, Filter, Location, Near, Place, Product, StoredProduct},
    ranking::{
        Boost, DistanceBoost, MAX_VIEWED, Not, PhotoQuery, Query, RankError, RankRequest, Ranking, Signal,
        TextQuery, rank,
    },
};
use time::macros::datetime;

use crate::{
    embedded::{Scratch, scratch},
    listings::{axis, id, ids, stored, titled, unit, with_date},
};

async fn order(listings: Vec<StoredProduct>, request: RankRequest) -> Vec<String> {
    let scratch = scratch();
    scratch.catalogue.upsert(listings).await.unwrap();
    names(&rank(&scratch.catalogue, &request).await.unwrap())
}

fn names(ranking: &Ranking) -> Vec<String> {
    ids(ranking.results.iter().map(|ranked| &ranked.product.id)).into_iter().map(str::to_owned).collect()
}

/// Three listings that the query likes equally, so that a wish decides.
fn like_lamps(change: impl Fn(usize, &mut Product)) -> Vec<StoredProduct> {
    let lamp = |n| {
        let mut product = titled(["a", "b", "c"][n], "Lamp");
        change(n, &mut product);
        stored(product, axis(0))
    };
    (0..3).map(lamp).collect()
}

fn lamps() -> RankRequest {
    let text = TextQuery { words: "lamp".to_owned(), embedding: axis(0) };
    RankRequest {
        query: Query { text: Some(text), ..Query::default() },
        now: datetime!(2024-02-01 00:00 UTC),
        ..RankRequest::default()
    }
}

fn blend(toward: usize, share: f32) -> Vec<f32> {
    unit(axis(0).iter().zip(axis(toward)).map(|(a, b)| a + share * b).collect())
}

#[tokio::test]
async fn recency_raises_the_new() {
    let dates = [r#""2023-06-01T00:00:00Z""#, r#""2024-01-31T00:00:00Z""#];
    let mut listings = like_lamps(|_, _| ());
    for (listing, date) in listings.iter_mut().zip(dates) {
        listing.product = with_date(listing.product.clone(), date);
    }
    let boost = Boost { recency_half_life_days: Some(7.0), ..Boost::default() };
    assert_eq!(order(listings, RankRequest { boost, ..lamps() }).await, ["b", "a", "c"]);
}

#[tokio::test]
async fn distance_raises_the_near() {
    let at = |lat| Some(Location { name: None, lat: Some(lat), lon: Some(0.0) });
    let listings = like_lamps(|n, product| product.location = [at(51.0), None, at(50.1)][n].clone());
    let from = Place { lat: 50.0, lon: 0.0 };
    let boost = Boost { distance: Some(DistanceBoost { from, half_life_km: 20.0 }), ..Boost::default() };
    assert_eq!(order(listings, RankRequest { boost, ..lamps() }).await, ["c", "a", "b"]);
}

#[tokio::test]
async fn a_price_target_raises_what_costs_about_that() {
    let listings = like_lamps(|n, product| product.price = [Some(10.0), Some(90.0), Some(110.0)][n]);
    let boost = Boost { price_target: Some(100.0), ..Boost::default() };
    // 100 / 110 is nearer to 1 than 90 / 100.
    assert_eq!(order(listings, RankRequest { boost, ..lamps() }).await, ["c", "b", "a"]);
}

#[tokio::test]
async fn a_radius_keeps_what_lies_within() {
    let at = |lat| Some(Location { name: None, lat: Some(lat), lon: Some(0.0) });
    let listings = like_lamps(|n, product| product.location = [at(51.0), None, at(50.1)][n].clone());
    let near = Some(Near { centre: Place { lat: 50.0, lon: 0.0 }, radius_km: 12.0 });
    let filter = Filter { near, ..Filter::default() };
    assert_eq!(order(listings, RankRequest { filter, ..lamps() }).await, ["c"]);
}

#[tokio::test]
async fn words_that_are_not_wanted_push_a_listing_down() {
    let listings = vec![
        stored(titled("a", "Childrens bike"), axis(0)),
        stored(titled("b", "Bike"), axis(0)),
        stored(titled("c", "Kayak"), axis(5)),
    ];
    let query = Query {
        text: Some(TextQuery { words: "bike".to_owned(), embedding: axis(0) }),
        not: Not {
            text: Some(TextQuery { words: "childrens bike".to_owned(), embedding: axis(9) }),
            ..Not::default()
        },
        ..Query::default()
    };
    assert_eq!(order(listings, RankRequest { query, ..lamps() }).await, ["b", "a", "c"]);
}

#[tokio::test]
async fn a_meaning_that_is_not_wanted_pushes_a_listing_down() {
    let listings =
        vec![stored(titled("toward", "x1"), blend(1, 0.6)), stored(titled("away", "x2"), blend(2, 0.7))];
    let query = |not| Query { photo: Some(PhotoQuery { embedding: axis(0) }), not, ..Query::default() };
    let without = RankRequest { query: query(Not::default()), ..lamps() };
    assert_eq!(order(listings.clone(), without).await, ["toward", "away"]);
    let not = Not { photo: Some(PhotoQuery { embedding: axis(1) }), ..Not::default() };
    assert_eq!(order(listings, RankRequest { query: query(not), ..lamps() }).await, ["away", "toward"]);
}

#[tokio::test]
async fn a_product_that_is_not_wanted_pushes_its_like_down() {
    let listings = vec![
        stored(titled("disliked", "x0"), axis(1)),
        stored(titled("like-it", "x1"), blend(1, 0.6)),
        stored(titled("unlike-it", "x2"), blend(2, 0.7)),
    ];
    let not = Not { product: Some(id("disliked")), ..Not::default() };
    let query = Query { photo: Some(PhotoQuery { embedding: axis(0) }), not, ..Query::default() };
    assert_eq!(order(listings, RankRequest { query, ..lamps() }).await[0], "unlike-it");
}

#[tokio::test]
async fn nothing_but_what_is_not_wanted_is_refused() {
    let not = Not { photo: Some(PhotoQuery { embedding: axis(1) }), ..Not::default() };
    let request = RankRequest { query: Query { not, ..Query::default() }, ..RankRequest::default() };
    assert!(matches!(rank(&scratch().catalogue, &request).await, Err(RankError::OnlyNot)));
}

async fn tastes() -> Scratch {
    let scratch = scratch();
    let listings = vec![
        stored(titled("red-seen", "x1"), axis(1)),
        stored(titled("blue-seen", "x2"), axis(2)),
        stored(titled("red", "Lamp"), blend(1, 0.5)),
        stored(titled("blue", "Lamp"), blend(2, 0.5)),
    ];
    scratch.catalogue.upsert(listings).await.unwrap();
    scratch
}

#[tokio::test]
async fn what_was_viewed_last_weighs_most() {
    let scratch = tastes().await;
    for (viewed, first) in [(["red-seen", "blue-seen"], "blue"), (["blue-seen", "red-seen"], "red")] {
        let request = RankRequest { viewed: viewed.map(id).into(), ..lamps() };
        assert_eq!(names(&rank(&scratch.catalogue, &request).await.unwrap())[0], first);
    }
}

#[tokio::test]
async fn without_a_query_taste_decides_and_what_is_gone_does_not_count() {
    let scratch = tastes().await;
    let request = RankRequest { viewed: ["blue-seen", "gone"].map(id).into(), ..RankRequest::default() };
    assert_eq!(names(&rank(&scratch.catalogue, &request).await.unwrap())[..2], ["blue-seen", "blue"]);
}

#[tokio::test]
async fn viewed_products_that_came_as_candidates_are_not_looked_up() {
    let scratch = scratch();
    let candidates = vec![
        stored(titled("blue", "Lamp"), axis(2)),
        stored(titled("red", "Lamp"), axis(1)),
        stored(titled("red-seen", "x1"), blend(1, 2.0)),
    ];
    let seen = |viewed: &[&str]| RankRequest {
        candidates: Some(candidates.clone()),
        viewed: viewed.iter().copied().map(id).collect(),
        ..RankRequest::default()
    };
    let stored_too = vec![stored(titled("blue-seen", "x2"), axis(2))];
    scratch.catalogue.upsert(stored_too).await.unwrap();
    let both = rank(&scratch.catalogue, &seen(&["red-seen", "gone", "blue-seen"])).await.unwrap();
    assert_eq!(names(&both)[0], "blue");

    scratch.catalogue.close().await.unwrap();
    let alone = rank(&scratch.catalogue, &seen(&["red-seen"])).await.unwrap();
    assert_eq!(names(&alone), ["red-seen", "red", "blue"]);
    let unknown = rank(&scratch.catalogue, &seen(&["red-seen", "blue-seen"])).await;
    assert!(matches!(unknown, Err(RankError::Catalogue(_))));
}

#[tokio::test]
async fn more_viewed_products_than_allowed_are_refused() {
    let request = RankRequest { viewed: vec![id("a"); MAX_VIEWED + 1], ..RankRequest::default() };
    assert!(matches!(rank(&scratch().catalogue, &request).await, Err(RankError::TooManyViewed(_))));
}

#[tokio::test]
async fn diversity_brings_something_else_forward() {
    let listings = vec![
        stored(titled("best", "x1"), blend(1, 0.30)),
        stored(titled("twin", "x2"), blend(1, 0.31)),
        stored(titled("other", "x3"), blend(2, 0.40)),
    ];
    let query = Query { photo: Some(PhotoQuery { embedding: axis(0) }), ..Query::default() };
    let request = |diversity| RankRequest { query: query.clone(), diversity, ..RankRequest::default() };
    assert_eq!(order(listings.clone(), request(0.0)).await, ["best", "twin", "other"]);
    assert_eq!(order(listings, request(0.5)).await, ["best", "other", "twin"]);
}

#[tokio::test]
async fn with_diversity_two_listings_of_one_photo_do_not_stand_next_to_each_other() {
    let pictured = |name: &str, toward, share, photo| StoredProduct {
        thumbnail: Some(vec![photo]),
        ..stored(titled(name, "x1"), blend(toward, share))
    };
    // All about as unlike each other, so that relevance alone would put a and b side by side.
    let listings = vec![pictured("a", 1, 0.30, 1), pictured("b", 2, 0.31, 1), pictured("c", 3, 0.50, 2)];
    let query = Query { photo: Some(PhotoQuery { embedding: axis(0) }), ..Query::default() };
    let request = RankRequest { query, diversity: 0.01, ..RankRequest::default() };
    assert_eq!(order(listings, request).await, ["a", "c", "b"]);
}

/// A listing filed under a category and, within it, a subcategory.
fn filed(name: &str, title: &str, embedding: Vec<f32>, category: &str, subcategory: &str) -> StoredProduct {
    let mut product = titled(name, title);
    product.category = Some(category.to_owned());
    product.attributes.insert("subcategory".to_owned(), subcategory.into());
    stored(product, embedding)
}

#[tokio::test]
async fn of_two_listings_that_fit_alike_the_one_of_the_leaders_kind_comes_first() {
    let mut listings: Vec<StoredProduct> = (0..4)
        .map(|n| filed(&format!("lead-{n}"), "x0", blend(1, 0.1 + n as f32 / 50.0), "Home", "Beds"))
        .collect();
    listings.push(filed("a-toy", "x1", blend(2, 0.60), "Toys", "Beds"));
    listings.push(filed("b-table", "x1", blend(3, 0.61), "Home", "Tables"));
    listings.push(filed("c-bed", "x1", blend(4, 0.62), "Home", "Beds"));
    let query = Query { photo: Some(PhotoQuery { embedding: axis(0) }), ..Query::default() };
    let found = order(listings, RankRequest { query, ..RankRequest::default() }).await;
    // By meaning alone a-toy fits best of the three, c-bed least.
    assert_eq!(found[4..], ["c-bed", "b-table", "a-toy"]);
}

#[tokio::test]
async fn a_kind_is_the_share_of_the_leaders_of_it_over_the_levels_they_know() {
    let scratch = scratch();
    let listings = vec![
        filed("one", "x0", axis(0), "Home", "Beds"),
        filed("two", "x0", axis(0), "Home", "Tables"),
        stored(titled("three", "x0"), axis(0)),
    ];
    scratch.catalogue.upsert(listings).await.unwrap();
    let query = Query { photo: Some(PhotoQuery { embedding: axis(0) }), ..Query::default() };
    let request = RankRequest { query, explain: true, ..RankRequest::default() };
    let ranking = rank(&scratch.catalogue, &request).await.unwrap();
    let kind = |name: &str| {
        let ranked = ranking.results.iter().find(|ranked| ranked.product.id.as_str() == name).unwrap();
        let contributions = &ranked.explanation.as_ref().unwrap().contributions;
        contributions.iter().find(|contribution| contribution.signal == Signal::Kind).unwrap().value
    };
    // Two of three equal leaders are in the category, one in the subcategory.
    for (name, value) in [("one", (2.0 / 3.0 + 1.0 / 3.0) / 2.0), ("two", 0.5), ("three", 0.0)] {
        assert!((kind(name) - value).abs() < 1e-6, "{name}: {}", kind(name));
    }
}

/// The repository's sample listings, all of one meaning, so that words alone find them.
fn samples() -> Vec<StoredProduct> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sample/products.csv");
    let rows =
        csv::Reader::from_path(path).unwrap().into_deserialize::<std::collections::HashMap<String, String>>();
    rows.map(|row| {
        let row = row.unwrap();
        let mut product = titled(&row["id"], &row["title"]);
        product.description = Some(row["description"].clone());
        stored(product, axis(0))
    })
    .collect()
}

#[tokio::test]
async fn typos_and_plurals_find_the_sample_listings_all_the_same() {
    let scratch = scratch();
    scratch.catalogue.upsert(samples()).await.unwrap();
    let mut lost = Vec::new();
    for (wrong, right) in [
        ("samsnug galaxy", "samsung galaxy"),
        ("guittar", "guitar"),
        ("bosh washing machne", "bosch washing machine"),
        ("lawnmowers", "lawnmower"),
        ("guitars", "guitar"),
        ("nintedno swich", "nintendo switch"),
        ("lwanmower", "lawnmower"),
        ("accoustic", "acoustic"),
    ] {
        let search = async |words: &str| {
            let text = TextQuery { words: words.to_owned(), embedding: axis(0) };
            let query = Query { text: Some(text), ..Query::default() };
            let ranking = rank(&scratch.catalogue, &RankRequest { query, ..RankRequest::default() }).await;
            names(&ranking.unwrap())
        };
        let expected = search(right).await.remove(0);
        let place = search(wrong).await.iter().position(|found| *found == expected);
        if place.is_none_or(|place| place > 2) {
            lost.push((wrong, expected, place));
        }
    }
    assert!(lost.is_empty(), "{lost:?}");
}
