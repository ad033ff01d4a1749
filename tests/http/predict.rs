//! `POST /v1/predict-category`

use image::{ImageFormat, Rgb, RgbImage, imageops};
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
fn an_amount_counts_in_the_price_as_the_words_around_it_say() {
    let median = |description: &str| {
        let (_, body) =
            post_json("/v1/predict-category", &json!({"title": "Oak bookcase", "description": description}));
        body["price"]["median"].as_f64().unwrap()
    };
    for asked in [60.0, 140.0] {
        let found = median(&format!("Five shelves, collection only. £{asked} ono"));
        assert!((found / asked).ln().abs() < 0.2, "{asked}: {found}");
    }
    let asked = median("Cost £350 new, asking £90");
    assert!((asked / 90.0).ln().abs() < 0.3, "{asked}");
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
        let inside = json!({"category": body["category"], "name": body["subcategory"]});
        assert!(manifest["subcategories"].as_array().unwrap().contains(&inside), "{title}: {body}");
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
fn a_batch_as_long_as_is_taken_is_not_refused_for_its_own_length() {
    let photos: Vec<String> = std::fs::read_dir("sample/photos")
        .unwrap()
        .map(|file| base64(&std::fs::read(file.unwrap().path()).unwrap()))
        .collect();
    let item = |number: usize| {
        let photos = [2 * number, 2 * number + 1].map(|index| &photos[index % photos.len()]);
        json!({"title": format!("item {number}"), "images": photos.map(|photo| json!({"base64": photo}))})
    };
    let items: Vec<Value> = (0..64).map(item).collect();
    let (status, body) = post_json("/v1/predict-category/batch", &json!({"items": items}));
    assert_eq!(status, 200, "{body}");
    let results = body["results"].as_array().unwrap();
    assert_eq!(results.len(), 64);
    for result in results {
        assert_eq!(result["model"]["name"], "combined", "{result}");
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

/// The photo of a bicycle in the left or the right half of one that is twice as wide and otherwise blank.
fn bicycle_beside_nothing(on_the_right: bool) -> Vec<u8> {
    let bicycle = image::load_from_memory(&photo("bicycle.jpg")).unwrap().into_rgb8();
    let mut wide = RgbImage::from_pixel(2 * bicycle.width(), bicycle.height(), Rgb([160; 3]));
    let left = if on_the_right { bicycle.width() } else { 0 };
    imageops::replace(&mut wide, &bicycle, left.into(), 0);
    let mut png = std::io::Cursor::new(Vec::new());
    wide.write_to(&mut png, ImageFormat::Png).unwrap();
    png.into_inner()
}

/// The heat in the left and in the right half of a map; its numbers must fill it.
fn heat_of_halves(map: &Value) -> [f64; 2] {
    let [height, width] = ["height", "width"].map(|side| map[side].as_u64().unwrap() as usize);
    let values: Vec<f64> = map["values"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
    assert_eq!(values.len(), height * width);
    assert!(values.iter().all(|value| (0.0..=1.0).contains(value)), "{map}");
    let mut halves = [0.0; 2];
    for (at, value) in values.into_iter().enumerate() {
        let column = at % width;
        // The middle column of an odd number belongs to neither.
        if 2 * column + 1 != width {
            halves[usize::from(2 * column >= width)] += value;
        }
    }
    halves
}

#[test]
fn an_activation_lies_where_the_thing_is() {
    for title in [None, Some("Road bike")] {
        let image = |on_the_right| json!({"base64": base64(&bicycle_beside_nothing(on_the_right))});
        let images = [image(false), image(true)];
        let request = json!({"title": title, "images": images, "activation": true});
        let (status, body) = post_json("/v1/predict-category", &request);
        assert_eq!(status, 200);
        assert_eq!(body["category"], "Sports, Leisure & Travel");
        let maps = body["activation"].as_array().unwrap();
        assert_eq!(maps.len(), 2);
        let [left, right] = [heat_of_halves(&maps[0]), heat_of_halves(&maps[1])];
        assert!(left[0] > 4.0 * left[1] && right[1] > 4.0 * right[0], "{left:?} {right:?}");
    }
}

#[test]
fn an_activation_covers_the_photo_and_not_the_bars_around_it() {
    let maps = |bytes: &[u8]| {
        let request = json!({"images": [{"base64": base64(bytes)}], "activation": true});
        post_json("/v1/predict-category", &request).1["activation"][0].clone()
    };
    let whole = maps(&photo("bicycle.jpg"));
    // Twice as wide: between its bars the photo has half as many rows of the network's cells.
    let wide = maps(&bicycle_beside_nothing(false));
    assert_eq!(whole["width"], wide["width"]);
    let [whole, wide] = [whole, wide].map(|map| map["height"].as_u64().unwrap());
    assert!(whole.abs_diff(2 * wide) <= 1, "{whole} {wide}");
}

#[test]
fn only_who_asks_for_an_activation_gets_one_remembered_or_not() {
    let image = json!({"base64": base64(&photo("tent.jpg"))});
    let ask = |activation: bool| {
        let request = json!({"images": [image], "activation": activation});
        post_json("/v1/predict-category", &request).1
    };
    for _ in 0..2 {
        assert!(ask(false).get("activation").is_none());
        assert_eq!(ask(true)["activation"].as_array().unwrap().len(), 1);
    }
    let (_, text) = post_json("/v1/predict-category", &json!({"title": "Tent", "activation": true}));
    assert!(text.get("activation").is_none());
}

#[test]
fn a_form_asks_for_an_activation_in_a_word() {
    let form = |activation: &'static str| {
        let photo = Part::bytes(photo("tent.jpg")).file_name("tent.jpg");
        let form = Form::new().text("activation", activation).part("image", photo);
        answer(client().post(url("/v1/predict-category")).multipart(form))
    };
    assert!(form("true").1["activation"].is_array());
    let (status, refused) = form("perhaps");
    assert_eq!((status, refused["field"].as_str()), (422, Some("activation")));
}

#[test]
fn a_photo_of_something_else_than_the_text_says_stays_cool() {
    let hottest = |title: &str| {
        let image = json!({"base64": base64(&photo("bicycle.jpg"))});
        let request = json!({"title": title, "images": [image], "activation": true});
        let (_, body) = post_json("/v1/predict-category", &request);
        let values = body["activation"][0]["values"].as_array().unwrap().clone();
        values.iter().map(|value| value.as_f64().unwrap()).fold(0.0, f64::max)
    };
    assert!(hottest("Road bike") > 0.9);
    assert!(hottest("Two seater sofa, grey fabric") < 0.3);
}
