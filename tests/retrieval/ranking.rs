//! Ranking over the embedded catalogue and over candidates of the request.

use marketrank::{
    catalogue::{Catalogue, Filter, Near, Place, StoredProduct},
    ranking::{
        Boost, DistanceBoost, MAX_PLACE, Not, PhotoQuery, Query, QueryWeights, RankError, RankRequest,
        Ranking, Signal, TextQuery, rank,
    },
};
use time::{Duration, OffsetDateTime, macros::datetime};

use crate::{
    embedded::{Scratch, scratch},
    listings::{Dice, axis, id, ids, random_listings, stored, titled, unit, with_date},
};

async fn filled(listings: Vec<StoredProduct>) -> Scratch {
    let scratch = scratch();
    scratch.catalogue.upsert(listings).await.unwrap();
    scratch
}

fn text(words: &str, embedding: Vec<f32>) -> Option<TextQuery> {
    Some(TextQuery { words: words.to_owned(), embedding })
}

fn photo(embedding: Vec<f32>) -> Option<PhotoQuery> {
    Some(PhotoQuery { embedding })
}

fn request(query: Query) -> RankRequest {
    RankRequest { query, limit: 20, explain: true, ..RankRequest::default() }
}

fn order(ranking: &Ranking) -> Vec<&str> {
    ids(ranking.results.iter().map(|ranked| &ranked.product.id))
}

const NOW: OffsetDateTime = datetime!(2024-01-21 00:00 UTC);

/// A request of parts that come and go with the dice.
fn random_request(dice: &mut Dice) -> RankRequest {
    let heads = |dice: &mut Dice| dice.pick(0..2) == 0;
    let word = |dice: &mut Dice| format!("w{}", dice.pick(0..30));
    let centre = Place { lat: 52.0, lon: -1.0 };
    let text = heads(dice).then(|| format!("{} {}", word(dice), word(dice)));
    let photo = heads(dice).then(|| PhotoQuery { embedding: dice.direction() });
    let product = heads(dice).then(|| id(&format!("p{:04}", dice.pick(0..100))));
    let has_query = text.is_some() || photo.is_some() || product.is_some();
    let mut weight = || dice.pick(1..100) as f32 / 10.0;
    let weights = QueryWeights { text: weight(), image: weight(), product: weight() };
    let not =
        (has_query && heads(dice)).then(|| TextQuery { words: word(dice), embedding: dice.direction() });
    RankRequest {
        query: Query {
            text: text.map(|words| TextQuery { words, embedding: dice.direction() }),
            photo,
            product,
            weights,
            not: Not { text: not, ..Not::default() },
        },
        filter: Filter {
            min_price: heads(dice).then_some(5.0),
            near: heads(dice).then_some(Near { centre, radius_km: 300.0 }),
            listed_after: heads(dice).then_some(NOW - Duration::days(15)),
            ..Filter::default()
        },
        boost: Boost {
            recency_half_life_days: heads(dice).then(|| dice.pick(1..30) as f64),
            distance: heads(dice).then_some(DistanceBoost { from: centre, half_life_km: 40.0 }),
            price_target: heads(dice).then(|| dice.pick(1..60) as f64),
        },
        viewed: (0..dice.pick(0..4)).map(|_| id(&format!("p{:04}", dice.pick(0..120)))).collect(),
        diversity: if heads(dice) { 0.0 } else { dice.pick(0..11) as f32 / 10.0 },
        count_categories: heads(dice),
        limit: 150,
        explain: true,
        now: NOW,
        ..RankRequest::default()
    }
}

#[tokio::test]
async fn the_explanations_of_random_requests_add_up_to_their_scores() {
    let scratch = filled(random_listings(100, &mut Dice(21), Dice::direction)).await;
    let mut dice = Dice(22);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..80 {
        let request = random_request(&mut dice);
        for ranked in rank(&scratch.catalogue, &request).await.unwrap().results {
            let contributions = ranked.explanation.unwrap().contributions;
            let sum: f32 =
                contributions.iter().map(|contribution| contribution.value * contribution.weight).sum();
            assert!((sum - ranked.score).abs() < 1e-4, "{sum} is not {}: {request:?}", ranked.score);
            seen.extend(contributions.iter().map(|contribution| contribution.signal.name()));
        }
    }
    let all = ["distance", "kind", "lexical", "not", "price", "recency", "semantic", "taste"];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), all);
}

#[tokio::test]
async fn random_requests_give_the_same_answer_twice_and_in_pages() {
    let scratch = filled(random_listings(120, &mut Dice(23), Dice::corner)).await;
    let mut dice = Dice(24);
    for _ in 0..40 {
        let request = random_request(&mut dice);
        let whole = rank(&scratch.catalogue, &request).await.unwrap();
        assert_eq!(rank(&scratch.catalogue, &request).await.unwrap(), whole);
        let mut paged = Vec::new();
        for offset in (0..150).step_by(30) {
            let page = RankRequest { offset, limit: 30, ..request.clone() };
            paged.extend(rank(&scratch.catalogue, &page).await.unwrap().results);
        }
        assert_eq!(paged, whole.results);
    }
}

#[tokio::test]
async fn random_requests_rank_candidates_as_they_would_rank_the_catalogue() {
    let listings = random_listings(120, &mut Dice(25), Dice::direction);
    let scratch = filled(listings.clone()).await;
    let mut dice = Dice(26);
    for _ in 0..40 {
        let stored = random_request(&mut dice);
        let inline = RankRequest { candidates: Some(listings.clone()), ..stored.clone() };
        let expected = rank(&scratch.catalogue, &stored).await.unwrap();
        let found = rank(&scratch.catalogue, &inline).await.unwrap();
        assert_eq!(order(&found), order(&expected), "{stored:?}");
        assert_eq!(found.categories, expected.categories);
        for (found, expected) in found.results.iter().zip(&expected.results) {
            assert_eq!(found.product, expected.product);
            assert!((found.score - expected.score).abs() < 1e-5, "{} is not {}", found.score, expected.score);
        }
    }
}

#[tokio::test]
async fn no_explanation_is_given_where_none_was_asked_for() {
    let scratch = filled(vec![stored(titled("a", "Lamp"), axis(0))]).await;
    let query = Query { photo: photo(axis(0)), ..Query::default() };
    let ranking = rank(&scratch.catalogue, &RankRequest { explain: false, ..request(query) }).await.unwrap();
    assert_eq!(ranking.results[0].explanation, None);
}

/// More listings than one signal retrieves at either look, with many equal scores.
#[tokio::test]
async fn pages_cover_the_order_without_gaps_or_repeats() {
    let mut dice = Dice(4);
    let scratch = scratch();
    for batch in random_listings(2_500, &mut dice, Dice::corner).chunks(500) {
        scratch.catalogue.upsert(batch.to_vec()).await.unwrap();
    }
    let queries = [
        Query::default(),
        Query { text: text("w1 w2 w3", dice.corner()), ..Query::default() },
        Query { product: Some(id("p0007")), ..Query::default() },
    ];
    for query in queries {
        let whole = RankRequest { limit: MAX_PLACE, ..request(query) };
        let whole_order = rank(&scratch.catalogue, &whole).await.unwrap();
        let places: std::collections::BTreeSet<&str> = order(&whole_order).into_iter().collect();
        assert_eq!(places.len(), MAX_PLACE);
        let mut paged = Vec::new();
        for offset in (0..MAX_PLACE).step_by(50) {
            let page = RankRequest { offset, limit: 50, ..whole.clone() };
            paged.extend(rank(&scratch.catalogue, &page).await.unwrap().results);
        }
        assert_eq!(paged, whole_order.results);
    }
}

#[tokio::test]
async fn a_page_past_the_last_place_is_refused() {
    let scratch = scratch();
    for (offset, limit) in [(MAX_PLACE, 1), (1, MAX_PLACE), (usize::MAX, 1)] {
        let beyond = RankRequest { offset, limit, ..RankRequest::default() };
        assert!(matches!(rank(&scratch.catalogue, &beyond).await, Err(RankError::Page { .. })));
    }
}

#[tokio::test]
async fn a_product_query_finds_its_like_and_not_itself() {
    let near = unit(axis(0).iter().zip(axis(1)).map(|(a, b)| a + 0.3 * b).collect());
    let scratch = filled(vec![
        stored(titled("far", "Kayak"), axis(5)),
        stored(titled("near", "Bench"), near),
        stored(titled("itself", "Oak table"), axis(0)),
    ])
    .await;
    let query = Query { product: Some(id("itself")), ..Query::default() };
    assert_eq!(order(&rank(&scratch.catalogue, &request(query)).await.unwrap()), ["near", "far"]);
}

#[tokio::test]
async fn the_title_of_a_product_query_counts_as_words() {
    let scratch = filled(vec![
        stored(titled("a", "Kayak"), axis(5)),
        stored(titled("b", "Oak bench"), axis(5)),
        stored(titled("itself", "Oak table"), axis(0)),
    ])
    .await;
    let query = Query { product: Some(id("itself")), ..Query::default() };
    assert_eq!(order(&rank(&scratch.catalogue, &request(query)).await.unwrap()), ["b", "a"]);
}

#[tokio::test]
async fn an_unknown_product_is_named() {
    let query = Query { product: Some(id("nobody")), ..Query::default() };
    let refused = rank(&scratch().catalogue, &request(query)).await.unwrap_err();
    assert!(matches!(refused, RankError::UnknownProduct { field: "query.product_id", .. }));
    assert!(refused.to_string().contains("nobody"), "{refused}");
}

#[tokio::test]
async fn the_model_number_asked_for_beats_what_is_nearer_in_meaning() {
    let query = axis(0);
    let near = unit(axis(0).iter().zip(axis(1)).map(|(a, b)| a + 0.4 * b).collect());
    let less_near = unit(axis(0).iter().zip(axis(2)).map(|(a, b)| a + 0.6 * b).collect());
    let mut listings = random_listings(100, &mut Dice(8), Dice::direction);
    listings.push(stored(titled("near", "Sony WH-1000XM3 headphones"), near));
    listings.push(stored(titled("exact", "Sony WH-1000XM4 headphones"), less_near));
    let scratch = filled(listings).await;
    let asked = Query { text: text("sony wh-1000xm4", query), ..Query::default() };
    assert_eq!(order(&rank(&scratch.catalogue, &request(asked)).await.unwrap())[..2], ["exact", "near"]);
}

/// Every word is as rare as the other, so BM25 of the listing is three times as high for the longer query.
#[tokio::test]
async fn a_listing_that_holds_all_that_was_asked_for_gets_the_same_for_one_word_and_for_three() {
    let mut listings = random_listings(50, &mut Dice(8), Dice::direction);
    listings.push(stored(titled("all", "zqx vkj wpf"), axis(0)));
    let scratch = filled(listings).await;
    let mut values = Vec::new();
    for words in ["zqx", "zqx vkj wpf"] {
        let query = Query { text: text(words, axis(0)), ..Query::default() };
        let ranking = rank(&scratch.catalogue, &request(query)).await.unwrap();
        let first = &ranking.results[0];
        assert_eq!(first.product.id, id("all"));
        let contributions = &first.explanation.as_ref().unwrap().contributions;
        values.extend(contributions.iter().filter(|c| c.signal == Signal::Lexical).map(|c| c.value));
    }
    let [one, three] = values[..] else { panic!("two queries have words: {values:?}") };
    assert!((one - three).abs() < 1e-5 && one > 0.1, "{one} and {three}");
}

#[tokio::test]
async fn the_weights_move_the_order_from_text_to_photo() {
    let scratch =
        filled(vec![stored(titled("t", "Lamp"), axis(0)), stored(titled("p", "Lamp"), axis(1))]).await;
    for (weights, first) in [((1.0, 0.0), "t"), ((3.0, 1.0), "t"), ((1.0, 3.0), "p"), ((0.0, 10.0), "p")] {
        let query = Query {
            text: text("lamp", axis(0)),
            photo: photo(axis(1)),
            weights: QueryWeights { text: weights.0, image: weights.1, ..QueryWeights::default() },
            ..Query::default()
        };
        let ranking = rank(&scratch.catalogue, &request(query)).await.unwrap();
        assert_eq!(order(&ranking)[0], first, "{weights:?}");
    }
}

#[tokio::test]
async fn a_text_of_weight_zero_does_not_count_with_its_words_either() {
    let scratch = filled(vec![stored(titled("a", "Lamp"), axis(0))]).await;
    let query = Query {
        text: text("lamp", axis(1)),
        photo: photo(axis(0)),
        weights: QueryWeights { text: 0.0, ..QueryWeights::default() },
        ..Query::default()
    };
    let ranking = rank(&scratch.catalogue, &request(query)).await.unwrap();
    let contributions = &ranking.results[0].explanation.as_ref().unwrap().contributions;
    assert_eq!(contributions.len(), 1);
    assert_eq!((contributions[0].signal, ranking.results[0].score), (Signal::Semantic, 1.0));
}

#[tokio::test]
async fn weights_that_leave_nothing_to_rank_by_are_refused() {
    let scratch = scratch();
    let with = |text: f32, image: f32| Query {
        photo: photo(axis(0)),
        weights: QueryWeights { text, image, ..QueryWeights::default() },
        ..Query::default()
    };
    assert!(matches!(rank(&scratch.catalogue, &request(with(1.0, 0.0))).await, Err(RankError::NoWeight)));
    for bad in [-1.0, 10.5, f32::NAN] {
        let refused = rank(&scratch.catalogue, &request(with(1.0, bad))).await;
        assert!(matches!(refused, Err(RankError::Weight { part: "image", .. })), "{bad}");
    }
}

#[tokio::test]
async fn opposite_parts_of_a_query_are_refused() {
    let query = Query {
        text: text("lamp", axis(0)),
        photo: photo(axis(0).iter().map(|value| -value).collect()),
        ..Query::default()
    };
    assert!(matches!(rank(&scratch().catalogue, &request(query)).await, Err(RankError::Cancelled)));
}

#[tokio::test]
async fn an_empty_query_browses_what_passes_the_filter_newest_first() {
    let mut listings = random_listings(80, &mut Dice(10), Dice::direction);
    listings.push(stored(with_date(titled("z", "Lamp"), r#""2025-01-01T00:00:00Z""#), axis(0)));
    listings.last_mut().unwrap().product.category = Some("Category 1".to_owned());
    let scratch = filled(listings).await;
    let filter = Filter { categories: vec!["Category 1".to_owned()], ..Filter::default() };
    let ranking =
        rank(&scratch.catalogue, &RankRequest { filter, ..request(Query::default()) }).await.unwrap();
    assert_eq!(order(&ranking)[0], "z");
    assert!(ranking.results.is_sorted_by(|a, b| a.product.listed_at >= b.product.listed_at));
    assert!(ranking.results.iter().all(|ranked| ranked.product.category.as_deref() == Some("Category 1")));
    assert!(ranking.results.iter().all(|ranked| ranked.score == 0.0));
}

#[tokio::test]
async fn candidates_need_not_be_in_the_catalogue_and_stay_out_of_it() {
    let scratch = filled(vec![stored(titled("stored", "Lamp"), axis(0))]).await;
    let brought = vec![stored(titled("brought", "Lamp"), axis(1))];
    let query = Query { photo: photo(axis(0)), ..Query::default() };
    let ranking =
        rank(&scratch.catalogue, &RankRequest { candidates: Some(brought), ..request(query) }).await.unwrap();
    assert_eq!(order(&ranking), ["brought"]);
    assert_eq!(scratch.catalogue.count().await.unwrap(), 1);
}

#[tokio::test]
async fn a_candidate_given_twice_is_refused() {
    let twice = vec![stored(titled("a", "Lamp"), axis(0)), stored(titled("a", "Sofa"), axis(1))];
    let refused =
        rank(&scratch().catalogue, &RankRequest { candidates: Some(twice), ..RankRequest::default() }).await;
    assert!(matches!(refused, Err(RankError::RepeatedCandidate(_))));
}

#[tokio::test]
async fn more_candidates_than_allowed_are_refused() {
    let many = random_listings(201, &mut Dice(12), Dice::direction);
    let refused =
        rank(&scratch().catalogue, &RankRequest { candidates: Some(many), ..RankRequest::default() }).await;
    assert!(matches!(refused, Err(RankError::TooManyCandidates(201))));
}

#[tokio::test]
async fn a_candidate_of_another_width_is_refused_by_name() {
    let narrow = vec![stored(titled("narrow", "Lamp"), vec![1.0])];
    let query = Query { photo: photo(axis(0)), ..Query::default() };
    let refused =
        rank(&scratch().catalogue, &RankRequest { candidates: Some(narrow), ..request(query) }).await;
    assert!(refused.unwrap_err().to_string().contains("narrow"));
}
