//! Storage that is not as it should be: a clear message, and nothing destroyed.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Server, client, marketrank, repository, stderr};

fn check(folder: &Path) -> (Option<i32>, String) {
    let output = marketrank("check", &repository("models"), folder).output().unwrap();
    let said = [output.stdout.clone(), output.stderr.clone()].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// A catalogue of one product.
fn catalogue(folder: &Path) {
    let table = folder.with_extension("csv");
    fs::write(&table, "id,title\nsofa,Grey sofa\n").unwrap();
    let output = marketrank("import", &repository("models"), folder).arg(&table).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

fn put(server: &Server, id: &str, title: &str) -> (u16, Value) {
    let client = client();
    let url = format!("http://{}/v1/products/{id}", server.address);
    let answer = client.put(url).json(&json!({"title": title})).send().unwrap();
    (answer.status().as_u16(), answer.json().unwrap())
}

fn title(server: &Server, id: &str) -> Option<String> {
    let client = client();
    let answer = client.get(format!("http://{}/v1/products/{id}", server.address)).send().unwrap();
    if answer.status() == 404 {
        return None;
    }
    Some(answer.json::<Value>().unwrap()["title"].as_str().unwrap().to_owned())
}

#[test]
fn a_folder_of_a_later_build_is_refused_and_left_as_it_is() {
    let data = TempDir::new().unwrap();
    let folder = data.path().join("catalogue");
    catalogue(&folder);
    let file = folder.join("catalogue.json");
    let mut description: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    description["format"] = json!(99);
    let later = serde_json::to_vec(&description).unwrap();
    fs::write(&file, &later).unwrap();
    let (code, said) = check(&folder);
    assert_eq!(code, Some(2));
    assert!(said.contains("format 99") && said.contains("use the build that wrote it"), "{said}");
    assert_eq!(fs::read(&file).unwrap(), later);

    description["format"] = json!(3);
    fs::write(&file, serde_json::to_vec(&description).unwrap()).unwrap();
    assert!(check(&folder).1.contains("1 products in"));
}

#[test]
fn a_journal_that_was_torn_loses_nothing_that_was_acknowledged() {
    let data = TempDir::new().unwrap();
    let folder = data.path().join("catalogue");
    let server = Server::start(&folder);
    assert_eq!(put(&server, "first", "Oak table").0, 200);
    assert_eq!(put(&server, "second", "Pine shelf").0, 200);
    // Killed, so that the journal is all there is of them.
    drop(server);
    let mut journal = File::options().append(true).open(folder.join("journal")).unwrap();
    // The start of a record that says it has 1,000 bytes.
    journal.write_all(&1_000_u32.to_le_bytes()).unwrap();
    journal.write_all(b"torn").unwrap();
    drop(journal);

    let server = Server::start(&folder);
    assert_eq!(title(&server, "first").as_deref(), Some("Oak table"));
    assert_eq!(title(&server, "second").as_deref(), Some("Pine shelf"));
    assert_eq!(put(&server, "third", "Bench").0, 200);
}

/// A file system of its own in memory, unmounted at the end.
struct Disk(TempDir);

impl Disk {
    /// None, with the reason printed, where this process may not mount.
    fn of(mib: u32) -> Option<Self> {
        let disk = Self(TempDir::new().unwrap());
        let size = format!("size={mib}m");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(disk.0.path()).output();
        match mount {
            Ok(output) if output.status.success() => Some(disk),
            Ok(output) => {
                println!("skipped, a file system cannot be mounted here: {}", stderr(&output));
                None
            }
            Err(error) => {
                println!("skipped, there is no mount command: {error}");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn remount(&self, mode: &str) {
        let option = format!("remount,{mode}");
        assert!(Command::new("mount").args(["-o", &option]).arg(self.path()).status().unwrap().success());
    }

    /// Takes what is left of it.
    fn fill(&self) {
        let mut filler = File::create(self.path().join("filler")).unwrap();
        for size in [1 << 20, 4_096, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_folder_that_can_only_be_read_is_named() {
    let Some(disk) = Disk::of(512) else { return };
    let folder = disk.path().join("catalogue");
    catalogue(&folder);
    disk.remount("ro");
    let (code, said) = check(&folder);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(&folder.display().to_string()) && said.contains("Read-only"), "{said}");
    disk.remount("rw");
    assert!(check(&folder).1.contains("1 products in"));
}

#[test]
fn a_full_disk_refuses_writes_goes_on_reading_and_takes_writes_again() {
    let Some(disk) = Disk::of(512) else { return };
    let folder = disk.path().join("catalogue");
    let server = Server::start(&folder);
    assert_eq!(put(&server, "before", "Oak table").0, 200);
    disk.fill();
    let (status, problem) = put(&server, "during", &"Pine shelf ".repeat(90));
    assert_eq!(status, 503, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("disk of the catalogue is full"), "{problem}");
    assert_eq!(title(&server, "before").as_deref(), Some("Oak table"));
    assert_eq!(title(&server, "during"), None);
    disk.free();
    assert_eq!(put(&server, "after", "Bench").0, 200);
    server.terminate();
    assert!(server.wait().success());

    let server = Server::start(&folder);
    assert_eq!(title(&server, "before").as_deref(), Some("Oak table"));
    assert_eq!(title(&server, "after").as_deref(), Some("Bench"));
    assert_eq!(title(&server, "during"), None);
}
