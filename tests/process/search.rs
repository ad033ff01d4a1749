//! The catalogue of `make run`, asked in a buyer's own words.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{PATIENT, Server, client, import, repository, stderr};

/// What somebody might type, in other words than the listing's, and the listing that is meant. Written before any was asked.
const QUERIES: [(&str, &str); 50] = [
    ("something to sleep in on a mountain", "tent-4-man-orange"),
    ("shelter for camping with the family", "tent-4-man-orange"),
    ("keeps milk cold", "fridge-freezer-silver-6040"),
    ("make toast for breakfast", "toaster-red-two-slice"),
    ("dry wet clothes indoors", "tumble-dryer-heat-pump"),
    ("machine to clean dirty plates", "slimline-dishwasher"),
    ("make cappuccino at home", "coffee-machine-pump"),
    ("pushchair for a newborn", "pram-navy-carrycot"),
    ("soft toy for a child", "teddy-bear-large"),
    ("place for a baby to sleep", "cot-bed-white"),
    ("baby seat for travelling in the car", "car-seat-group-0"),
    ("newborn outfits", "baby-clothes-bundle-0-3"),
    ("running sneakers", "trainers-teal-size-9"),
    ("summer frock", "dress-floral-midi-12"),
    ("wristwatch for a man", "watch-leather-strap"),
    ("waterproof country coat", "wax-jacket-medium"),
    ("notebook computer", "laptop-14-i5-16gb"),
    ("screen for my computer", "monitor-27-qhd"),
    ("print documents at home", "laser-printer-mono"),
    ("backup storage for files", "external-hard-drive-2tb"),
    ("make holes in a wall", "cordless-drill-18v"),
    ("cut the grass", "petrol-lawnmower-16in"),
    ("reach the roof", "ladder-double-extension"),
    ("bathroom sink", "bathroom-basin-pedestal"),
    ("couch for two people", "sofa-green-two-seater"),
    ("somewhere to hang clothes", "wardrobe-oak-double"),
    ("reading light", "table-lamp-blue-ceramic"),
    ("window drapes", "velvet-curtains-navy"),
    ("books to read on holiday", "paperback-novels-five"),
    ("records for a turntable", "vinyl-lp-indie-collection"),
    ("learn to play music with strings", "acoustic-guitar-dreadnought"),
    ("stand up while working", "standing-desk-electric"),
    ("comfortable seat for work", "office-chair-mesh"),
    ("store paper documents", "filing-cabinet-4-drawer"),
    ("aquarium", "fish-tank-120l"),
    ("stitch my own clothes", "sewing-machine-32-stitch"),
    ("take pictures on film", "film-camera-35mm"),
    ("apple phone", "iphone-12-64gb-blue"),
    ("headphones for listening to music", "wireless-earbuds-white"),
    ("cycling to work", "road-bike-red-54cm"),
    ("lift weights at home", "dumbbells-10kg-pair"),
    ("luggage for a holiday", "suitcase-large-hard-shell"),
    ("catch fish", "fishing-rod-carp-set"),
    ("microsoft console", "xbox-series-s"),
    ("playstation", "ps4-slim-500gb"),
    ("puppy basket", "dog-bed-grey-medium"),
    ("sore muscles", "massage-gun-deep-tissue"),
    ("help for someone who cannot walk", "wheelchair-folding"),
    ("shave facial hair", "beard-trimmer-kit"),
    ("fragrance for women", "perfume-100ml-nearly-full"),
];
/// The models of November 2026 manage 41, those before them 42.
const FOUND_AT_LEAST: usize = 38;

#[test]
fn most_of_what_a_buyer_asks_in_other_words_is_among_the_first_three() {
    let data = TempDir::new().unwrap();
    let output = import(&repository("sample/products.csv"), data.path()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let server = Server::start_with(data.path(), &PATIENT);
    let url = format!("http://{}/v1/rank-products", server.address);
    let client = client();
    let is_missed = |&&(query, wanted): &&(&str, &str)| {
        let answer = client.post(&url).json(&json!({"query": {"text": query}, "limit": 3})).send().unwrap();
        assert_eq!(answer.status(), 200);
        let answer: Value = answer.json().unwrap();
        answer["results"].as_array().unwrap().iter().all(|result| result["id"] != wanted)
    };
    let missed: Vec<_> = QUERIES.iter().filter(is_missed).collect();
    assert!(QUERIES.len() - missed.len() >= FOUND_AT_LEAST, "{missed:?}");
}
