//! `/v1/products`

use serde_json::json;

use crate::server::{answer, base64, client, get, photo, post_json, put_json, url};

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
fn a_line_that_is_not_json_spoils_no_other_line() {
    let lines =
        "{\"id\": \"line-1\", \"title\": \"Lamp\"}\n\nnot json\n{\"id\": \"line-2\", \"title\": \"Desk\"}\n";
    let request =
        client().post(url("/v1/products")).header("content-type", "application/x-ndjson").body(lines);
    let (status, body) = answer(request);
    assert_eq!((status, &body["stored"], &body["failed"]), (200, &json!(2), &json!(1)));
    assert_eq!(body["results"][1]["error"]["code"], "malformed");
    assert_eq!(get("/v1/products/line-2").0, 200);
}

#[test]
fn of_two_products_with_one_id_the_later_one_stays() {
    let body = json!([{"id": "twice", "title": "First"}, {"id": "twice", "title": "Second"}]);
    assert_eq!(post_json("/v1/products", &body).1["stored"], 2);
    assert_eq!(get("/v1/products/twice").1["title"], "Second");
}
