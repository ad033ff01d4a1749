//! Weight files, read and written: real files in every format, and files made to do harm.

mod damaged;
mod hub;
mod pytorch;
#[path = "../../../tests/http/random.rs"]
mod random;
mod safetensors;

use std::path::{Path, PathBuf};

use marketrank_train::weights::{HostTensor, StateDict, WeightsError, read};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/weights/fixtures").join(name)
}

fn tensor(shape: &[usize], data: &[f32]) -> HostTensor {
    HostTensor { shape: shape.to_vec(), data: data.to_vec() }
}

fn state_dict<const N: usize>(tensors: [(&str, HostTensor); N]) -> StateDict {
    tensors.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect()
}

#[test]
fn a_file_of_another_format_is_not_taken_for_weights() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n").unwrap();

    let refusal = read(&path).unwrap_err();

    assert!(matches!(refusal, WeightsError::Unrecognised { .. }), "{refusal}");
}

#[test]
fn an_empty_file_is_not_taken_for_weights() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pth");
    std::fs::write(&path, "").unwrap();

    let refusal = read(&path).unwrap_err();

    assert!(matches!(refusal, WeightsError::Unrecognised { .. }), "{refusal}");
}

#[test]
fn a_missing_file_is_named() {
    let refusal = read(Path::new("no/such/model.pth")).unwrap_err();

    assert!(refusal.to_string().contains("no/such/model.pth"), "{refusal}");
}
