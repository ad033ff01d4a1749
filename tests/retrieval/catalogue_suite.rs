//! What every catalogue must do, whatever its engine. Each test gets an empty one of width [`WIDTH`].

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
};

use marketrank::catalogue::{
    Catalogue, CatalogueError, ContentHash, FacetCount, Filter, Hit, Near, Place, Probe, Product,
    StoredProduct, lexical::Terms,
};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::listings::{Dice, WIDTH, axis, id, ids, random_listings, stored, titled, with_date};

/// Makes a test of every function of the suite. `$open` gives a guard that holds the catalogue; with an
/// attribute (`#[ignore]`) it is asynchronous and the guard is cleared afterwards.
macro_rules! catalogue_suite {
    ($(#[$attribute:meta])* $open:path) => {
        catalogue_suite!(@tests $(#[$attribute])* $open;
            a_stored_product_comes_back_whole
            products_come_in_the_order_asked_for_with_gaps_where_there_are_none
            a_product_of_a_known_id_replaces_the_old_one
            a_replaced_product_is_no_longer_found_by_its_old_words
            of_two_products_of_one_id_in_a_batch_the_later_stays
            a_deleted_product_is_gone
            deleting_what_is_not_there_says_so
            filters_agree_with_a_plain_scan
            equal_scores_are_cut_and_ordered_by_id
            words_are_scored_by_bm25
            a_score_asked_for_is_the_score_found
            words_without_a_match_score_zero_and_are_not_found
            holders_of_a_term_are_counted_up_to_the_limit
            categories_are_counted_under_the_filter
            hits_bring_the_facts_of_their_products
            embeddings_come_back_as_they_were_stored
            pages_hold_every_product_that_passes_once
            browsing_gives_the_newest_first_and_the_undated_last
            an_embedding_of_another_width_is_refused_and_nothing_is_stored
            an_embedding_that_is_not_a_unit_vector_is_refused
            writes_at_the_same_time_all_arrive
            a_closed_catalogue_refuses_everything
        );
    };
    (@tests #[$attribute:meta] $open:path; $($test:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[$attribute]
            async fn $test() {
                let guard = $open().await;
                crate::catalogue_suite::$test(&guard.catalogue).await;
                guard.clear().await;
            }
        )+
    };
    (@tests $open:path; $($test:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let guard = $open();
                crate::catalogue_suite::$test(&guard.catalogue).await;
            }
        )+
    };
}
pub(crate) use catalogue_suite;

fn words(words: &str) -> Probe {
    Probe::Words(Terms::of_query(words))
}

async fn found_by_words(catalogue: &dyn Catalogue, text: &str) -> Vec<Hit> {
    catalogue.search(&words(text), &Filter::default(), 100).await.unwrap()
}

async fn found_by_meaning(catalogue: &dyn Catalogue, embedding: Vec<f32>, limit: usize) -> Vec<Hit> {
    catalogue.search(&Probe::Meaning(embedding), &Filter::default(), limit).await.unwrap()
}

fn hit_ids(hits: &[Hit]) -> Vec<&str> {
    ids(hits.iter().map(|hit| &hit.id))
}

pub async fn a_stored_product_comes_back_whole(catalogue: &dyn Catalogue) {
    let product: Product = serde_json::from_value(json!({
        "id": "a:b~c", "title": "Élan vital", "description": "two\nlines", "category": "Pets", "price": 0.1,
        "category_predicted": true, "currency": "GBP", "location": {"name": "Bath", "lat": 51.38, "lon": -2.36},
        "listed_at": "2024-02-29T23:59:59.123456789+01:00",
        "attributes": {"nothing": null, "list": [1, {"deep": 0.3}], "big": 9007199254740993_i64},
    }))
    .unwrap();
    let whole = StoredProduct {
        content: ContentHash::of(&product, &[b"photo"]),
        product,
        embedding: Dice(1).direction(),
        thumbnail: Some(vec![0xff, 0xd8, 0xff]),
    };
    catalogue.upsert(vec![whole.clone()]).await.unwrap();
    assert_eq!(catalogue.get(&[id("a:b~c")]).await.unwrap(), [Some(whole.clone())]);
    assert_eq!(catalogue.products(&[id("a:b~c")]).await.unwrap(), [Some(whole.product)]);
}

pub async fn products_come_in_the_order_asked_for_with_gaps_where_there_are_none(catalogue: &dyn Catalogue) {
    let [a, b] = ["a", "b"].map(|id| stored(titled(id, "Lamp"), axis(0)));
    catalogue.upsert(vec![a.clone(), b.clone()]).await.unwrap();
    let asked = ["b", "missing", "a", "b"].map(id);
    assert_eq!(catalogue.get(&asked).await.unwrap(), [Some(b.clone()), None, Some(a), Some(b)]);
}

pub async fn a_product_of_a_known_id_replaces_the_old_one(catalogue: &dyn Catalogue) {
    let mut old = stored(titled("a", "Red chair"), axis(0));
    old.product.price = Some(5.0);
    old.thumbnail = Some(vec![1, 2, 3]);
    let new = stored(titled("a", "Blue stool"), axis(1));
    for version in [old, new.clone()] {
        catalogue.upsert(vec![version]).await.unwrap();
    }
    assert_eq!(catalogue.get(&[id("a")]).await.unwrap(), [Some(new)]);
    assert_eq!(catalogue.count().await.unwrap(), 1);
}

pub async fn a_replaced_product_is_no_longer_found_by_its_old_words(catalogue: &dyn Catalogue) {
    for title in ["Red chair", "the", "Blue stool"] {
        catalogue.upsert(vec![stored(titled("a", title), axis(0))]).await.unwrap();
    }
    assert_eq!(found_by_words(catalogue, "chair").await, []);
    assert_eq!(hit_ids(&found_by_words(catalogue, "stools").await), ["a"]);
}

pub async fn of_two_products_of_one_id_in_a_batch_the_later_stays(catalogue: &dyn Catalogue) {
    let version = |title: &str, thumbnail: u8| StoredProduct {
        thumbnail: Some(vec![thumbnail]),
        ..stored(titled("a", title), axis(0))
    };
    catalogue.upsert(vec![version("Second", 2)]).await.unwrap();
    catalogue.upsert(vec![version("First", 1), version("Second", 2)]).await.unwrap();
    assert_eq!(catalogue.get(&[id("a")]).await.unwrap(), [Some(version("Second", 2))]);
}

pub async fn a_deleted_product_is_gone(catalogue: &dyn Catalogue) {
    catalogue
        .upsert(vec![stored(titled("a", "Lamp"), axis(0)), stored(titled("b", "Lamp"), axis(0))])
        .await
        .unwrap();
    assert!(catalogue.delete(&id("a")).await.unwrap());
    assert_eq!(catalogue.get(&[id("a")]).await.unwrap(), [None]);
    assert_eq!(catalogue.count().await.unwrap(), 1);
    assert_eq!(hit_ids(&found_by_words(catalogue, "lamp").await), ["b"]);
    assert_eq!(hit_ids(&found_by_meaning(catalogue, axis(0), 9).await), ["b"]);
    assert_eq!(hit_ids(&catalogue.newest(&Filter::default(), 9).await.unwrap()), ["b"]);
    assert_eq!(catalogue.score(&words("lamp"), &[id("a"), id("b")]).await.unwrap()[0], None);
}

pub async fn deleting_what_is_not_there_says_so(catalogue: &dyn Catalogue) {
    assert!(!catalogue.delete(&id("a")).await.unwrap());
}

pub async fn filters_agree_with_a_plain_scan(catalogue: &dyn Catalogue) {
    let mut dice = Dice(7);
    let listings = random_listings(400, &mut dice, Dice::corner);
    for batch in listings.chunks(64) {
        catalogue.upsert(batch.to_vec()).await.unwrap();
    }
    for round in 0..60 {
        let filter = random_filter(&mut dice);
        let query = dice.corner();
        let limit = dice.pick(1..60) as usize;
        let mut passing: Vec<_> = listings.iter().filter(|listing| passes(&filter, listing)).collect();

        passing.sort_by_key(|listing| (Reverse(eighths(&query, listing)), &listing.product.id));
        let found = catalogue.search(&Probe::Meaning(query.clone()), &filter, limit).await.unwrap();
        let expected = ids(passing.iter().map(|listing| &listing.product.id).take(limit));
        assert_eq!(hit_ids(&found), expected, "round {round}, by meaning, {filter:?}");

        passing.sort_by_key(|listing| (Reverse(listing.product.listed_at), &listing.product.id));
        let found = catalogue.newest(&filter, limit).await.unwrap();
        let expected = ids(passing.iter().map(|listing| &listing.product.id).take(limit));
        assert_eq!(hit_ids(&found), expected, "round {round}, browsing, {filter:?}");

        let found = catalogue.search(&words("w1 w2"), &filter, 400).await.unwrap();
        let matching: BTreeSet<&str> = ids(passing
            .iter()
            .filter(|listing| listing.product.title.split(' ').any(|word| ["w1", "w2"].contains(&word)))
            .map(|listing| &listing.product.id))
        .into_iter()
        .collect();
        assert_eq!(
            hit_ids(&found).into_iter().collect::<BTreeSet<_>>(),
            matching,
            "round {round}, by words, {filter:?}"
        );
    }
}

fn random_filter(dice: &mut Dice) -> Filter {
    let mut sometimes = |range| (dice.pick(0..3) == 0).then(|| dice.pick(range) as f64);
    let [min_price, max_price] = [sometimes(0..50), sometimes(0..50)];
    let radius = sometimes(1..300);
    let day = sometimes(1..20);
    let centre = Place { lat: dice.pick(50..55) as f64, lon: -(dice.pick(0..4) as f64) };
    Filter {
        categories: (0..dice.pick(0..3)).map(|_| format!("Category {}", dice.pick(0..5))).collect(),
        min_price,
        max_price,
        near: radius.map(|radius_km| Near { centre, radius_km }),
        listed_after: day.map(|day| NEW_YEAR_2024 + Duration::days(day as i64) - Duration::hours(12)),
        excluded: (0..dice.pick(0..3)).map(|_| id(&format!("p{:04}", dice.pick(0..400)))).collect(),
    }
}

const NEW_YEAR_2024: OffsetDateTime = time::macros::datetime!(2024-01-01 00:00 UTC);

/// The filter, written down once more and as plainly as can be.
fn passes(filter: &Filter, listing: &StoredProduct) -> bool {
    let product = &listing.product;
    if filter.excluded.contains(&product.id) {
        return false;
    }
    if !filter.categories.is_empty()
        && !product.category.as_ref().is_some_and(|c| filter.categories.contains(c))
    {
        return false;
    }
    if let Some(near) = filter.near {
        let Some(location) = &product.location else { return false };
        let (Some(lat), Some(lon)) = (location.lat, location.lon) else { return false };
        if kilometres((near.centre.lat, near.centre.lon), (lat, lon)) >= near.radius_km {
            return false;
        }
    }
    if let Some(after) = filter.listed_after
        && product.listed_at.is_none_or(|listed| listed < after)
    {
        return false;
    }
    match product.price {
        Some(price) => {
            filter.min_price.unwrap_or(0.0) <= price && price <= filter.max_price.unwrap_or(f64::MAX)
        }
        None => filter.min_price.is_none() && filter.max_price.is_none(),
    }
}

/// By the spherical law of cosines.
fn kilometres((a_lat, a_lon): (f64, f64), (b_lat, b_lon): (f64, f64)) -> f64 {
    let [a_lat, a_lon, b_lat, b_lon] = [a_lat, a_lon, b_lat, b_lon].map(f64::to_radians);
    let cosine = a_lat.sin() * b_lat.sin() + a_lat.cos() * b_lat.cos() * (a_lon - b_lon).cos();
    6_371.008_8 * cosine.clamp(-1.0, 1.0).acos()
}

/// The cosine of two corners in eighths.
fn eighths(query: &[f32], listing: &StoredProduct) -> i32 {
    query.iter().zip(&listing.embedding).map(|(a, b)| if a == b { 1 } else { -1 }).sum()
}

pub async fn equal_scores_are_cut_and_ordered_by_id(catalogue: &dyn Catalogue) {
    let twins = (0..50).rev().map(|n| stored(titled(&format!("t{n:02}"), "Lamp"), axis(0))).collect();
    catalogue.upsert(twins).await.unwrap();
    let first_three = ["t00", "t01", "t02"];
    assert_eq!(hit_ids(&found_by_meaning(catalogue, axis(0), 3).await), first_three);
    let matching = catalogue.search(&words("lamp"), &Filter::default(), 3).await.unwrap();
    assert_eq!(hit_ids(&matching), first_three);
}

pub async fn words_are_scored_by_bm25(catalogue: &dyn Catalogue) {
    let listings = random_listings(200, &mut Dice(3), Dice::corner);
    catalogue.upsert(listings.clone()).await.unwrap();
    let found = catalogue.search(&words("w3 w4 w3 unheard"), &Filter::default(), 200).await.unwrap();

    // k1 1.2, b 0.75, avgdl 24, as the lexical module promises.
    let holding =
        |word: &str| listings.iter().filter(|l| l.product.title.split(' ').any(|w| w == word)).count();
    let mut expected = HashMap::new();
    for listing in &listings {
        let words: Vec<&str> = listing.product.title.split(' ').collect();
        let mut score = 0.0;
        for word in ["w3", "w4"] {
            let n = words.iter().filter(|w| **w == word).count() as f64;
            let df = holding(word) as f64;
            let idf = (1.0 + (listings.len() as f64 - df + 0.5) / (df + 0.5)).ln();
            score += idf * n * 2.2 / (n + 1.2 * (0.25 + 0.75 * words.len() as f64 / 24.0));
        }
        if score > 0.0 {
            expected.insert(listing.product.id.clone(), score);
        }
    }
    assert_eq!(found.len(), expected.len());
    for hit in &found {
        let (found, expected) = (f64::from(hit.score), expected[&hit.id]);
        assert!((found - expected).abs() < 1e-4, "{}: {found} is not {expected}", hit.id);
    }
    assert!(found.is_sorted_by(|a, b| {
        (Reverse(a.score), &a.id)
            .partial_cmp(&(Reverse(b.score), &b.id))
            .is_some_and(std::cmp::Ordering::is_lt)
    }));
}

pub async fn a_score_asked_for_is_the_score_found(catalogue: &dyn Catalogue) {
    let listings = random_listings(300, &mut Dice(5), Dice::corner);
    catalogue.upsert(listings.clone()).await.unwrap();
    let all: Vec<_> = listings.iter().map(|listing| listing.product.id.clone()).collect();
    for probe in [Probe::Meaning(Dice(6).corner()), words("w5 w6 w7")] {
        let found = catalogue.search(&probe, &Filter::default(), 300).await.unwrap();
        let found: HashMap<_, _> = found.into_iter().map(|hit| (hit.id, hit.score)).collect();
        let scores = catalogue.score(&probe, &all).await.unwrap();
        for (id, score) in all.iter().zip(scores) {
            assert_eq!(score, Some(found.get(id).copied().unwrap_or(0.0)), "{id}");
        }
    }
    assert_eq!(catalogue.score(&words("w5"), &[id("nobody")]).await.unwrap(), [None]);
}

pub async fn words_without_a_match_score_zero_and_are_not_found(catalogue: &dyn Catalogue) {
    catalogue.upsert(vec![stored(titled("a", "Lamp"), axis(0))]).await.unwrap();
    for unmatched in ["sofa", "the", ""] {
        assert_eq!(found_by_words(catalogue, unmatched).await, [], "{unmatched:?}");
        assert_eq!(catalogue.score(&words(unmatched), &[id("a")]).await.unwrap(), [Some(0.0)]);
    }
}

pub async fn holders_of_a_term_are_counted_up_to_the_limit(catalogue: &dyn Catalogue) {
    let lamps = (0..7).map(|n| stored(titled(&format!("lamp-{n}"), "Lamp"), axis(0)));
    catalogue.upsert(lamps.chain([stored(titled("sofa", "Sofa"), axis(1))]).collect()).await.unwrap();
    let terms = ["lamp", "sofa", "piano"].map(|word| Terms::of_query(word).hashes[0]);
    assert_eq!(catalogue.holders(&terms, 5).await.unwrap(), [5, 1, 0]);
}

pub async fn categories_are_counted_under_the_filter(catalogue: &dyn Catalogue) {
    let listings = random_listings(300, &mut Dice(13), Dice::corner);
    catalogue.upsert(listings.clone()).await.unwrap();
    for round in 0..10 {
        let filter = random_filter(&mut Dice(round));
        let mut counts: HashMap<&str, u64> = HashMap::new();
        for listing in listings.iter().filter(|listing| passes(&filter, listing)) {
            if let Some(category) = &listing.product.category {
                *counts.entry(category).or_default() += 1;
            }
        }
        let mut expected: Vec<_> =
            counts.into_iter().map(|(value, count)| FacetCount { value: value.to_owned(), count }).collect();
        expected.sort_by_key(|facet| (Reverse(facet.count), facet.value.clone()));
        assert_eq!(catalogue.categories(&filter).await.unwrap(), expected, "{filter:?}");
    }
}

pub async fn hits_bring_the_facts_of_their_products(catalogue: &dyn Catalogue) {
    let mut listings = random_listings(50, &mut Dice(14), Dice::corner);
    listings[7].thumbnail = Some(vec![1, 2, 3]);
    catalogue.upsert(listings.clone()).await.unwrap();
    let expected: HashMap<_, _> =
        listings.iter().map(|listing| (listing.product.id.clone(), listing.facts())).collect();
    for hits in [
        found_by_meaning(catalogue, axis(0), 50).await,
        catalogue.newest(&Filter::default(), 50).await.unwrap(),
    ] {
        let found: HashMap<_, _> = hits.into_iter().map(|hit| (hit.id, hit.facts)).collect();
        assert_eq!(found, expected);
    }
}

pub async fn embeddings_come_back_as_they_were_stored(catalogue: &dyn Catalogue) {
    let listings = random_listings(5, &mut Dice(15), Dice::direction);
    catalogue.upsert(listings.clone()).await.unwrap();
    let found = catalogue.embeddings(&["p0003", "nobody", "p0001"].map(id)).await.unwrap();
    let [first, third] = [1, 3].map(|n: usize| Some(listings[n].embedding.clone()));
    assert_eq!(found, [third, None, first]);
}

pub async fn pages_hold_every_product_that_passes_once(catalogue: &dyn Catalogue) {
    let listings = random_listings(130, &mut Dice(16), Dice::corner);
    catalogue.upsert(listings.clone()).await.unwrap();
    let filter = Filter { categories: vec!["Category 1".to_owned()], ..Filter::default() };
    for filter in [Filter::default(), filter] {
        let mut paged = Vec::new();
        let mut from = None;
        loop {
            let page = catalogue.page(&filter, from, 20).await.unwrap();
            assert!(page.ids.len() == 20 || page.next.is_none());
            paged.extend(page.ids);
            match page.next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        paged.sort();
        let passing = listings.iter().filter(|listing| passes(&filter, listing));
        assert_eq!(ids(&paged), ids(passing.map(|listing| &listing.product.id)));
    }
}

pub async fn browsing_gives_the_newest_first_and_the_undated_last(catalogue: &dyn Catalogue) {
    let dated = |id: &str, date: &str| stored(with_date(titled(id, "Lamp"), date), axis(0));
    let listings = vec![
        stored(titled("b-undated", "Lamp"), axis(0)),
        stored(titled("a-undated", "Lamp"), axis(0)),
        dated("old", r#""2023-01-01T00:00:00Z""#),
        dated("new-b", r#""2024-01-01T01:00:00+01:00""#),
        dated("new-a", r#""2024-01-01T00:00:00Z""#),
        dated("newest", r#""2024-01-01T00:00:00.001Z""#),
    ];
    catalogue.upsert(listings).await.unwrap();
    let browsed = catalogue.newest(&Filter::default(), 5).await.unwrap();
    assert_eq!(hit_ids(&browsed), ["newest", "new-a", "new-b", "old", "a-undated"]);
}

pub async fn an_embedding_of_another_width_is_refused_and_nothing_is_stored(catalogue: &dyn Catalogue) {
    let narrow = stored(titled("b", "Lamp"), vec![1.0]);
    let refused = catalogue.upsert(vec![stored(titled("a", "Lamp"), axis(0)), narrow]).await;
    let Err(CatalogueError::Embedding(message)) = refused else { panic!("{refused:?}") };
    assert!(message.contains("of b has width 1") && message.contains(&WIDTH.to_string()), "{message}");
    assert_eq!(catalogue.count().await.unwrap(), 0);
    let searched = catalogue.search(&Probe::Meaning(vec![1.0]), &Filter::default(), 1).await;
    assert!(matches!(searched, Err(CatalogueError::Embedding(_))));
}

pub async fn an_embedding_that_is_not_a_unit_vector_is_refused(catalogue: &dyn Catalogue) {
    for value in [0.0, 1.0, f32::NAN, f32::INFINITY] {
        let refused = catalogue.upsert(vec![stored(titled("a", "Lamp"), vec![value; WIDTH])]).await;
        assert!(matches!(refused, Err(CatalogueError::Embedding(_))), "{value}: {refused:?}");
    }
}

pub async fn writes_at_the_same_time_all_arrive(catalogue: &dyn Catalogue) {
    let listings = random_listings(100, &mut Dice(9), Dice::corner);
    let writes = listings.iter().map(|listing| catalogue.upsert(vec![listing.clone()]));
    for written in futures_in_parallel(writes).await {
        written.unwrap();
    }
    let all: Vec<_> = listings.iter().map(|listing| listing.product.id.clone()).collect();
    assert_eq!(catalogue.get(&all).await.unwrap(), listings.into_iter().map(Some).collect::<Vec<_>>());
}

/// Polls all of the futures until each is done.
async fn futures_in_parallel<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in &mut pending {
            if output.is_none()
                && let std::task::Poll::Ready(ready) = future.as_mut().poll(context)
            {
                *output = Some(ready);
            }
        }
        if pending.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    pending.into_iter().filter_map(|(_, output)| output).collect()
}

pub async fn a_closed_catalogue_refuses_everything(catalogue: &dyn Catalogue) {
    catalogue.close().await.unwrap();
    let lamp = stored(titled("a", "Lamp"), axis(0));
    assert!(matches!(catalogue.upsert(vec![lamp]).await, Err(CatalogueError::Closed)));
    assert!(matches!(catalogue.count().await, Err(CatalogueError::Closed)));
    assert!(matches!(catalogue.close().await, Err(CatalogueError::Closed)));
}
