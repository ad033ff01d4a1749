//! What keeps the server from starting: each is said clearly, with exit status 2.

use std::{net::TcpListener, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Server, change_manifest, linked_models, marketrank, replace, repository, stderr};

#[test]
fn a_missing_model_file_is_named() {
    let (models, data) = (linked_models(), TempDir::new().unwrap());
    std::fs::remove_file(models.path().join("image.onnx")).unwrap();
    let output = marketrank("serve", models.path(), data.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("image.onnx"), "{}", stderr(&output));
}

#[test]
fn an_altered_model_file_is_named() {
    let (models, data) = (linked_models(), TempDir::new().unwrap());
    let mut bytes = std::fs::read(repository("models/image.onnx")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    replace(models.path(), "image.onnx", &bytes);
    let output = marketrank("serve", models.path(), data.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    assert!(message.contains("image.onnx was altered"), "{message}");
}

#[test]
fn a_model_of_another_shape_than_the_manifest_says_is_named() {
    let (models, data) = (linked_models(), TempDir::new().unwrap());
    let mut manifest: Value =
        serde_json::from_slice(&std::fs::read(repository("models/manifest.json")).unwrap()).unwrap();
    let width = manifest["embedding_width"].as_u64().unwrap();
    manifest["embedding_width"] = json!(width + 1);
    replace(models.path(), "manifest.json", &serde_json::to_vec(&manifest).unwrap());
    let output = marketrank("serve", models.path(), data.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    assert!(message.contains("\"embedding\"") && message.contains(&(width + 1).to_string()), "{message}");
}

/// The manifest without the int8 models that it may have.
fn floats_only() -> Value {
    let mut manifest: Value =
        serde_json::from_slice(&std::fs::read(repository("models/manifest.json")).unwrap()).unwrap();
    for model in ["image", "text", "combined"] {
        manifest["models"][model]["variants"]
            .as_array_mut()
            .unwrap()
            .retain(|variant| variant["precision"] != "int8");
    }
    manifest
}

#[test]
fn a_precision_that_the_models_do_not_come_in_is_named() {
    let (models, data) = (linked_models(), TempDir::new().unwrap());
    replace(models.path(), "manifest.json", &serde_json::to_vec(&floats_only()).unwrap());
    let output =
        marketrank("check", models.path(), data.path()).args(["--precision", "int8"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    assert!(message.contains("--precision int8 was demanded") && message.contains("float16"), "{message}");
}

#[test]
fn check_says_which_precision_auto_takes() {
    let (models, data) = (linked_models(), TempDir::new().unwrap());
    replace(models.path(), "manifest.json", &serde_json::to_vec(&floats_only()).unwrap());
    let output = marketrank("check", models.path(), &data.path().join("new")).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("image      float16 from image.onnx"), "{said}");
}

#[test]
fn a_manifest_that_is_no_manifest_is_named() {
    let (models, data) = (linked_models(), TempDir::new().unwrap());
    replace(models.path(), "manifest.json", b"{\"format\": 2}");
    let output = marketrank("serve", models.path(), data.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("manifest.json is no manifest"), "{}", stderr(&output));
}

#[test]
fn a_manifest_of_photos_or_texts_of_no_size_or_an_absurd_one_is_refused() {
    for (input, field, value) in
        [("image", "height", 0), ("image", "width", 50_000), ("text", "max_tokens", 0)]
    {
        let (models, data) = (linked_models(), TempDir::new().unwrap());
        change_manifest(models.path(), |manifest| {
            for model in [input, "combined"] {
                manifest["models"][model][input][field] = value.into();
            }
        });
        let output = marketrank("serve", models.path(), data.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(&format!("{value} ")), "{field}: {}", stderr(&output));
        assert!(stderr(&output).contains("can be made"), "{field}: {}", stderr(&output));
    }
}

#[test]
fn a_catalogue_of_another_embedding_width_is_refused_and_left_alone() {
    let data = TempDir::new().unwrap();
    let folder = data.path().join("catalogue");
    drop(marketrank::catalogue::embedded::EmbeddedCatalogue::open(&folder, 7, "another").unwrap());
    let output = marketrank("serve", &repository("models"), &folder).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains('7'), "{}", stderr(&output));
    marketrank::catalogue::embedded::EmbeddedCatalogue::open(&folder, 7, "another").unwrap();
}

#[test]
fn a_catalogue_that_another_process_serves_is_refused_and_goes_on_being_served() {
    let data = TempDir::new().unwrap();
    let first = Server::start(data.path());
    let output = marketrank("serve", &repository("models"), data.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("in use by another marketrank process"), "{}", stderr(&output));
    let ready = reqwest::blocking::get(format!("http://{}/health/ready", first.address)).unwrap();
    assert!(ready.status().is_success());
}

#[test]
fn a_busy_port_is_named() {
    let data = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut serve = marketrank("serve", &repository("models"), data.path());
    let output = serve.args(["--listen", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains(&address), "{}", stderr(&output));
}

#[test]
fn a_missing_library_says_how_to_get_it() {
    let data = TempDir::new().unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_marketrank"));
    check
        .args(["check", "--onnxruntime", "/nowhere/libonnxruntime.so", "--models"])
        .arg(repository("models"));
    let output = check.arg("--data-dir").arg(data.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    assert!(message.contains("/nowhere/libonnxruntime.so") && message.contains("make setup"), "{message}");
}

#[test]
fn cuda_is_demanded_where_there_is_none() {
    let data = TempDir::new().unwrap();
    let output = marketrank("check", &repository("models"), data.path()).args(["--device", "cuda"]).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--device cuda was demanded"), "{}", stderr(&output));
}

#[test]
fn without_cuda_auto_falls_back_to_the_cpu_and_says_why() {
    let data = TempDir::new().unwrap();
    let output = marketrank("check", &repository("models"), &data.path().join("new")).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("no CUDA device"), "{}", stderr(&output));
}
