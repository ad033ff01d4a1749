//! `POST /v1/rank-products`

use std::sync::Once;

use serde_json::{Value, json};

use crate::server::{base64, client, photo, post_json, put_json, url};

const RANK: &str = "/v1/rank-products";

/// Listings of a category that no other test uses, so that a filter keeps these tests to themselves.
const SHOP: &str = "Ranking test";

fn fill() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let pictured = |id: &str, title: &str, price: f64, name: &str| {
            json!({"id": id, "title": title, "category": SHOP, "price": price,
                   "images": [{"base64": base64(&photo(name))}]})
        };
        let products = json!([
            pictured("rank-sofa", "Three seater sofa", 120.0, "sofa.jpg"),
            pictured("rank-bike", "Mens road bike, 56 cm frame", 250.0, "bicycle.jpg"),
            pictured("rank-guitar", "Acoustic guitar with case", 60.0, "guitar.jpg"),
            pictured("rank-washer", "Bosch washing machine WAN28281GB", 90.0, "washing-machine.jpg"),
            pictured("rank-tent", "Four man tent", 45.0, "tent.jpg"),
            {"id": "rank-washer-2", "title": "Hotpoint washing machine 8kg", "category": SHOP, "price": 70.0},
            {"id": "rank-free", "title": "Collection of novels", "category": SHOP}
        ]);
        assert_eq!(post_json("/v1/products", &products).1["failed"], 0);
    });
}

/// Ranks the listings of these tests.
fn rank(mut request: Value) -> Value {
    fill();
    request["filter"]["category"] = json!([SHOP]);
    let (status, body) = post_json(RANK, &request);
    assert_eq!(status, 200, "{body}");
    body
}

fn ids(body: &Value) -> Vec<&str> {
    body["results"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap()).collect()
}

#[test]
fn a_text_finds_what_it_means() {
    let body = rank(json!({"query": {"text": "bicycle for an adult"}}));
    assert_eq!(ids(&body)[0], "rank-bike");
    assert_eq!(body["model"]["name"], "text");
}

#[test]
fn a_model_number_finds_the_listing_that_names_it() {
    assert_eq!(ids(&rank(json!({"query": {"text": "WAN28281GB"}})))[0], "rank-washer");
}

#[test]
fn a_photo_finds_the_listing_it_shows() {
    let body = rank(json!({"query": {"image": {"base64": base64(&photo("guitar.jpg"))}}}));
    assert_eq!(ids(&body)[0], "rank-guitar");
    assert_eq!(body["model"]["name"], "image");
}

#[test]
fn a_product_finds_its_like_and_not_itself() {
    let body = rank(json!({"query": {"product_id": "rank-washer"}}));
    assert_eq!(ids(&body)[0], "rank-washer-2");
    assert!(!ids(&body).contains(&"rank-washer"));
}

#[test]
fn weights_decide_between_a_text_and_a_photo_that_disagree() {
    let query = |text: f64, image: f64| {
        json!({"query": {"text": "acoustic guitar", "image": {"base64": base64(&photo("bicycle.jpg"))},
                         "weights": {"text": text, "image": image}}})
    };
    assert_eq!(ids(&rank(query(10.0, 0.0)))[0], "rank-guitar");
    assert_eq!(ids(&rank(query(0.0, 10.0)))[0], "rank-bike");
}

#[test]
fn a_price_filter_keeps_what_lies_within_and_has_a_price() {
    let request = json!({"query": {"text": "something nice"}, "filter": {"price": {"min": 60, "max": 120}}});
    let body = rank(request);
    let mut found = ids(&body);
    found.sort_unstable();
    assert_eq!(found, ["rank-guitar", "rank-sofa", "rank-washer", "rank-washer-2"]);
}

#[test]
fn an_explanation_adds_up_to_the_score() {
    let body = rank(json!({"query": {"text": "washing machine"}, "explain": true}));
    for result in body["results"].as_array().unwrap() {
        let signals = result["explanation"].as_array().unwrap();
        let sum: f64 = signals.iter().map(|s| s["contribution"].as_f64().unwrap()).sum();
        assert!((sum - result["score"].as_f64().unwrap()).abs() < 1e-4, "{result}");
        for signal in signals {
            let product = signal["value"].as_f64().unwrap() * signal["weight"].as_f64().unwrap();
            assert!((product - signal["contribution"].as_f64().unwrap()).abs() < 1e-4, "{signal}");
        }
    }
}

#[test]
fn pages_cover_the_order_without_gaps_or_repeats() {
    let page = |offset: usize, limit: usize| {
        let body = rank(json!({"query": {"text": "for the home"}, "offset": offset, "limit": limit}));
        ids(&body).iter().map(|&id| id.to_owned()).collect::<Vec<_>>()
    };
    let whole = page(0, 100);
    assert_eq!(whole.len(), 7);
    let pages: Vec<String> = [0, 2, 4, 6].into_iter().flat_map(|offset| page(offset, 2)).collect();
    assert_eq!(pages, whole);
}

#[test]
fn candidates_are_ranked_instead_of_the_catalogue() {
    let request = json!({"query": {"text": "garden furniture"}, "candidates": [
        {"id": "c-1", "title": "Xbox controller"},
        {"id": "c-2", "title": "Wooden garden bench and table"},
        {"id": "c-3", "title": "Wedding dress size 12"}
    ]});
    let (status, body) = post_json(RANK, &request);
    assert_eq!(status, 200);
    assert_eq!(ids(&body)[0], "c-2");
    assert_eq!(ids(&body).len(), 3);
}

#[test]
fn what_is_not_wanted_is_pushed_down() {
    let body = rank(json!({"query": {"text": "washing machine", "not": {"text": "Bosch"}}, "explain": true}));
    assert_eq!(ids(&body)[0], "rank-washer-2");
    let bosch = body["results"].as_array().unwrap().iter().find(|r| r["id"] == "rank-washer").unwrap();
    let signals = bosch["explanation"].as_array().unwrap();
    assert!(signals.iter().any(|s| s["signal"] == "not" && s["contribution"].as_f64().unwrap() < 0.0));
}

#[test]
fn categories_are_counted_under_the_filter() {
    let body = rank(json!({"query": {"text": "sofa"}, "facets": ["category"], "limit": 1}));
    assert_eq!(body["facets"], json!({"category": [{"value": SHOP, "count": 7}]}));
}

#[test]
fn every_wish_at_once_is_answered_and_explained() {
    let request = json!({
        "query": {"text": "washing machine", "image": {"base64": base64(&photo("washing-machine.jpg"))},
                  "product_id": "rank-sofa", "weights": {"text": 3, "image": 2, "product": 1},
                  "not": {"text": "tent", "image": {"base64": base64(&photo("tent.jpg"))}, "product_id": "rank-tent"}},
        "filter": {"price": {"min": 1}, "near": {"lat": 53.8, "lon": -1.55}},
        "boost": {"recency_half_life_days": 7, "distance_half_life_km": 10, "price_target": 80},
        "user": {"viewed": ["rank-guitar", "gone"]}, "diversity": 0.2, "facets": ["category"], "explain": true
    });
    let body = rank(request);
    assert!(ids(&body)[0].starts_with("rank-washer"), "{body}");
    let signals = body["results"][0]["explanation"].as_array().unwrap();
    let names: Vec<_> = signals.iter().map(|signal| signal["signal"].as_str().unwrap()).collect();
    assert_eq!(names, ["semantic", "lexical", "kind", "not", "taste", "recency", "distance", "price"]);
}

#[test]
fn an_unusable_request_names_its_field() {
    fill();
    for (field, request) in [
        ("query.text", json!({"query": {"text": " "}})),
        ("query.product_id", json!({"query": {"product_id": "nobody"}})),
        ("query.weights", json!({"query": {"text": "sofa", "weights": {"text": 0, "image": 0}}})),
        ("query.weights", json!({"query": {"text": "sofa", "weights": {"text": 11}}})),
        ("filter.price", json!({"filter": {"price": {"min": 5, "max": 4}}})),
        ("filter.price.min", json!({"filter": {"price": {"min": -5}}})),
        ("limit", json!({"limit": 0})),
        ("limit", json!({"limit": 101})),
        ("offset", json!({"offset": 1000})),
        ("query.weights", json!({"query": {"text": "sofa", "weights": {"text": 0}}})),
        ("query.not", json!({"query": {"text": "sofa", "not": {}}})),
        ("query.not", json!({"query": {"not": {"text": "sofa"}}})),
        ("query.not.product_id", json!({"query": {"text": "sofa", "not": {"product_id": "nobody"}}})),
        ("query.text", json!({"query": {"text": "sofa ".repeat(400_000)}})),
        ("filter.near", json!({"filter": {"near": {"radius_km": 10}}})),
        ("filter.near", json!({"filter": {"near": {"lat": 91, "lon": 0}}})),
        ("filter.near.radius_km", json!({"filter": {"near": {"lat": 50, "lon": 0, "radius_km": 0}}})),
        ("filter.listed_after", json!({"filter": {"listed_after": "yesterday"}})),
        ("boost.recency_half_life_days", json!({"boost": {"recency_half_life_days": 0}})),
        ("boost.distance_half_life_km", json!({"boost": {"distance_half_life_km": 5}})),
        ("boost.price_target", json!({"boost": {"price_target": -1}})),
        ("diversity", json!({"diversity": 1.5})),
        ("facets[0]", json!({"facets": ["colour"]})),
        ("candidates[0].price", json!({"candidates": [{"id": "a", "title": "b", "price": -1}]})),
    ] {
        let (status, problem) = post_json(RANK, &request);
        assert_eq!((status, &problem["field"]), (422, &json!(field)), "{problem}");
    }
}

#[test]
fn more_viewed_products_or_categories_than_allowed_are_too_many() {
    for (field, request) in [
        ("user.viewed", json!({"user": {"viewed": vec!["a"; 101]}})),
        ("filter.category", json!({"filter": {"category": vec!["a"; 101]}})),
        ("candidates", json!({"candidates": vec![json!({"id": "a", "title": "b"}); 201]})),
    ] {
        let (status, problem) = post_json(RANK, &request);
        assert_eq!((status, &problem["field"]), (413, &json!(field)), "{problem}");
    }
}

#[test]
fn an_unknown_field_is_named() {
    for request in [json!({"querry": {}}), json!({"query": {"txt": "sofa"}}), json!({"boost": {"new": 1}})] {
        let (status, problem) = post_json(RANK, &request);
        assert_eq!(status, 422);
        assert!(problem["detail"].as_str().unwrap().contains("unknown field"), "{problem}");
    }
}

#[test]
fn a_result_names_its_photo_where_the_catalogue_has_one() {
    let body = json!({"title": "Photographed zither", "images": [{"base64": base64(&photo("guitar.jpg"))}]});
    assert_eq!(put_json("/v1/products/zither-with-photo", &body).0, 200);
    assert_eq!(put_json("/v1/products/zither-without", &json!({"title": "Unphotographed zither"})).0, 200);
    let (status, ranked) = post_json("/v1/rank-products", &json!({"query": {"text": "zither"}}));
    assert_eq!(status, 200);
    let found =
        |id: &str| ranked["results"].as_array().unwrap().iter().find(|r| r["id"] == id).unwrap().clone();
    assert_eq!(found("zither-without")["photo"], Value::Null);
    let route = found("zither-with-photo")["photo"].as_str().unwrap().to_owned();
    assert_eq!(client().get(url(&route)).send().unwrap().headers()["content-type"], "image/jpeg");

    // A candidate's photo is nowhere to be fetched.
    let candidate = json!({"id": "zither-with-photo", "title": "Zither", "images": body["images"]});
    let (_, ranked) =
        post_json("/v1/rank-products", &json!({"query": {"text": "zither"}, "candidates": [candidate]}));
    assert_eq!(ranked["results"][0]["photo"], Value::Null);
}
