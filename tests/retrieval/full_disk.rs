//! The embedded catalogue on a disk that is full.

use std::{
    fs::File,
    io::{ErrorKind, Write},
    path::Path,
    process::Command,
};

use marketrank::catalogue::{
    Catalogue, CatalogueError, Filter, Index, Probe, embedded::EmbeddedCatalogue, lexical::Terms,
};
use tempfile::TempDir;

use crate::listings::{WIDTH, axis, id, stored, titled};

/// A disk of its own in memory.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` where nobody may mount one here.
    fn mount(megabytes: usize) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let size = format!("size={megabytes}m");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        match mount {
            Ok(output) if output.status.success() => Some(Self(folder)),
            Ok(output) => {
                eprintln!("skipped, mounting is refused: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                eprintln!("skipped, there is no mount: {error}");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// Writes until nothing more fits.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    let megabyte = vec![1; 1 << 20];
    loop {
        match file.write_all(&megabyte) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => break,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_as_a_whole_while_reads_go_on() {
    let Some(disk) = SmallDisk::mount(512) else { return };
    let folder = disk.path().join("catalogue");
    let open = || EmbeddedCatalogue::open(&folder, WIDTH, "models 1").unwrap();
    let catalogue = open();
    let kept = stored(titled("kept", "Oak table"), axis(0));
    catalogue.upsert(vec![kept.clone()]).await.unwrap();

    fill(&disk.path().join("ballast"));
    let refused = ["new-1", "new-2", "kept"].map(|name| stored(titled(name, "Pine shelf"), axis(1)));
    match catalogue.upsert(refused.to_vec()).await {
        Err(CatalogueError::Unavailable(message)) => {
            assert!(message.contains("is full") && message.contains("nothing was stored"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    let removal = catalogue.delete(&id("kept")).await;
    assert!(matches!(removal, Err(CatalogueError::Unavailable(_))), "{removal:?}");
    let words = Probe::Words(Terms::of_query("oak pine"));
    let names = async |catalogue: &EmbeddedCatalogue| -> Vec<String> {
        let found = catalogue.search(&words, &Filter::default(), 9).await.unwrap();
        found.into_iter().map(|hit| hit.id.to_string()).collect()
    };
    assert_eq!(names(&catalogue).await, ["kept"]);
    assert_eq!(catalogue.get(&[id("kept"), id("new-1")]).await.unwrap(), [Some(kept.clone()), None]);
    assert_eq!(catalogue.count().await.unwrap(), 1);

    std::fs::remove_file(disk.path().join("ballast")).unwrap();
    catalogue.upsert(refused.to_vec()).await.unwrap();
    assert_eq!(catalogue.count().await.unwrap(), 3);
    catalogue.close().await.unwrap();
    assert_eq!(open().get(&[id("kept")]).await.unwrap(), [Some(refused[2].clone())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_the_disk_filled_up_survives_a_stop_that_cannot_write() {
    let Some(disk) = SmallDisk::mount(512) else { return };
    let folder = disk.path().join("catalogue");
    let open = || EmbeddedCatalogue::open(&folder, WIDTH, "models 1").unwrap();
    let kept = stored(titled("kept", "Oak table"), axis(0));
    let catalogue = open();
    catalogue.upsert(vec![kept.clone()]).await.unwrap();
    fill(&disk.path().join("ballast"));
    assert!(catalogue.upsert(vec![stored(titled("new", "Pine shelf"), axis(1))]).await.is_err());
    assert!(matches!(catalogue.close().await, Err(CatalogueError::Engine(_))));
    drop(catalogue);

    std::fs::remove_file(disk.path().join("ballast")).unwrap();
    assert_eq!(open().get(&[id("kept"), id("new")]).await.unwrap(), [Some(kept), None]);
}
