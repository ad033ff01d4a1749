use std::collections::BTreeMap;
use std::fs;

use marketrank_train::weights::{WeightsError, read, write_safetensors};
use safetensors::tensor::{Dtype, TensorView, serialize};

use crate::{state_dict, tensor};

/// A file of one tensor, written by the reference implementation.
fn file_of(folder: &tempfile::TempDir, kind: Dtype, shape: &[usize], bytes: &[u8]) -> std::path::PathBuf {
    let view = TensorView::new(kind, shape.to_vec(), bytes).unwrap();
    let counter = TensorView::new(Dtype::I64, vec![1], &[0; 8]).unwrap();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, serialize([("weight", view), ("position_ids", counter)], None).unwrap()).unwrap();
    path
}

#[test]
fn half_precision_is_widened() {
    let folder = tempfile::tempdir().unwrap();
    let path = file_of(&folder, Dtype::F16, &[2], &[0x00, 0x3e, 0x00, 0xc0]);

    assert_eq!(read(&path).unwrap(), state_dict([("weight", tensor(&[2], &[1.5, -2.0]))]));
}

#[test]
fn bfloat16_is_widened() {
    let folder = tempfile::tempdir().unwrap();
    let path = file_of(&folder, Dtype::BF16, &[2], &[0xc0, 0x3f, 0x00, 0xc0]);

    assert_eq!(read(&path).unwrap(), state_dict([("weight", tensor(&[2], &[1.5, -2.0]))]));
}

#[test]
fn double_precision_is_rounded() {
    let folder = tempfile::tempdir().unwrap();
    let path = file_of(&folder, Dtype::F64, &[1], &0.1_f64.to_le_bytes());

    assert_eq!(read(&path).unwrap(), state_dict([("weight", tensor(&[1], &[0.1]))]));
}

#[test]
fn an_encoding_that_is_not_read_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = file_of(&folder, Dtype::F8_E4M3, &[2], &[0, 0]);

    let refusal = read(&path).unwrap_err().to_string();

    assert!(refusal.contains("weight") && refusal.contains("F8_E4M3"), "{refusal}");
}

#[test]
fn what_is_written_is_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trained.safetensors");
    let weights = state_dict([
        ("scalar", tensor(&[], &[f32::MIN_POSITIVE])),
        ("matrix", tensor(&[2, 3], &[0.1, -0.2, 0.3, f32::MAX, -0.0, 1e-40])),
        ("nothing", tensor(&[0, 4], &[])),
    ]);

    write_safetensors(&path, &weights, &BTreeMap::new()).unwrap();

    assert_eq!(read(&path).unwrap(), weights);
}

#[test]
fn the_reference_implementation_reads_the_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trained.safetensors");
    let metadata =
        BTreeMap::from([("seed".to_owned(), "7".to_owned()), ("epoch".to_owned(), "3".to_owned())]);

    write_safetensors(&path, &state_dict([("weight", tensor(&[1], &[1.0]))]), &metadata).unwrap();

    let bytes = fs::read(&path).unwrap();
    let (header_length, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header.metadata().clone().unwrap().into_iter().collect::<BTreeMap<_, _>>(), metadata);
    assert_eq!(header_length % 8, 0);
}

#[test]
fn writing_over_a_file_leaves_only_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trained.safetensors");
    let newer = state_dict([("weight", tensor(&[1], &[2.0]))]);

    write_safetensors(&path, &state_dict([("weight", tensor(&[1], &[1.0]))]), &BTreeMap::new()).unwrap();
    write_safetensors(&path, &newer, &BTreeMap::new()).unwrap();

    assert_eq!(read(&path).unwrap(), newer);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_truncated_file_is_refused_at_every_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trained.safetensors");
    write_safetensors(&path, &state_dict([("weight", tensor(&[2], &[1.0, 2.0]))]), &BTreeMap::new()).unwrap();
    let bytes = fs::read(&path).unwrap();

    for length in 0..bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        assert!(read(&path).is_err(), "{length} of {} bytes were taken for whole", bytes.len());
    }
}

#[test]
fn a_header_that_claims_more_than_the_file_holds_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let header = r#"{"weight":{"dtype":"F32","shape":[4000000000,1000],"data_offsets":[0,16000000000000]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    fs::write(&path, bytes).unwrap();

    let refusal = read(&path).unwrap_err();

    assert!(matches!(refusal, WeightsError::Safetensors { .. }), "{refusal}");
}
