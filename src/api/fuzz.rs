//! The API's readers of what clients send, for [`crate::fuzz`].

use axum::{
    body::Body,
    extract::{FromRequest, Multipart, Request},
    http::header,
};
use tokio::runtime::Builder;

use super::{
    body::parse_json,
    listing::ProductInput,
    older, predict,
    products::{Line, Lines},
    rank::RankBody,
    v2,
};

/// The body of a ranking request.
pub fn rank_request(bytes: &[u8]) {
    let _ = parse_json::<RankBody>(bytes);
}

/// NDJSON, line by line, each a product.
pub fn ndjson(bytes: &[u8]) {
    let body = Body::from(bytes.to_vec());
    wait_for(async {
        let mut lines = Lines::of(body, None);
        loop {
            match lines.next().await {
                Line::Whole(line) => drop(parse_json::<ProductInput>(&line)),
                Line::TooLong => {}
                Line::Broken(_) | Line::End => return,
            }
        }
    });
}

/// A form with the boundary `b`, read by both routes that take one.
pub fn multipart(bytes: &[u8]) {
    let request = || {
        Request::post("/")
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=b")
            .body(Body::from(bytes.to_vec()))
            .unwrap_or_default()
    };
    wait_for(async {
        if let Ok(mut form) = Multipart::from_request(request(), &()).await {
            let _ = predict::read_fields(&mut form).await;
        }
        if let Ok(mut form) = Multipart::from_request(request(), &()).await {
            let _ = older::read_fields(&mut form).await;
        }
    });
}

/// Two bytes that say how long the JSON is, the JSON, and tensors behind it.
pub fn tensors(bytes: &[u8]) {
    if let Some((length, body)) = bytes.split_first_chunk::<2>() {
        v2::read_tensors(body, usize::from(u16::from_be_bytes(*length)));
    }
}

fn wait_for(future: impl Future<Output = ()>) {
    if let Ok(runtime) = Builder::new_current_thread().build() {
        runtime.block_on(future);
    }
}
