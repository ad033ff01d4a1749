//! Models that do not say where in a photo they look: `activation` is an output that a model may have.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::program::{Server, change_manifest, client, linked_models, replace, repository, variants};

/// The output's name in an ONNX file: its length, then its letters. The other is as long, so the file stays one.
const MAPS: &[u8] = b"\x0aactivation";
const NAMELESS: &[u8] = b"\x0aleft_alone";

/// Takes the output `activation` from the file that a model is served from.
fn take_maps(models: &Path, model: &str) {
    let file = format!("{model}.int8.onnx");
    let mut onnx = std::fs::read(models.join(&file)).unwrap();
    let named = (0..onnx.len()).filter(|&at| onnx[at..].starts_with(MAPS)).collect::<Vec<_>>();
    assert_eq!(named.len(), 2, "{file}: where it is made, and where it is listed");
    for at in named {
        onnx[at..at + MAPS.len()].copy_from_slice(NAMELESS);
    }
    change_manifest(models, |manifest| {
        let variant = variants(manifest, model).iter_mut().find(|variant| variant["file"] == file.as_str());
        variant.unwrap()["sha256"] = json!(format!("{:x}", Sha256::digest(&onnx)));
    });
    replace(models, &file, &onnx);
}

#[test]
fn models_without_maps_predict_the_same_and_say_nothing_of_where() {
    let sofa = STANDARD.encode(std::fs::read(repository("sample/photos/sofa.jpg")).unwrap());
    let photo = json!({"images": [{"base64": sofa}], "activation": true});
    let both = json!({"title": "Sofa", "images": [{"base64": sofa}], "activation": true});
    let with_maps = linked_models();
    let without = linked_models();
    take_maps(without.path(), "image");
    take_maps(without.path(), "combined");
    let answers = |models: &Path| {
        let data = TempDir::new().unwrap();
        let server = Server::start_over(models, data.path(), &["--precision", "int8"]);
        let client = client();
        let predict = |listing: &Value| {
            let url = format!("http://{}/v1/predict-category", server.address);
            let response = client.post(url).json(listing).send().unwrap();
            assert_eq!(response.status(), 200);
            response.json::<Value>().unwrap()
        };
        let outputs = |model: &str| {
            let url = format!("http://{}/v2/models/{model}", server.address);
            client.get(url).send().unwrap().json::<Value>().unwrap()["outputs"].to_string()
        };
        ([predict(&photo), predict(&both)], ["image", "combined"].map(outputs))
    };
    let (mut seeing, listed) = answers(with_maps.path());
    let (blind, unlisted) = answers(without.path());
    for answer in &mut seeing {
        assert!(answer.as_object_mut().unwrap().remove("activation").unwrap()[0]["values"].is_array());
    }
    assert_eq!(seeing, blind);
    assert!(listed.iter().all(|outputs| outputs.contains("activation")));
    assert!(!unlisted.iter().any(|outputs| outputs.contains("activation")));
}
