//! `marketrank reindex`

use std::{path::Path, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{
    Server, client, import, linked_models, marketrank, new_key, program, replace, repository, stderr,
};

/// The repository's models under another version, so that their embeddings count as others.
fn other_models() -> TempDir {
    let models = linked_models();
    let manifest = std::fs::read(repository("models/manifest.json")).unwrap();
    let mut manifest: Value = serde_json::from_slice(&manifest).unwrap();
    manifest["version"] = "another".into();
    replace(models.path(), "manifest.json", &serde_json::to_vec(&manifest).unwrap());
    models
}

/// A catalogue of two listings, one of them with a photo.
fn old_catalogue(data: &Path) -> std::path::PathBuf {
    let (folder, table) = (data.join("old"), data.join("table.csv"));
    std::fs::write(&table, "id,title,price,photos\nsofa,Grey sofa,20,sofa.jpg\nlamp,Desk lamp,5,\n").unwrap();
    let output = import(&table, &folder).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    folder
}

fn reindex(models: &TempDir, from: &str, into: &Path) -> Command {
    let mut reindex = marketrank("reindex", models.path(), into);
    reindex.args(["--from", from]);
    reindex
}

#[test]
fn a_catalogue_of_other_models_is_refused_reindexed_and_served() {
    let data = TempDir::new().unwrap();
    let (models, old, new) = (other_models(), old_catalogue(data.path()), data.path().join("new"));
    let refused = marketrank("check", models.path(), &old).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("marketrank reindex --from"), "{}", stderr(&refused));

    let from = old.display().to_string();
    let output = reindex(&models, &from, &new).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("embedded 2 products, 0 were there already, 0 removed"), "{said}");
    let said = String::from_utf8(reindex(&models, &from, &new).output().unwrap().stdout).unwrap();
    assert!(said.starts_with("embedded 0 products, 2 were there already, 0 removed"), "{said}");

    let checked = marketrank("check", models.path(), &new).output().unwrap();
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(said.contains("2 products"), "{said}");
}

#[test]
fn the_old_catalogue_serves_while_the_new_one_is_filled_from_it() {
    let data = TempDir::new().unwrap();
    let (models, old, new) = (other_models(), old_catalogue(data.path()), data.path().join("new"));
    let server = Server::start(&old);
    let from = format!("http://{}", server.address);
    let output = reindex(&models, &from, &new).env("NO_PROXY", "127.0.0.1").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let client = client();
    let sofa: Value = client.get(format!("{from}/v1/products/sofa")).send().unwrap().json().unwrap();
    assert_eq!(sofa["title"], "Grey sofa");

    client.delete(format!("{from}/v1/products/lamp")).send().unwrap();
    let output = reindex(&models, &from, &new).env("NO_PROXY", "127.0.0.1").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("embedded 0 products, 1 were there already, 1 removed"), "{said}");
}

#[test]
fn a_folder_in_use_is_refused() {
    let data = TempDir::new().unwrap();
    let (models, old) = (other_models(), old_catalogue(data.path()));
    let _server = Server::start(&old);
    let output = reindex(&models, &old.display().to_string(), &data.path().join("new")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("in use by another marketrank process"), "{}", stderr(&output));
}

#[test]
fn a_server_that_asks_for_keys_is_read_with_one_and_says_why_without() {
    let data = TempDir::new().unwrap();
    let (models, old, new) = (other_models(), old_catalogue(data.path()), data.path().join("new"));
    let (file, (key, line)) = (data.path().join("keys"), new_key("rank"));
    std::fs::write(&file, line).unwrap();
    let server = Server::start_with(&old, &["--api-keys-file", &file.display().to_string()]);
    let from = format!("http://{}", server.address);
    let refused = reindex(&models, &from, &new).env("NO_PROXY", "127.0.0.1").output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let said = stderr(&refused);
    assert!(said.contains("answered 401 Unauthorized: ") && !said.contains("no reason given"), "{said}");

    let mut allowed = reindex(&models, &from, &new);
    let output = allowed.env("NO_PROXY", "127.0.0.1").env("MARKETRANK_API_KEY", key).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("embedded 2 products, 0 were there already, 0 removed"), "{said}");
}

#[test]
fn a_photo_whose_thumbnail_is_a_few_pixels_high_is_embedded_again() {
    let data = TempDir::new().unwrap();
    let (models, old, table) = (other_models(), data.path().join("old"), data.path().join("table.csv"));
    let photo = image::RgbImage::from_pixel(640, 20, image::Rgb([90, 60, 30]));
    photo.save(data.path().join("plank.jpg")).unwrap();
    std::fs::write(&table, "id,title,photos\nplank,Oak plank,plank.jpg\n").unwrap();
    let mut import = marketrank("import", &repository("models"), &old);
    let output = import.arg(&table).arg("--photos").arg(data.path()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));

    let output = reindex(&models, &old.display().to_string(), &data.path().join("new")).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("embedded 1 products"), "{said}");
}

#[test]
fn a_catalogue_that_is_not_whole_yet_is_not_read_as_if_it_were() {
    let data = TempDir::new().unwrap();
    let (models, old) = (other_models(), old_catalogue(data.path()));
    let file = old.join("catalogue.json");
    let mut description: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    description["filling"] = true.into();
    std::fs::write(&file, description.to_string()).unwrap();
    let (from, backup) = (old.display().to_string(), data.path().join("backup.tar.gz"));
    let reindexed = reindex(&models, &from, &data.path().join("new")).output().unwrap();
    let backed_up = program().arg("backup").arg(&backup).arg("--data-dir").arg(&old).output().unwrap();
    for refused in [reindexed, backed_up] {
        assert_eq!(refused.status.code(), Some(2));
        assert!(stderr(&refused).contains("is not whole yet"), "{}", stderr(&refused));
    }
    assert!(!backup.exists());
}
