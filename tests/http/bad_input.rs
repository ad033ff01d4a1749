//! Requests that must get their clear error and change nothing.

use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use reqwest::blocking::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::server::{answer, base64, client, get, photo, post_json, put_json, url};

const PREDICT: &str = "/v1/predict-category";

fn predict_photo(bytes: Vec<u8>, name: &str) -> (u16, Value) {
    let form = Form::new().part("image", Part::bytes(bytes).file_name(name.to_owned()));
    answer(client().post(url(PREDICT)).multipart(form))
}

/// A PNG whose header claims a size that its data does not have.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut png = Vec::new();
    PngEncoder::new(&mut png).write_image(&[0; 3], 1, 1, ExtendedColorType::Rgb8).unwrap();
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let checksum = crc32fast::hash(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.to_be_bytes());
    png
}

#[test]
fn a_listing_without_text_and_photo_is_refused() {
    let (status, problem) = post_json(PREDICT, &json!({}));
    assert_eq!((status, &problem["code"]), (422, &json!("unusable")));
    let (status, _) = post_json(PREDICT, &json!({"title": "  ", "description": ""}));
    assert_eq!(status, 422);
}

#[test]
fn an_empty_body_is_malformed() {
    let request = client().post(url(PREDICT)).header("content-type", "application/json");
    let (status, problem) = answer(request);
    assert_eq!((status, &problem["code"]), (400, &json!("malformed")));
}

#[test]
fn broken_json_is_malformed_and_says_where() {
    let request =
        client().post(url(PREDICT)).header("content-type", "application/json").body("{\"title\": \"a\",,}");
    let (status, problem) = answer(request);
    assert_eq!(status, 400);
    assert!(problem["detail"].as_str().unwrap().contains("line 1 column"), "{problem}");
}

#[test]
fn another_content_type_is_refused() {
    let (status, problem) =
        answer(client().post(url(PREDICT)).header("content-type", "text/plain").body("sofa"));
    assert_eq!((status, &problem["code"]), (415, &json!("unsupported_type")));
}

#[test]
fn an_unknown_field_is_named() {
    let (status, problem) = post_json(PREDICT, &json!({"titel": "Sofa"}));
    assert_eq!(status, 422);
    assert!(problem["detail"].as_str().unwrap().contains("titel"), "{problem}");
}

#[test]
fn a_text_file_named_jpg_is_no_photo() {
    let (status, problem) = predict_photo(b"this is a text, whatever its name says".to_vec(), "sofa.jpg");
    assert_eq!((status, &problem["field"]), (415, &json!("images[0]")));
}

#[test]
fn a_truncated_jpeg_is_refused() {
    let whole = photo("sofa.jpg");
    let (status, problem) = predict_photo(whole[..whole.len() / 2].to_vec(), "sofa.jpg");
    assert_eq!(status, 422);
    assert!(problem["detail"].as_str().unwrap().contains("ends too early"), "{problem}");
}

#[test]
fn a_photo_of_one_pixel_is_too_small() {
    let mut png = Vec::new();
    PngEncoder::new(&mut png).write_image(&[0; 3], 1, 1, ExtendedColorType::Rgb8).unwrap();
    let (status, problem) = predict_photo(png, "pixel.png");
    assert_eq!(status, 422);
    assert!(problem["detail"].as_str().unwrap().contains("1x1"), "{problem}");
}

#[test]
fn a_photo_40000_pixels_wide_is_refused_by_its_header() {
    let (status, problem) = predict_photo(png_header(40_000, 30_000), "wide.png");
    assert_eq!((status, &problem["code"]), (413, &json!("too_large")));
    assert!(problem["detail"].as_str().unwrap().contains("40000x30000"), "{problem}");
}

#[test]
fn nine_photos_are_too_many() {
    let image = json!({"base64": base64(&photo("sofa.jpg"))});
    let (status, problem) = post_json(PREDICT, &json!({"images": vec![image; 9]}));
    assert_eq!((status, &problem["field"]), (422, &json!("images")));
    // They are counted before any is decoded; short, so that the whole form is sent before it is refused.
    let form = (0..9)
        .fold(Form::new(), |form, _| form.part("image", Part::bytes(&b"sofa"[..]).file_name("sofa.jpg")));
    let (status, _) = answer(client().post(url(PREDICT)).multipart(form));
    assert_eq!(status, 422);
}

#[test]
fn a_photo_that_is_neither_url_nor_base64_is_refused() {
    let (status, problem) = post_json(PREDICT, &json!({"images": [{}]}));
    assert_eq!((status, &problem["field"]), (422, &json!("images[0]")));
    let (status, problem) = post_json(PREDICT, &json!({"images": [{"base64": "***"}]}));
    assert_eq!((status, &problem["field"]), (422, &json!("images[0]")));
}

#[test]
fn top_k_out_of_range_is_refused() {
    let (status, problem) = post_json(PREDICT, &json!({"title": "Sofa", "top_k": 0}));
    assert_eq!((status, &problem["field"]), (422, &json!("top_k")));
}

#[test]
fn a_text_beyond_its_limit_is_refused() {
    let (status, problem) = post_json(PREDICT, &json!({"title": "a".repeat(1_001)}));
    assert_eq!((status, &problem["field"]), (422, &json!("title")));
}

#[test]
fn a_batch_of_65_is_too_large() {
    let items = vec![json!({"title": "Sofa"}); 65];
    let (status, problem) = post_json("/v1/predict-category/batch", &json!({"items": items}));
    assert_eq!((status, &problem["field"]), (413, &json!("items")));
}

#[test]
fn a_negative_price_is_refused_and_nothing_is_stored() {
    let (status, problem) = put_json("/v1/products/negative", &json!({"title": "Sofa", "price": -1}));
    assert_eq!((status, &problem["field"]), (422, &json!("price")));
    assert_eq!(get("/v1/products/negative").0, 404);
}

#[test]
fn an_id_with_a_slash_or_300_characters_is_refused() {
    let (status, problem) = put_json("/v1/products/a%2Fb", &json!({"title": "Sofa"}));
    assert_eq!((status, &problem["field"]), (422, &json!("id")));
    let (status, problem) = put_json(&format!("/v1/products/{}", "a".repeat(300)), &json!({"title": "Sofa"}));
    assert_eq!((status, &problem["field"]), (422, &json!("id")));
    assert!(problem["detail"].as_str().unwrap().contains("300"), "{problem}");
}

#[test]
fn an_id_that_contradicts_the_route_is_refused() {
    let (status, problem) = put_json("/v1/products/one", &json!({"id": "two", "title": "Sofa"}));
    assert_eq!((status, &problem["field"]), (422, &json!("id")));
}

#[test]
fn a_product_that_fails_leaves_the_stored_one_as_it_was() {
    assert_eq!(put_json("/v1/products/kept", &json!({"title": "Oak table", "price": 40})).0, 200);
    let broken = json!({"title": "Pine table", "images": [{"base64": "bm8gcGhvdG8="}]});
    assert_eq!(put_json("/v1/products/kept", &broken).0, 415);
    assert_eq!(get("/v1/products/kept").1["title"], "Oak table");
}

#[test]
fn an_unknown_route_and_a_wrong_method_are_problems_too() {
    assert_eq!(get("/v1/predict").0, 404);
    assert_eq!(get(PREDICT).0, 405);
}

#[test]
fn a_body_beyond_its_limit_is_too_large() {
    let request =
        client()
            .post(url(PREDICT))
            .header("content-type", "application/json")
            .body(vec![b' '; (64 << 20) + 1]);
    assert_eq!(answer(request).0, 413);
}
