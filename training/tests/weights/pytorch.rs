use std::fs;
use std::path::Path;

use marketrank_train::weights::{StateDict, WeightsError, read};

use crate::{fixture, state_dict, tensor};

/// What `fixtures/make.py` put into both files of views.
fn views() -> StateDict {
    state_dict([
        ("dense", tensor(&[2, 3], &[0., 1., 2., 3., 4., 5.])),
        ("transposed", tensor(&[2, 3], &[0., 2., 4., 1., 3., 5.])),
        ("channels_last", tensor(&[2, 2, 1, 2], &[0., 2., 1., 3., 4., 6., 5., 7.])),
        ("offset", tensor(&[2, 2], &[6., 7., 8., 9.])),
        ("half", tensor(&[2], &[1.5, -2.0])),
        ("brain", tensor(&[2], &[1.5, -2.0])),
        ("double", tensor(&[2], &[0.1, -2.5])),
    ])
}

/// Every length a file can be cut to, short of its own.
fn assert_refused_at_every_length(original: &Path) {
    let bytes = fs::read(original).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.pth");
    for length in 0..bytes.len() {
        fs::write(&cut, &bytes[..length]).unwrap();
        assert!(read(&cut).is_err(), "{length} of {} bytes were taken for whole", bytes.len());
    }
}

#[test]
fn views_in_a_zip_archive_are_laid_out_in_c_order() {
    assert_eq!(read(&fixture("views_zip.pth")).unwrap(), views());
}

#[test]
fn views_in_the_old_format_are_laid_out_in_c_order() {
    assert_eq!(read(&fixture("views_legacy.pth")).unwrap(), views());
}

#[test]
fn a_zip_archive_cut_short_is_refused() {
    assert_refused_at_every_length(&fixture("views_zip.pth"));
}

#[test]
fn an_old_file_cut_short_is_refused() {
    assert_refused_at_every_length(&fixture("views_legacy.pth"));
}

#[test]
fn a_command_among_the_weights_is_refused_by_name_and_not_run() {
    let refusal = read(&fixture("command.pth")).unwrap_err();

    assert!(
        matches!(&refusal, WeightsError::ForeignObject { object, .. } if object == "posix.system"),
        "{refusal}"
    );
    assert!(!Path::new("the-pickle-was-run").exists());
}

#[test]
fn a_command_in_place_of_the_weights_is_refused_by_name_and_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pth");
    let trace = folder.path().join("the-pickle-was-run");
    fs::write(&path, format!("cposix\nsystem\n(Vtouch {}\ntR.", trace.display())).unwrap();

    let refusal = read(&path).unwrap_err();

    assert!(
        matches!(&refusal, WeightsError::ForeignObject { object, .. } if object == "posix.system"),
        "{refusal}"
    );
    assert!(!trace.exists());
}

#[test]
fn a_view_that_repeats_one_value_for_gigabytes_is_refused() {
    let refusal = read(&fixture("endless_view.pth")).unwrap_err();

    assert!(matches!(refusal, WeightsError::Oversized { tensor_bytes: 0x1_0000_0000, .. }), "{refusal}");
}

#[test]
fn a_view_past_the_end_of_its_storage_is_refused() {
    let refusal = read(&fixture("past_the_end.pth")).unwrap_err();

    assert!(matches!(refusal, WeightsError::Pytorch { .. }), "{refusal}");
}
