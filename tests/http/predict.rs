//! `POST /v1/predict-category`

use reqwest::blocking::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::server::{answer, base64, client, photo, post_json, url};

fn probabilities(answer: &Value) -> Vec<f64> {
    let predictions = answer["predictions"].as_array().unwrap();
    predictions.iter().map(|p| p["probability"].as_f64().unwrap()).collect()
}

#[test]
fn a_text_alone_is_answered_by_the_text_model() {
    let (status, body) = post_json(
        "/v1/predict-category",
        &json!({"title": "Adidas running trainers size 9", "description": "Worn twice, white, boxed"}),
    );
    assert_eq!(status, 200);
    assert_eq!(body["model"]["name"], "text");
    assert_eq!(body["category"], "Clothes, Footwear & Accessories");
    assert_eq!(body["category"], body["predictions"][0]["category"]);
    assert_eq!(body["confidence"], body["predictions"][0]["probability"]);
}

#[test]
fn probabilities_fall_and_add_up_to_one_over_all_categories() {
    let (_, body) = post_json("/v1/predict-category", &json!({"title": "Acoustic guitar", "top_k": 100}));
    let probabilities = probabilities(&body);
    assert_eq!(probabilities.len(), 13);
    assert!(probabilities.windows(2).all(|pair| pair[0] >= pair[1]));
    assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-4);
}

#[test]
fn the_price_band_is_in_order_and_follows_the_listing() {
    let median = |title: &str| {
        let (_, body) = post_json("/v1/predict-category", &json!({"title": title}));
        let price = &body["price"];
        assert_eq!(price["currency"], "GBP");
        let [low, median, high] = ["low", "median", "high"].map(|key| price[key].as_f64().unwrap());
        assert!(0.0 < low && low < median && median < high, "{price}");
        median
    };
    assert!(median("Apple MacBook Pro 16 inch M1 laptop") > 3.0 * median("Childrens paperback book"));
}

#[test]
fn a_photo_alone_is_answered_by_the_image_model_and_has_no_price() {
    let image = json!({"base64": base64(&photo("sofa.jpg"))});
    let (status, body) = post_json("/v1/predict-category", &json!({"images": [image]}));
    assert_eq!(status, 200);
    assert_eq!(body["model"]["name"], "image");
    assert!(body.get("price").is_none());
}

#[test]
fn text_and_photo_together_are_answered_by_the_combined_model() {
    let image = json!({"base64": base64(&photo("sofa.jpg"))});
    let request = json!({"title": "Three seater sofa", "description": "Grey fabric", "images": [image]});
    let (status, body) = post_json("/v1/predict-category", &request);
    assert_eq!(status, 200);
    assert_eq!(body["model"]["name"], "combined");
    assert_eq!(body["category"], "Home & Garden");
}

#[test]
fn a_subcategory_lies_inside_the_category() {
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(crate::server::repository("models/manifest.json")).unwrap())
            .unwrap();
    for title in
        ["Single bed with mattress", "iPhone 11 unlocked", "Yamaha keyboard", "Lawn mower", "Pushchair"]
    {
        let (_, body) = post_json("/v1/predict-category", &json!({"title": title}));
        if let Some(name) = body["subcategory"].as_str() {
            let inside = json!({"category": body["category"], "name": name});
            assert!(manifest["subcategories"].as_array().unwrap().contains(&inside), "{title}: {body}");
        }
    }
}

#[test]
fn a_form_gets_the_answer_that_the_same_json_gets() {
    let bytes = photo("guitar.jpg");
    let (_, from_json) = post_json(
        "/v1/predict-category",
        &json!({"title": "Electric guitar", "top_k": 3, "images": [{"base64": base64(&bytes)}]}),
    );
    let form = Form::new()
        .text("title", "Electric guitar")
        .text("top_k", "3")
        .part("image", Part::bytes(bytes).file_name("guitar.jpg"));
    let (status, from_form) = answer(client().post(url("/v1/predict-category")).multipart(form));
    assert_eq!(status, 200);
    assert_eq!(from_form, from_json);
    assert_eq!(probabilities(&from_form).len(), 3);
}

#[test]
fn the_logits_of_several_photos_are_averaged() {
    let image = |name: &str| json!({"base64": base64(&photo(name))});
    let all = |images: Vec<Value>| {
        let (status, body) = post_json("/v1/predict-category", &json!({"images": images, "top_k": 13}));
        assert_eq!(status, 200);
        let predictions = body["predictions"].as_array().unwrap().clone();
        let mut pairs: Vec<(String, f64)> = predictions
            .iter()
            .map(|p| (p["category"].as_str().unwrap().to_owned(), p["probability"].as_f64().unwrap()))
            .collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs
    };
    let (sofa, bicycle) = (all(vec![image("sofa.jpg")]), all(vec![image("bicycle.jpg")]));
    // The mean of logits is the geometric mean of probabilities.
    let means: Vec<f64> = sofa.iter().zip(&bicycle).map(|(a, b)| (a.1 * b.1).sqrt()).collect();
    let total: f64 = means.iter().sum();
    for (both, mean) in all(vec![image("sofa.jpg"), image("bicycle.jpg")]).iter().zip(means) {
        assert!((both.1 - mean / total).abs() < 2e-3, "{both:?}, expected {}", mean / total);
    }
}

#[test]
fn each_item_of_a_batch_gets_its_answer_or_its_own_error() {
    let request = json!({"items": [
        {"title": "Mountain bike"},
        {},
        {"images": [{"base64": "bm8gcGhvdG8="}]},
        {"title": "Washing machine"}
    ]});
    let (status, body) = post_json("/v1/predict-category/batch", &request);
    assert_eq!(status, 200);
    let results = body["results"].as_array().unwrap();
    assert_eq!(results.len(), 4);
    let (_, alone) = post_json("/v1/predict-category", &json!({"title": "Mountain bike"}));
    assert_eq!(results[0]["category"], alone["category"]);
    assert_eq!(results[1]["error"]["status"], 422);
    assert_eq!(results[2]["error"]["field"], "images[0]");
    assert_eq!(results[3]["category"], "Appliances");
}
