//! `marketrank backup` and `restore`.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Server, client, import, program, stderr};

/// More than one entry of a backup holds.
const PRODUCTS: usize = 300;

/// A catalogue of products that need few embeddings: most of them are one listing.
fn filled(data: &Path) -> PathBuf {
    let (folder, table) = (data.join("old"), data.join("table.csv"));
    let mut rows = "id,title,price,photos\nsofa,Grey sofa,20,sofa.jpg\n".to_owned();
    for number in 1..PRODUCTS {
        rows.push_str(&format!("lamp-{number},Desk lamp,{number},\n"));
    }
    std::fs::write(&table, rows).unwrap();
    let output = import(&table, &folder).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    folder
}

fn restore(backup: &Path, folder: &Path) -> std::process::Output {
    program().arg("restore").arg(backup).arg("--data-dir").arg(folder).output().unwrap()
}

fn products(base: &str) -> Vec<Value> {
    let page: Value = client().get(format!("{base}/v1/products?limit=1000")).send().unwrap().json().unwrap();
    page["products"].as_array().unwrap().clone()
}

#[test]
fn a_backup_taken_while_products_are_written_restores_to_the_same_catalogue() {
    let data = TempDir::new().unwrap();
    let (folder, backup, new) =
        (filled(data.path()), data.path().join("backup.tar.gz"), data.path().join("new"));
    let server = Server::start(&folder);
    let base = format!("http://{}", server.address);
    let stop = AtomicBool::new(false);
    let output = thread::scope(|scope| {
        // One product that changes all the time, and is before and after of one form.
        scope.spawn(|| {
            let mut price = 0;
            while !stop.load(Ordering::Relaxed) {
                price += 1;
                let product = json!({"title": "Desk lamp", "price": price});
                let put = client().put(format!("{base}/v1/products/lamp-1")).json(&product).send().unwrap();
                assert_eq!(put.status(), 200);
            }
        });
        let output = program()
            .arg("backup")
            .arg(&backup)
            .args(["--from", &base])
            .env("NO_PROXY", "127.0.0.1")
            .output()
            .unwrap();
        stop.store(true, Ordering::Relaxed);
        output
    });
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains(&format!("holds {PRODUCTS} products")), "{said}");

    let restored = restore(&backup, &new);
    assert!(restored.status.success(), "{}", stderr(&restored));
    let copy = Server::start(&new);
    let copied = format!("http://{}", copy.address);
    let steady = |base: &str| {
        let mut all = products(base);
        all.retain(|product| product["id"] != "lamp-1");
        all.sort_by_key(|product| product["id"].as_str().unwrap().to_owned());
        all
    };
    assert_eq!(steady(&copied).len(), PRODUCTS - 1);
    assert_eq!(steady(&copied), steady(&base));
    let photo =
        |base: &str| client().get(format!("{base}/v1/products/sofa/photo")).send().unwrap().bytes().unwrap();
    assert_eq!(photo(&copied), photo(&base));
    // The embeddings are the same too: nothing is embedded again, and the same query gives the same scores.
    let rank = |base: &str| {
        let query = json!({"query": {"text": "sofa"}, "limit": 1});
        let answer = client().post(format!("{base}/v1/rank-products")).json(&query).send().unwrap();
        answer.json::<Value>().unwrap()["results"].clone()
    };
    assert_eq!(rank(&copied), rank(&base));
}

/// The tar inside a backup; none where gzip finds it damaged.
fn unpacked(backup: &[u8]) -> Option<Vec<u8>> {
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(backup).read_to_end(&mut tar).ok().map(|_| tar)
}

fn packed(tar: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(tar).unwrap();
    packer.finish().unwrap()
}

#[test]
fn a_folder_is_backed_up_without_a_server_and_a_file_is_never_overwritten() {
    let data = TempDir::new().unwrap();
    let (folder, backup) = (filled(data.path()), data.path().join("backup.tar.gz"));
    let back_up = || program().arg("backup").arg(&backup).arg("--data-dir").arg(&folder).output().unwrap();
    let output = back_up();
    assert!(output.status.success(), "{}", stderr(&output));
    let first = std::fs::read(&backup).unwrap();
    let again = back_up();
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("there already"), "{}", stderr(&again));
    assert_eq!(std::fs::read(&backup).unwrap(), first);

    // Whatever is done to it, it is refused and nothing is made of it.
    let new = data.path().join("new");
    let damaged = data.path().join("damaged");
    let flipped = |at: usize| {
        let mut bytes = first.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    // Packed anew, gzip finds nothing wrong with it: the hashes must.
    let whole = unpacked(&first).unwrap();
    let title = whole.windows(5).position(|window| window == b"title").unwrap();
    let mut altered = whole.clone();
    altered[title + 9] ^= 1;
    // A bit between two blocks of the packing may mean nothing at all.
    let damages = |bytes: &Vec<u8>| unpacked(bytes).as_ref() != Some(&whole);
    let flips = [2, 3, 5, 7, 11].map(|part| flipped(first.len() / part));
    let flips: Vec<Vec<u8>> = flips.into_iter().filter(damages).collect();
    assert!(!flips.is_empty());
    for bytes in flips.into_iter().chain([
        packed(&altered),
        first[..first.len() / 2].to_vec(),
        first[..first.len() - 600].to_vec(),
        b"no backup at all".to_vec(),
        Vec::new(),
    ]) {
        std::fs::write(&damaged, &bytes).unwrap();
        let output = restore(&damaged, &new);
        assert_eq!(output.status.code(), Some(2), "{} of {} bytes", bytes.len(), first.len());
        assert!(stderr(&output).contains("no whole backup"), "{}", stderr(&output));
        assert!(!new.exists());
    }
    let output = restore(&backup, &folder);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("is not empty"), "{}", stderr(&output));
}

#[test]
fn a_backup_of_a_later_build_is_named_as_one() {
    let data = TempDir::new().unwrap();
    let backup = data.path().join("later.tar.gz");
    let packed =
        flate2::write::GzEncoder::new(std::fs::File::create(&backup).unwrap(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(packed);
    let mut header = tar::Header::new_ustar();
    let json = br#"{"format": 9, "vectors": "of another kind"}"#;
    header.set_size(json.len() as u64);
    header.set_cksum();
    archive.append_data(&mut header, "backup.json", json.as_slice()).unwrap();
    archive.into_inner().unwrap().finish().unwrap();
    let output = restore(&backup, &data.path().join("new"));
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("backup of format 9"), "{}", stderr(&output));
}

#[test]
fn a_server_that_asks_for_keys_gives_a_backup_to_admin_alone() {
    let data = TempDir::new().unwrap();
    let file = data.path().join("keys");
    let key = |scopes: &str| {
        let output = program().args(["keys", "new", "--scopes", scopes]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let (key, line) = said.trim_end().split_once('\n').unwrap();
        (key.to_owned(), line.to_owned())
    };
    let ((admin, admin_line), (shop, shop_line)) = (key("admin"), key("predict,rank,write"));
    std::fs::write(&file, format!("{admin_line}\n{shop_line}\n")).unwrap();
    let server =
        Server::start_with(&data.path().join("catalogue"), &["--api-keys-file", file.to_str().unwrap()]);
    let from = format!("http://{}", server.address);
    let back_up = |key: Option<&str>| {
        let backup = data.path().join("backup.tar.gz");
        let _ = std::fs::remove_file(&backup);
        let mut program = program();
        program.arg("backup").arg(&backup).args(["--from", &from]).env("NO_PROXY", "127.0.0.1");
        if let Some(key) = key {
            program.env("MARKETRANK_API_KEY", key);
        }
        let output = program.output().unwrap();
        (output.status.code(), stderr(&output))
    };
    assert_eq!(back_up(Some(&admin)).0, Some(0));
    let (code, said) = back_up(Some(&shop));
    assert_eq!(code, Some(2));
    assert!(said.contains("403") && said.contains("admin") && !said.contains(&shop), "{said}");
    assert!(back_up(None).1.contains("401"));
}
