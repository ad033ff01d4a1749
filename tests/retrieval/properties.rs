//! Filters and pages against a naive model of the catalogue: a list that is gone through from end to end.

use std::collections::BTreeMap;

use marketrank::catalogue::{Catalogue, Filter, Index, Near, Place, StoredProduct};
use proptest::{prelude::*, test_runner::TestRunner};
use time::{Duration, OffsetDateTime, macros::datetime};
use tokio::runtime::Runtime;

use crate::{
    embedded::scratch,
    listings::{Dice, id, ids, random_listings},
};

const LISTINGS: usize = 300;
const START: OffsetDateTime = datetime!(2024-01-01 00:00 UTC);

/// What the filter's documentation says, said again.
fn passes(filter: &Filter, stored: &StoredProduct) -> bool {
    let product = &stored.product;
    if !filter.categories.is_empty() {
        match &product.category {
            Some(category) if filter.categories.contains(category) => {}
            _ => return false,
        }
    }
    if filter.min_price.is_some() || filter.max_price.is_some() {
        let Some(price) = product.price else { return false };
        if price < filter.min_price.unwrap_or(0.0) || price > filter.max_price.unwrap_or(f64::INFINITY) {
            return false;
        }
    }
    if let Some(after) = filter.listed_after {
        match product.listed_at {
            Some(date) if date >= after => {}
            _ => return false,
        }
    }
    if let Some(Near { centre, radius_km }) = filter.near {
        let Some((lat, lon)) = product.location.as_ref().and_then(|place| place.lat.zip(place.lon)) else {
            return false;
        };
        if kilometres((lat, lon), (centre.lat, centre.lon)) >= radius_km {
            return false;
        }
    }
    !filter.excluded.contains(&product.id)
}

/// By the spherical law of cosines; the catalogue goes by the haversine formula.
fn kilometres((lat, lon): (f64, f64), (other_lat, other_lon): (f64, f64)) -> f64 {
    let [a, b, difference] = [lat, other_lat, lon - other_lon].map(f64::to_radians);
    (a.sin() * b.sin() + a.cos() * b.cos() * difference.cos()).clamp(-1.0, 1.0).acos() * 6_371.008_8
}

fn filters() -> impl Strategy<Value = Filter> {
    let category = (0..6_u8).prop_map(|number| format!("Category {number}"));
    let categories = prop::collection::vec(category, 0..4);
    let price = || prop::option::of((0..60_u8).prop_map(f64::from));
    // Half-way between the tenths of a degree that listings lie at, so that none is on the edge of a circle.
    let near = prop::option::of(
        (49.0..57.0_f64, -5.0..1.0_f64, 1.0..400.0_f64)
            .prop_map(|(lat, lon, radius_km)| Near { centre: Place { lat, lon }, radius_km }),
    );
    let listed_after = prop::option::of((0..22_i64 * 24).prop_map(|hours| START + Duration::hours(hours)));
    let excluded = prop::collection::vec((0..LISTINGS + 20).prop_map(|n| id(&format!("p{n:04}"))), 0..5);
    (categories, price(), price(), near, listed_after, excluded).prop_map(
        |(categories, min_price, max_price, near, listed_after, excluded)| Filter {
            categories,
            min_price,
            max_price,
            near,
            listed_after,
            excluded,
        },
    )
}

#[test]
fn filters_keep_what_a_naive_catalogue_keeps_on_pages_of_any_size() {
    let runtime = Runtime::new().unwrap();
    let listings = random_listings(LISTINGS, &mut Dice(77), Dice::corner);
    let scratch = scratch();
    runtime.block_on(scratch.catalogue.upsert(listings.clone())).unwrap();
    let catalogue = &scratch.catalogue;
    let mut runner =
        TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) });
    let outcome = runner.run(&(filters(), 1..90_usize), |(filter, page_size)| {
        let passing = || listings.iter().filter(|stored| passes(&filter, stored));
        let mut expected: Vec<&str> = passing().map(|stored| stored.product.id.as_str()).collect();
        expected.sort_unstable();

        let (mut paged, mut from) = (Vec::new(), None);
        loop {
            let page = runtime.block_on(catalogue.page(&filter, from, page_size)).unwrap();
            prop_assert!(page.ids.len() <= page_size);
            paged.extend(page.ids);
            match page.next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        let mut paged = ids(&paged);
        paged.sort_unstable();
        prop_assert_eq!(&paged, &expected);

        let newest = runtime.block_on(catalogue.newest(&filter, LISTINGS)).unwrap();
        let mut newest = ids(newest.iter().map(|hit| &hit.id));
        newest.sort_unstable();
        prop_assert_eq!(&newest, &expected);

        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        for category in passing().filter_map(|stored| stored.product.category.clone()) {
            *expected.entry(category).or_default() += 1;
        }
        let counted = runtime.block_on(catalogue.categories(&filter)).unwrap();
        let counted: BTreeMap<String, u64> =
            counted.into_iter().map(|counted| (counted.value, counted.count)).collect();
        prop_assert_eq!(counted, expected);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
