//! Every network against numbers that independent implementations gave (the `.json` files here).

mod bert;
mod closeness;
mod efficientnet;
mod made_up;
mod resnet50;
#[path = "../made_up/weights_flags.rs"]
mod weights_flags;

use std::path::{Path, PathBuf};

use marketrank_train::weights::{self, StateDict};
use serde::de::DeserializeOwned;

/// The recorded outputs of one network.
fn reference<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A file that `make weights` brings.
fn published(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/weights").join(name);
    assert!(path.exists(), "{} is not there: run `make weights`", path.display());
    path
}

fn published_weights(name: &str) -> StateDict {
    weights::read(&published(name)).unwrap()
}
