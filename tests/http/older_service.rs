//! The older service's routes, asked as its clients ask: the requests below are what Python's `requests` and curl put on
//! the wire, byte for byte but for the photo.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::{Map, Value, json};

use crate::server::{address, base64, photo, post_json};

/// Sends bytes as they are and gives status and JSON of the answer.
fn send(head: &str, body: &[u8]) -> (u16, Value) {
    let mut stream = TcpStream::connect(address()).unwrap();
    let head = head.replace('\n', "\r\n").replace("{length}", &body.len().to_string());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}")))
}

/// `requests.post(url, files={"image": open("sofa.jpg", "rb")}, data=...)`
fn requests_multipart(route: &str, text: Option<&str>, image: Option<&[u8]>) -> (u16, Value) {
    const BOUNDARY: &str = "2a8ae6ad8f1ab3a1c1b2cdeeb2a1a9e4";
    let mut body = Vec::new();
    if let Some(text) = text {
        let part = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\n{text}\r\n");
        body.extend(part.as_bytes());
    }
    if let Some(image) = image {
        let disposition = "Content-Disposition: form-data; name=\"image\"; filename=\"sofa.jpg\"";
        body.extend(format!("--{BOUNDARY}\r\n{disposition}\r\n\r\n").as_bytes());
        body.extend(image);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").as_bytes());
    let head = format!(
        "POST {route} HTTP/1.1\nHost: localhost:8080\nUser-Agent: python-requests/2.28.1\n\
         Accept-Encoding: gzip, deflate\nAccept: */*\nConnection: close\nContent-Length: {{length}}\n\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\n\n"
    );
    send(&head, &body)
}

/// The answer has the older service's two fields and no other, and says what `/v1/predict-category` says.
fn check(answer: &Value, today: &Value) {
    let fields: Vec<&String> = answer.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["Category", "Probabilities"]);
    let (status, today) = post_json("/v1/predict-category", today);
    assert_eq!(status, 200, "{today}");
    assert_eq!(answer["Category"], today["category"]);
    let expected: Map<String, Value> = today["predictions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["category"].as_str().unwrap().to_owned(), entry["probability"].clone()))
        .collect();
    let probabilities = answer["Probabilities"].as_object().unwrap();
    assert_eq!(probabilities.len(), expected.len());
    for (category, probability) in probabilities {
        // In another batch the last digits are others.
        let difference = probability.as_f64().unwrap() - expected[category].as_f64().unwrap();
        assert!(difference.abs() < 1e-4, "{category}: {answer}");
    }
    let total: f64 = probabilities.values().map(|p| p.as_f64().unwrap()).sum();
    assert!((total - 1.0).abs() < 1e-4, "{total}");
}

#[test]
fn a_photo_gets_its_category_and_the_probability_of_each() {
    let image = photo("sofa.jpg");
    let (status, answer) = requests_multipart("/predict/image", None, Some(&image));
    assert_eq!(status, 200, "{answer}");
    check(&answer, &json!({"images": [{"base64": base64(&image)}], "top_k": 100}));
}

#[test]
fn a_text_is_taken_from_a_multipart_form() {
    let (status, answer) = requests_multipart("/predict/text", Some("Adidas trainers size 9"), None);
    assert_eq!(status, 200, "{answer}");
    check(&answer, &json!({"title": "Adidas trainers size 9", "top_k": 100}));
}

#[test]
fn a_text_is_taken_from_a_url_encoded_form_as_curl_sends_it() {
    let body = b"text=Road+bike%2C+56+cm+frame";
    let head = "POST /predict/text HTTP/1.1\nHost: localhost:8080\nUser-Agent: curl/7.88.1\nAccept: */*\n\
                Connection: close\nContent-Length: {length}\nContent-Type: application/x-www-form-urlencoded\n\n";
    let (status, answer) = send(head, body);
    assert_eq!(status, 200, "{answer}");
    check(&answer, &json!({"title": "Road bike, 56 cm frame", "top_k": 100}));
}

#[test]
fn text_and_photo_together_are_answered_by_the_combined_model() {
    let image = photo("sofa.jpg");
    let (status, answer) = requests_multipart("/predict/combined", Some("Three seater sofa"), Some(&image));
    assert_eq!(status, 200, "{answer}");
    let today = json!({"title": "Three seater sofa", "images": [{"base64": base64(&image)}], "top_k": 100});
    check(&answer, &today);
}

#[test]
fn probabilities_come_in_falling_order() {
    // A parsed object has lost its order, so the text is looked at.
    let mut stream = TcpStream::connect(address()).unwrap();
    let request = "POST /predict/text HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 11\r\n\
                   content-type: application/x-www-form-urlencoded\r\n\r\ntext=Guitar";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, probabilities) = answer.split_once("\"Probabilities\":{").unwrap();
    let values: Vec<f64> = probabilities
        .split(['}', ','])
        .filter_map(|entry| entry.rsplit_once(':').and_then(|(_, value)| value.parse().ok()))
        .collect();
    assert_eq!(values.len(), 13, "{answer}");
    assert!(values.windows(2).all(|pair| pair[0] >= pair[1]), "{values:?}");
}

#[test]
fn a_missing_field_is_named() {
    for (route, text, image, missing) in [
        ("/predict/image", None, None, "image"),
        ("/predict/text", None, None, "text"),
        ("/predict/combined", Some("Sofa"), None, "image"),
        ("/predict/combined", None, Some(b"photo".as_slice()), "text"),
        ("/predict/image", Some("Sofa"), Some(b"photo"), "text"),
        ("/predict/text", Some("Sofa"), Some(b"photo"), "image"),
        ("/predict/text", Some("  "), None, "text"),
    ] {
        let (status, problem) = requests_multipart(route, text, image);
        assert_eq!((status, &problem["field"]), (422, &json!(missing)), "{route}: {problem}");
    }
}

#[test]
fn a_file_that_is_no_photo_is_refused() {
    let (status, problem) = requests_multipart("/predict/image", None, Some(b"no photo at all"));
    assert_eq!((status, &problem["field"]), (415, &json!("image")));
}
