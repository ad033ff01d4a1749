//! `/v2`: the Open Inference Protocol, straight to the tensors.

use marketrank::{inference::Model, preprocess::Tokens};
use serde_json::{Value, json};

use crate::server::{answer, base64, client, get, models, photo, post_json, url};

fn tensor(name: &str, datatype: &str, shape: Value, data: Value) -> Value {
    json!({"name": name, "datatype": datatype, "shape": shape, "data": data})
}

fn tokens(text: &str) -> Tokens {
    models().text_encoder().encode(text, "").unwrap()
}

/// `input_ids` and `attention_mask` of texts, padded to the longest.
fn text_inputs(texts: &[&str]) -> Vec<Value> {
    let rows: Vec<Vec<i64>> = texts.iter().map(|text| tokens(text).ids().to_vec()).collect();
    let longest = rows.iter().map(Vec::len).max().unwrap();
    let padded = |row: &Vec<i64>| [row.clone(), vec![0; longest - row.len()]].concat();
    let mask = |row: &Vec<i64>| [vec![1; row.len()], vec![0; longest - row.len()]].concat();
    let shape = json!([rows.len(), longest]);
    vec![
        tensor("input_ids", "INT64", shape.clone(), json!(rows.iter().map(padded).collect::<Vec<_>>())),
        tensor("attention_mask", "INT64", shape, json!(rows.iter().map(mask).collect::<Vec<_>>())),
    ]
}

/// A sample photo as a PNG: of a JPEG the server decodes no more than it needs, so its pixels are not quite these.
fn png(name: &str) -> Vec<u8> {
    let mut png = std::io::Cursor::new(Vec::new());
    image::load_from_memory(&photo(name)).unwrap().write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
}

/// The `image` tensor of a sample photo, as the server would make it, and its side lengths.
fn pixels(name: &str) -> (Vec<u8>, [u32; 2]) {
    let decoded = image::load_from_memory(&png(name)).unwrap().to_rgb8();
    let input = models().manifest().models.image.image.unwrap();
    (models().letterbox().apply(&decoded).as_bytes().to_vec(), [input.height, input.width])
}

fn infer(model: &str, body: &Value) -> (u16, Value) {
    post_json(&format!("/v2/models/{model}/infer"), body)
}

fn floats(output: &Value) -> Vec<f32> {
    output["data"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect()
}

/// The category probabilities that the manifest says these logits mean.
fn probabilities(model: Model, logits: &[f32]) -> Vec<(String, f32)> {
    let temperature = models().variant(model).temperature;
    let powers: Vec<f32> = logits.iter().map(|logit| (logit / temperature).exp()).collect();
    let total: f32 = powers.iter().sum();
    models().manifest().categories.iter().cloned().zip(powers.iter().map(|power| power / total)).collect()
}

/// Checks that logits mean what `/v1/predict-category` answers to the same listing.
fn check_logits(model: Model, logits: &[f32], listing: &Value) {
    let (status, predicted) = post_json("/v1/predict-category", listing);
    assert_eq!(status, 200, "{predicted}");
    for (category, probability) in probabilities(model, logits) {
        let entries = predicted["predictions"].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["category"] == category.as_str()).unwrap();
        let expected = entry["probability"].as_f64().unwrap() as f32;
        assert!((probability - expected).abs() < 5e-3, "{category}: {probability}, expected {expected}");
    }
}

#[test]
fn texts_of_different_lengths_are_answered_as_the_listings_they_are() {
    let texts = ["Nike football boots size 8", "Sofa"];
    let (status, body) = infer("text", &json!({"id": "mine-7", "inputs": text_inputs(&texts)}));
    assert_eq!(status, 200, "{body}");
    assert_eq!((&body["model_name"], &body["id"]), (&json!("text"), &json!("mine-7")));
    assert_eq!(body["model_version"], models().manifest().version);
    let outputs = body["outputs"].as_array().unwrap();
    let names: Vec<&str> = outputs.iter().map(|output| output["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["logits", "subcategory_logits", "embedding", "log_price"]);
    let categories = models().manifest().categories.len();
    assert_eq!(outputs[0]["shape"], json!([2, categories]));
    assert_eq!(outputs[3]["shape"], json!([2, 3]));
    for (row, text) in floats(&outputs[0]).chunks(categories).zip(texts) {
        check_logits(Model::Text, row, &json!({"title": text, "top_k": 100}));
    }
}

#[test]
fn a_photo_and_a_text_reach_the_combined_model() {
    let (pixels, [height, width]) = pixels("sofa.jpg");
    let mut inputs = text_inputs(&["Three seater sofa"]);
    inputs.push(tensor("image", "UINT8", json!([1, height, width, 3]), json!(pixels)));
    let (status, body) = infer("combined", &json!({"inputs": inputs, "outputs": [{"name": "logits"}]}));
    assert_eq!(status, 200, "{body}");
    let listing =
        json!({"title": "Three seater sofa", "images": [{"base64": base64(&png("sofa.jpg"))}], "top_k": 100});
    check_logits(Model::Combined, &floats(&body["outputs"][0]), &listing);
    assert_eq!(body["outputs"].as_array().unwrap().len(), 1);
}

/// Sends JSON with bytes behind it, as `tritonclient` does, and gives the JSON and the bytes of the answer.
fn infer_binary(model: &str, json: &Value, bytes: &[u8], json_length: usize) -> (u16, Value, Vec<u8>) {
    let body = [json.to_string().as_bytes(), bytes].concat();
    let response = client()
        .post(url(&format!("/v2/models/{model}/infer")))
        .header("Inference-Header-Content-Length", json_length)
        .body(body)
        .send()
        .unwrap();
    let status = response.status().as_u16();
    let length =
        response.headers().get("inference-header-content-length").map(|value| value.to_str().unwrap());
    let length: Option<usize> = length.map(|value| value.parse().unwrap());
    let body = response.bytes().unwrap();
    let (json, rest) = body.split_at(length.unwrap_or(body.len()));
    (status, serde_json::from_slice(json).unwrap(), rest.to_vec())
}

fn binary_image(pixels: &[u8], [height, width]: [u32; 2]) -> Value {
    json!({"name": "image", "datatype": "UINT8", "shape": [1, height, width, 3],
        "parameters": {"binary_data_size": pixels.len()}})
}

#[test]
fn a_photo_as_bytes_is_answered_in_bytes() {
    let (pixels, size) = pixels("bicycle.jpg");
    let request = json!({"inputs": [binary_image(&pixels, size)], "outputs": [
        {"name": "embedding", "parameters": {"binary_data": true}},
        {"name": "logits", "parameters": {"binary_data": true}},
        {"name": "subcategory_logits", "parameters": {"binary_data": false}}
    ]});
    let (status, body, bytes) = infer_binary("image", &request, &pixels, request.to_string().len());
    assert_eq!(status, 200, "{body}");
    let outputs = body["outputs"].as_array().unwrap();
    assert!(outputs[0].get("data").is_none() && outputs[2]["data"].is_array());
    let width = models().manifest().embedding_width;
    assert_eq!(outputs[0]["parameters"]["binary_data_size"], 4 * width);
    let values: Vec<f32> =
        bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    let (embedding, logits) = values.split_at(width);
    let norm: f32 = embedding.iter().map(|x| x * x).sum();
    assert!((norm - 1.0).abs() < 1e-3, "{norm}");
    let listing = json!({"images": [{"base64": base64(&png("bicycle.jpg"))}], "top_k": 100});
    check_logits(Model::Image, logits, &listing);
}

/// `image`'s activation maps of a sample photo, by category, and its logits.
fn activation(name: &str) -> (Vec<Vec<f32>>, Vec<f32>) {
    let (pixels, [height, width]) = pixels(name);
    let inputs = [tensor("image", "UINT8", json!([1, height, width, 3]), json!(pixels))];
    let asked = json!({"inputs": inputs, "outputs": [{"name": "activation"}, {"name": "logits"}]});
    let (status, body) = infer("image", &asked);
    assert_eq!(status, 200, "{body}");
    let shape: Vec<usize> = serde_json::from_value(body["outputs"][0]["shape"].clone()).unwrap();
    let [1, categories, rows, columns] = shape[..] else { panic!("{shape:?}") };
    assert_eq!(categories, models().manifest().categories.len());
    let values = floats(&body["outputs"][0]);
    (values.chunks(rows * columns).map(<[f32]>::to_vec).collect(), floats(&body["outputs"][1]))
}

/// A category's logit is the mean of its map and a constant of the model, so what differs between photos must be the same.
#[test]
fn maps_over_the_whole_photo_add_up_to_what_differs_between_logits() {
    let (sofa, sofa_logits) = activation("sofa.jpg");
    let (bicycle, bicycle_logits) = activation("bicycle.jpg");
    let mean = |map: &[f32]| map.iter().sum::<f32>() / map.len() as f32;
    for (category, logits) in sofa_logits.iter().zip(&bicycle_logits).enumerate() {
        let by_maps = mean(&sofa[category]) - mean(&bicycle[category]);
        let by_logits = logits.0 - logits.1;
        assert!((by_maps - by_logits).abs() < 0.1, "{category}: {by_maps}, logits {by_logits}");
    }
}

#[test]
fn what_a_model_says_it_gives_comes_where_nothing_is_named() {
    let (_, metadata) = get("/v2/models/image");
    let (pixels, [height, width]) = pixels("sofa.jpg");
    let inputs = [tensor("image", "UINT8", json!([1, height, width, 3]), json!(pixels))];
    let (status, body) = infer("image", &json!({"inputs": inputs}));
    assert_eq!(status, 200, "{body}");
    let described = |tensors: &Value| {
        let name_and_shape =
            |tensor: &Value| (tensor["name"].clone(), tensor["shape"].as_array().unwrap()[1..].to_vec());
        tensors.as_array().unwrap().iter().map(name_and_shape).collect::<Vec<_>>()
    };
    assert_eq!(described(&body["outputs"]), described(&metadata["outputs"]));
    assert_eq!(metadata["outputs"][3]["name"], "activation");
    for output in body["outputs"].as_array().unwrap() {
        let shape: Vec<usize> = serde_json::from_value(output["shape"].clone()).unwrap();
        assert_eq!(floats(output).len(), shape.iter().product::<usize>(), "{}", output["name"]);
    }
}

#[test]
fn bytes_and_json_that_do_not_fit_together_are_refused() {
    let (pixels, size) = pixels("bicycle.jpg");
    let request = json!({"inputs": [binary_image(&pixels, size)]});
    let length = request.to_string().len();
    let status = |bytes: &[u8], length| {
        let (status, problem, _) = infer_binary("image", &request, bytes, length);
        (status, problem["field"].clone())
    };
    assert_eq!(status(&pixels[1..], length), (422, json!("inputs[0].parameters")));
    assert_eq!(status(&[&pixels, [0].as_slice()].concat(), length), (422, json!("inputs")));
    assert_eq!(status(&pixels, length + pixels.len() + 1), (400, Value::Null));
    assert_eq!(status(&pixels, 5), (400, Value::Null));
}

#[test]
fn every_wrong_tensor_is_named() {
    let good = || text_inputs(&["Oak table"]);
    let changed = |index: usize, key: &str, value: Value| {
        let mut inputs = good();
        inputs[index][key] = value;
        inputs
    };
    let length = tokens("Oak table").ids().len();
    let mut hole = vec![1; length];
    hole[0] = 0;
    let longest = models().manifest().models.text.text.unwrap().max_tokens;
    let cases = [
        (vec![], "inputs"),
        (good()[..1].to_vec(), "inputs"),
        ([good(), good()].concat(), "inputs[2].name"),
        (changed(0, "name", json!("tokens")), "inputs[0].name"),
        (changed(0, "datatype", json!("INT32")), "inputs[0].datatype"),
        (changed(0, "shape", json!([2, length])), "inputs[1].shape"),
        (changed(0, "shape", json!([length])), "inputs[0].shape"),
        (changed(0, "shape", json!([1, longest + 1])), "inputs[0].shape"),
        (changed(0, "shape", json!([0, length])), "inputs[0].shape"),
        (changed(1, "shape", json!([length, 1])), "inputs[1].shape"),
        (changed(0, "data", json!(vec![30_522; length])), "inputs[0].data"),
        (changed(0, "data", json!(vec![-1; length])), "inputs[0].data"),
        (changed(0, "data", json!([[1, 2]])), "inputs[0].data"),
        (changed(1, "data", json!(hole)), "inputs[1].data"),
        (changed(1, "data", json!(vec![0; length])), "inputs[1].data"),
        (changed(0, "data", Value::Null), "inputs[0]"),
    ];
    for (inputs, field) in cases {
        let (status, problem) = infer("text", &json!({"inputs": inputs}));
        assert_eq!((status, &problem["field"]), (422, &json!(field)), "{problem}");
        // Where clients of this protocol look.
        assert_eq!(problem["error"], problem["detail"]);
    }
    let asked = json!({"inputs": good(), "outputs": [{"name": "probabilities"}]});
    let (status, problem) = infer("text", &asked);
    assert_eq!((status, &problem["field"]), (422, &json!("outputs[0].name")));
}

#[test]
fn sixty_five_rows_are_too_many() {
    let (status, problem) = infer("text", &json!({"inputs": text_inputs(&["Sofa"; 65])}));
    assert_eq!((status, &problem["field"]), (413, &json!("inputs[0].shape")));
    assert_eq!(infer("text", &json!({"inputs": text_inputs(&["Sofa"; 64])})).0, 200);
}

#[test]
fn a_pixel_beyond_a_byte_is_refused() {
    let (pixels, [height, width]) = pixels("sofa.jpg");
    let mut values: Vec<i32> = pixels.iter().map(|&byte| byte.into()).collect();
    values[1_000] = 256;
    let inputs = [tensor("image", "UINT8", json!([1, height, width, 3]), json!(values))];
    let (status, problem) = infer("image", &json!({"inputs": inputs}));
    assert_eq!((status, &problem["field"]), (422, &json!("inputs[0].data")));
    assert!(problem["detail"].as_str().unwrap().contains("value 1000 is 256"), "{problem}");
}

#[test]
fn server_and_models_describe_themselves() {
    assert_eq!(get("/v2").1["extensions"], json!(["binary_tensor_data"]));
    for route in ["/v2/health/live", "/v2/health/ready", "/v2/models/image/ready"] {
        assert_eq!(get(route).0, 200, "{route}");
    }
    let (status, combined) = get("/v2/models/combined");
    assert_eq!(status, 200);
    let inputs: Vec<&str> =
        combined["inputs"].as_array().unwrap().iter().map(|input| input["name"].as_str().unwrap()).collect();
    assert_eq!(inputs, ["image", "input_ids", "attention_mask"]);
    let (_, [height, width]) = pixels("sofa.jpg");
    assert_eq!(combined["inputs"][0]["shape"], json!([-1, height, width, 3]));
}

#[test]
fn an_unknown_model_is_not_found_and_a_compressed_body_not_taken() {
    for route in ["/v2/models/audio", "/v2/models/audio/ready"] {
        assert_eq!(get(route).0, 404, "{route}");
    }
    let body = json!({"inputs": text_inputs(&["Sofa"])});
    assert_eq!(infer("audio", &body).0, 404);
    let request = client().post(url("/v2/models/text/infer")).header("content-encoding", "gzip").json(&body);
    assert_eq!(answer(request).0, 415);
}
