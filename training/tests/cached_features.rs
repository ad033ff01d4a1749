//! Features of photos that the cache keeps.

#[path = "made_up/onnxruntime.rs"]
mod onnxruntime;
#[path = "made_up/photo_network.rs"]
mod photo_network;
#[path = "made_up/weights_flags.rs"]
mod weights_flags;

use std::{fs, path::Path};

use image::{Rgb, RgbImage};
use marketrank::inference::{Device, Runtime};
use marketrank_train::learn::{IMAGE_INPUT, feature_store::FeatureStore, views::View};

use onnxruntime::library;
use photo_network::write_photo_network;
use weights_flags::weights_from;

#[test]
fn another_photo_under_the_name_of_one_that_was_seen_is_seen_anew() {
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("photo.safetensors");
    write_photo_network(&weights);
    let network = weights_from("--image-weights", &weights).photo_network().unwrap();
    let runtime = Runtime::load(Path::new(&library()), Device::Cpu).expect("run `make setup`");
    let cache = folder.path().join("features");
    let store = FeatureStore::new(&runtime, cache.clone());
    let photo = folder.path().join("1.png");
    let seen = |colour| {
        RgbImage::from_pixel(32, 32, Rgb(colour)).save(&photo).unwrap();
        store.photos(&network, IMAGE_INPUT, std::slice::from_ref(&photo), View::Plain).unwrap()
    };
    let kept = || {
        let names =
            fs::read_dir(&cache).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("photos-")).count()
    };

    let red = seen([200, 40, 40]);
    let again = seen([200, 40, 40]);
    assert_eq!((red.row(0), kept()), (again.row(0), 1));
    let blue = seen([40, 40, 200]);
    assert_ne!(red.row(0), blue.row(0));
    assert_eq!(kept(), 2);
}
