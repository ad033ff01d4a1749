//! `/v1/products`

use std::time::{Duration, Instant};

use marketrank::catalogue::{Product, StoredProduct};
use serde_json::{Value, json};

use crate::server::{answer, base64, client, get, intake, photo, post_json, put_json, url};

#[test]
fn a_stored_product_is_given_back_as_it_was_sent() {
    let product = json!({
        "id": "roundtrip", "title": "Oak table", "description": "Seats six", "category": "Home & Garden",
        "price": 85.5, "currency": "GBP", "location": {"name": "Leeds", "lat": 53.8, "lon": -1.55},
        "listed_at": "2026-11-20T09:30:00Z", "attributes": {"width_cm": 180, "seller": {"rating": 4.9}}
    });
    assert_eq!(put_json("/v1/products/roundtrip", &product), (200, product.clone()));
    assert_eq!(get("/v1/products/roundtrip"), (200, product));
}

#[test]
fn a_product_without_a_category_gets_the_predicted_one_marked_as_predicted() {
    let (_, stored) = put_json("/v1/products/uncategorised", &json!({"title": "Nike football boots size 8"}));
    let (_, predicted) = post_json("/v1/predict-category", &json!({"title": "Nike football boots size 8"}));
    assert_eq!(stored["category"], predicted["category"]);
    assert_eq!(stored["category_predicted"], true);
}

#[test]
fn a_second_put_replaces_the_product() {
    put_json("/v1/products/replaced", &json!({"title": "Old title", "price": 5}));
    put_json("/v1/products/replaced", &json!({"title": "New title"}));
    let (_, product) = get("/v1/products/replaced");
    assert_eq!(product["title"], "New title");
    assert!(product.get("price").is_none());
}

#[test]
fn a_deleted_product_is_gone_and_cannot_be_deleted_again() {
    put_json("/v1/products/deleted", &json!({"title": "Sofa"}));
    let delete = || answer(client().delete(url("/v1/products/deleted"))).0;
    assert_eq!(delete(), 204);
    assert_eq!(get("/v1/products/deleted").0, 404);
    assert_eq!(delete(), 404);
}

#[test]
fn the_thumbnail_of_the_first_photo_is_kept() {
    let image = |name: &str| json!({"base64": base64(&photo(name))});
    put_json(
        "/v1/products/pictured",
        &json!({"title": "Sofa", "images": [image("sofa.jpg"), image("lamp.jpg")]}),
    );
    let response = client().get(url("/v1/products/pictured/photo")).send().unwrap();
    assert_eq!(response.headers()["content-type"], "image/jpeg");
    let thumbnail = image::load_from_memory(&response.bytes().unwrap()).unwrap().to_rgb8();
    assert_eq!(thumbnail.width().max(thumbnail.height()), 320);
    let original = image::load_from_memory(&photo("sofa.jpg")).unwrap().to_rgb8();
    let average = |image: &image::RgbImage| {
        image.pixels().map(|p| f64::from(p.0[0])).sum::<f64>() / f64::from(image.width() * image.height())
    };
    assert!((average(&thumbnail) - average(&original)).abs() < 3.0);

    put_json("/v1/products/unpictured", &json!({"title": "Sofa"}));
    assert_eq!(get("/v1/products/unpictured/photo").0, 404);
}

#[test]
fn a_thumbnail_that_a_client_has_is_not_sent_again_until_the_photo_is_another() {
    let store = |name: &str| {
        let images = json!([{"base64": base64(&photo(name))}]);
        put_json("/v1/products/revisited", &json!({"title": "Sofa", "images": images}));
    };
    let ask = |tag: &str| {
        client().get(url("/v1/products/revisited/photo")).header("if-none-match", tag).send().unwrap()
    };
    store("sofa.jpg");
    let first = ask("\"another\"");
    assert_eq!(
        (first.status().as_u16(), &first.headers()["cache-control"]),
        (200, &"no-cache".parse().unwrap())
    );
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    let again = ask(&tag);
    assert_eq!((again.status().as_u16(), again.headers()["etag"].to_str().unwrap()), (304, tag.as_str()));
    assert!(again.bytes().unwrap().is_empty());
    store("lamp.jpg");
    assert_eq!(ask(&tag).status(), 200);
}

#[test]
fn each_product_of_an_array_is_stored_or_gets_its_own_error() {
    let body = json!([
        {"id": "bulk-1", "title": "Lamp"},
        {"id": "bulk-2", "title": "Chair", "price": -3},
        {"title": "no id"},
        {"id": "bulk-3", "title": "Desk", "colour": "red"},
        {"id": "bulk-4", "title": "Shelf"}
    ]);
    let (status, answer) = post_json("/v1/products", &body);
    assert_eq!(status, 200);
    assert_eq!((&answer["stored"], &answer["failed"]), (&json!(2), &json!(3)));
    let results = answer["results"].as_array().unwrap();
    let statuses: Vec<_> = results.iter().map(|r| r["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["stored", "failed", "failed", "failed", "stored"]);
    assert_eq!(results[1]["error"]["field"], "price");
    assert_eq!(get("/v1/products/bulk-2").0, 404);
    assert_eq!(get("/v1/products/bulk-4").1["title"], "Shelf");
}

#[test]
fn what_could_not_be_read_back_or_asked_for_is_not_stored() {
    let attributes = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({"in": inner}));
    let product = |levels| json!({"title": "Lamp", "attributes": attributes(levels)});
    assert_eq!(put_json("/v1/products/deep", &product(32)).0, 200);
    assert_eq!(get("/v1/products/deep").1["attributes"], attributes(32));
    let (status, problem) = put_json("/v1/products/deeper", &product(33));
    assert_eq!((status, &problem["field"]), (422, &json!("attributes")));
    assert_eq!(get("/v1/products/deeper").0, 404);

    let (_, answer) =
        post_json("/v1/products", &json!([{"id": "..", "title": "Lamp"}, {"id": "...", "title": "Lamp"}]));
    assert_eq!(answer["results"][0]["error"]["field"], "id");
    assert_eq!(answer["stored"], 1);
}

/// Status and lines of the answer to an NDJSON request.
fn post_lines(lines: String) -> (u16, Vec<Value>) {
    // However long ten thousand lines take on a busy machine.
    let patient = reqwest::blocking::Client::builder().no_proxy().timeout(None).build().unwrap();
    let request =
        patient.post(url("/v1/products")).header("content-type", "application/x-ndjson").body(lines);
    let response = request.send().unwrap();
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let status = response.status().as_u16();
    let text = response.text().unwrap();
    (status, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn each_line_is_answered_and_one_that_is_not_json_spoils_no_other() {
    let lines =
        "{\"id\": \"line-1\", \"title\": \"Lamp\"}\n\nnot json\n{\"id\": \"line-2\", \"title\": \"Desk\"}\n";
    let (status, answers) = post_lines(lines.to_owned());
    assert_eq!(status, 200);
    assert_eq!(answers[0], json!({"index": 0, "id": "line-1", "status": "stored"}));
    assert_eq!(answers[1]["error"]["code"], "malformed");
    assert_eq!(answers[2], json!({"index": 2, "id": "line-2", "status": "stored"}));
    assert_eq!(answers[3], json!({"stored": 2, "failed": 1}));
    assert_eq!(get("/v1/products/line-2").0, 200);
}

/// Forty products over and over, so that nearly all lines are of products that need not be embedded again.
#[test]
fn a_bad_line_among_ten_thousand_good_ones_fails_alone() {
    let line = |n: usize| format!("{{\"id\": \"many-{}\", \"title\": \"Lamp\", \"price\": {n}}}\n", n % 40);
    let lines: String =
        (0..10_001).map(|n| if n == 5_000 { "{\"id\": \n".to_owned() } else { line(n) }).collect();
    let (status, answers) = post_lines(lines);
    assert_eq!((status, answers.len()), (200, 10_002));
    assert_eq!(answers[10_001], json!({"stored": 10_000, "failed": 1}));
    let failed: Vec<_> = answers[..10_001].iter().filter(|answer| answer["status"] == "failed").collect();
    assert_eq!((failed.len(), &failed[0]["index"]), (1, &json!(5_000)));
    assert_eq!(get("/v1/products/many-39").1["price"], 9999.0);
}

#[test]
fn an_array_of_more_than_ten_thousand_is_too_large() {
    let (status, problem) = post_json("/v1/products", &json!(vec![json!({}); 10_001]));
    assert_eq!(status, 413);
    assert!(problem["detail"].as_str().unwrap().contains("NDJSON"), "{problem}");
}

#[test]
fn every_product_of_a_category_is_on_one_page() {
    let products: Vec<Value> = (0..25)
        .map(|n| json!({"id": format!("paged-{n:02}"), "title": "Lamp", "category": "Paging test"}))
        .collect();
    assert_eq!(post_json("/v1/products", &json!(products)).1["stored"], 25);
    let mut listed = Vec::new();
    let mut route = "/v1/products?category=Paging%20test&limit=10".to_owned();
    let mut pages = 0;
    loop {
        let (status, page) = get(&route);
        assert_eq!(status, 200, "{page}");
        pages += 1;
        listed.extend(
            page["products"].as_array().unwrap().iter().map(|p| p["id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        route = format!("/v1/products?category=Paging%20test&limit=10&cursor={next}");
    }
    listed.sort();
    assert_eq!(pages, 3);
    assert_eq!(listed, (0..25).map(|n| format!("paged-{n:02}")).collect::<Vec<_>>());
}

#[test]
fn a_cursor_of_another_query_and_one_of_nobody_are_refused() {
    let products = json!([{"id": "cursor-1", "title": "Lamp", "category": "Cursor test"},
                          {"id": "cursor-2", "title": "Lamp", "category": "Cursor test"}]);
    post_json("/v1/products", &products);
    let page = get("/v1/products?category=Cursor%20test&limit=1").1;
    let cursor = page["next"].as_str().unwrap();
    assert_eq!(get(&format!("/v1/products?category=Cursor%20test&cursor={cursor}")).0, 200);
    for route in [
        format!("/v1/products?cursor={cursor}"),
        format!("/v1/products?category=Other&cursor={cursor}"),
        "/v1/products?cursor=AAAA".to_owned(),
        "/v1/products?cursor=%00%ff".to_owned(),
    ] {
        let (status, problem) = get(&route);
        assert_eq!((status, &problem["field"]), (422, &json!("cursor")), "{route}");
    }
    assert_eq!(get("/v1/products?limit=0").1["field"], "limit");
    assert_eq!(get("/v1/products?offset=3").0, 422);
}

#[tokio::test]
async fn a_listing_is_embedded_again_only_where_text_or_photos_changed() {
    let intake = intake();
    let lamp = |title: &str, price: f64| {
        serde_json::from_value::<Product>(json!({"id": "lamp", "title": title, "price": price})).unwrap()
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    let photos = vec![photo("lamp.jpg").into()];
    let first = intake.product(lamp("Lamp", 5.0), photos.clone(), None, deadline).await.unwrap();
    // A mark that no model makes: where it comes back, nothing was embedded.
    let marked = StoredProduct { embedding: vec![0.5; 4], ..first.clone() };
    let take = async |title, photos: Vec<bytes::Bytes>| {
        let before = Some(marked.clone());
        intake.product(lamp(title, 7.0), photos, before, deadline).await.unwrap()
    };
    let same = take("Lamp", photos.clone()).await;
    assert_eq!((same.embedding, same.thumbnail), (marked.embedding.clone(), first.thumbnail.clone()));
    assert_eq!((same.product.price, same.product.category), (Some(7.0), first.product.category));
    assert_ne!(take("Desk lamp", photos.clone()).await.embedding, marked.embedding);
    assert_ne!(take("Lamp", Vec::new()).await.embedding, marked.embedding);
    assert_ne!(take("Lamp", vec![photo("sofa.jpg").into()]).await.embedding, marked.embedding);
}

#[test]
fn of_two_products_with_one_id_the_later_one_stays() {
    let body = json!([{"id": "twice", "title": "First"}, {"id": "twice", "title": "Second"}]);
    assert_eq!(post_json("/v1/products", &body).1["stored"], 2);
    assert_eq!(get("/v1/products/twice").1["title"], "Second");
}
