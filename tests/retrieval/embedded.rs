//! The embedded catalogue: the suite, and what is true of a folder on disk.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use marketrank::catalogue::{
    Catalogue, CatalogueError, ContentHash, Filter, Index, Probe, StoredProduct, embedded::EmbeddedCatalogue,
    lexical::Terms,
};

use crate::{
    catalogue_suite::catalogue_suite,
    listings::{Dice, WIDTH, axis, id, random_listings, stored, titled},
};

const SPACE: &str = "models 1";

/// An embedded catalogue in a folder that goes when it does.
pub struct Scratch {
    // Before the folder, so that it is closed when that is removed.
    pub catalogue: EmbeddedCatalogue,
    _folder: tempfile::TempDir,
}

pub fn scratch() -> Scratch {
    let folder = tempfile::tempdir().unwrap();
    Scratch { catalogue: open(folder.path()), _folder: folder }
}

fn open(folder: &Path) -> EmbeddedCatalogue {
    EmbeddedCatalogue::open(folder, WIDTH, SPACE).unwrap()
}

fn refusal(folder: &Path, width: usize, space: &str) -> String {
    match EmbeddedCatalogue::open(folder, width, space) {
        Err(CatalogueError::Unusable(message)) => message,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("the folder was opened"),
    }
}

catalogue_suite!(scratch);

#[tokio::test]
async fn a_reopened_catalogue_has_and_finds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let mut listings = random_listings(150, &mut Dice(2), Dice::direction);
    listings[3].thumbnail = Some(vec![7; 900]);
    let probes = [Probe::Meaning(axis(1)), Probe::Words(Terms::of_query("w1 w9"))];
    let everything = Filter::default();
    let catalogue = open(folder.path());
    catalogue.upsert(listings.clone()).await.unwrap();
    let mut before = Vec::new();
    for probe in &probes {
        before.push(catalogue.search(probe, &everything, 50).await.unwrap());
    }
    catalogue.close().await.unwrap();

    let catalogue = open(folder.path());
    let all: Vec<_> = listings.iter().map(|listing| listing.product.id.clone()).collect();
    assert_eq!(catalogue.get(&all).await.unwrap(), listings.into_iter().map(Some).collect::<Vec<_>>());
    for (probe, before) in probes.iter().zip(before) {
        assert_eq!(catalogue.search(probe, &everything, 50).await.unwrap(), before);
    }
    assert_eq!(catalogue.count().await.unwrap(), 150);
}

#[tokio::test]
async fn replacing_and_removing_leaves_no_thumbnail_behind() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = open(folder.path());
    let with = |thumbnail| StoredProduct { thumbnail, ..stored(titled("a", "Lamp"), axis(0)) };
    let kept = || {
        let shelves = fs::read_dir(folder.path().join("thumbnails")).unwrap();
        shelves.map(|shelf| fs::read_dir(shelf.unwrap().path()).unwrap().count()).sum::<usize>()
    };
    for (thumbnail, count) in [(Some(vec![1]), 1), (Some(vec![2]), 1), (None, 0), (Some(vec![3]), 1)] {
        catalogue.upsert(vec![with(thumbnail)]).await.unwrap();
        assert_eq!(kept(), count);
    }
    catalogue.delete(&id("a")).await.unwrap();
    assert_eq!(kept(), 0);
}

#[test]
fn another_embedding_width_is_refused_naming_both() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let message = refusal(folder.path(), 512, SPACE);
    assert!(
        message.contains("width 16") && message.contains("width 512") && message.contains("reindex"),
        "{message}"
    );
}

#[test]
fn embeddings_of_other_models_are_refused_naming_both() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let message = refusal(folder.path(), WIDTH, "models 2");
    assert!(message.contains("models 1") && message.contains("models 2"), "{message}");
}

#[test]
fn a_folder_in_use_is_refused_until_it_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let message = refusal(folder.path(), WIDTH, SPACE);
    assert!(message.contains("is in use by another marketrank process"), "{message}");
    drop(first);
    drop(open(folder.path()));
}

#[test]
fn a_folder_of_something_else_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
    let message = refusal(folder.path(), WIDTH, SPACE);
    assert!(message.contains("is no marketrank catalogue"), "{message}");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["thesis.txt"]);
}

#[test]
fn a_damaged_description_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    fs::write(folder.path().join("catalogue.json"), "{").unwrap();
    assert!(refusal(folder.path(), WIDTH, SPACE).contains("is no catalogue description"));
}

/// Version `n` of a product: title, embedding, thumbnail and content all tell `n`.
fn version(name: &str, n: u64) -> StoredProduct {
    let product = titled(name, &format!("w{n}"));
    StoredProduct {
        thumbnail: Some(n.to_le_bytes().to_vec()),
        content: ContentHash::of(&product, &[n.to_le_bytes()]),
        ..stored(product, Dice(n).direction())
    }
}

/// Products of one bulk write of the child process.
const BULK: u64 = 32;
const KILLS: usize = 50;

/// Not a test of its own: what the next one runs in a process that it can kill. Each bulk write stores new products,
/// replaces one over and over, and removes one of the write before.
#[tokio::test]
#[ignore = "run by acknowledged_writes_survive_kill_9 as a child process"]
async fn writer_to_be_killed() {
    let Some(folder) = std::env::var_os("MARKETRANK_TEST_FOLDER") else { return };
    let first: u64 = std::env::var("MARKETRANK_TEST_FIRST").unwrap().parse().unwrap();
    let catalogue = open(Path::new(&folder));
    let mut out = std::io::stdout();
    for n in first.. {
        let mut bulk: Vec<_> = (0..BULK).map(|i| version(&format!("new-{n}-{i}"), n * BULK + i)).collect();
        bulk.push(version("replaced", n));
        bulk.push(version(&format!("gone-{n}"), n));
        catalogue.upsert(bulk).await.unwrap();
        writeln!(out, "acknowledged {n}").unwrap();
        assert!(catalogue.delete(&id(&format!("gone-{n}"))).await.unwrap());
        writeln!(out, "removed {n}").unwrap();
    }
}

/// What was acknowledged is there as a whole and can be found.
async fn assert_kept(catalogue: &EmbeddedCatalogue, acknowledged: &[u64], removed: &[u64]) {
    for &n in acknowledged {
        let expected: Vec<_> = (0..BULK).map(|i| version(&format!("new-{n}-{i}"), n * BULK + i)).collect();
        let ids: Vec<_> = expected.iter().map(|stored| stored.product.id.clone()).collect();
        let words = Probe::Words(Terms::of_query(&expected[0].product.title));
        assert_eq!(catalogue.get(&ids).await.unwrap(), expected.into_iter().map(Some).collect::<Vec<_>>());
        let found = catalogue.search(&words, &Filter::default(), 5).await.unwrap();
        assert!(found.iter().any(|hit| hit.id == ids[0]), "{} cannot be found", ids[0]);
    }
    for &n in removed {
        assert_eq!(catalogue.get(&[id(&format!("gone-{n}"))]).await.unwrap(), [None]);
    }
}

#[tokio::test]
async fn acknowledged_writes_survive_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let (mut acknowledged, mut removed) = (Vec::new(), Vec::new());
    let mut dice = Dice(30);
    let mut next = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "embedded::writer_to_be_killed", "--ignored", "--nocapture"])
            .env("MARKETRANK_TEST_FOLDER", folder.path())
            .env("MARKETRANK_TEST_FIRST", next.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let kill_after = dice.pick(1..6) as usize;
        let within_the_next = Duration::from_micros(dice.pick(0..6_000));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut round = (Vec::new(), Vec::new());
        // What the child says between the decision to kill it and its death was acknowledged too.
        while let Some(Ok(line)) = lines.next() {
            // The test harness writes on the same line before the first.
            if let Some((_, n)) = line.split_once("acknowledged ") {
                round.0.push(n.parse::<u64>().unwrap());
                if round.0.len() == kill_after {
                    std::thread::sleep(within_the_next);
                    // SIGKILL on Unix.
                    child.kill().unwrap();
                }
            } else if let Some(n) = line.strip_prefix("removed ") {
                round.1.push(n.parse::<u64>().unwrap());
            }
        }
        child.wait().unwrap();
        next = round.0.last().unwrap() + 1;

        let catalogue = open(folder.path());
        assert_kept(&catalogue, &round.0, &round.1).await;
        let replaced = catalogue.get(&[id("replaced")]).await.unwrap().pop().flatten().unwrap();
        let n = replaced.product.title[1..].parse().unwrap();
        assert!(n + 1 >= next, "kill {kill}: version {n} is older than an acknowledged one");
        assert_eq!(replaced, version("replaced", n), "kill {kill}");
        // A bulk write that was not acknowledged is there as a whole or not at all.
        let bulk: Vec<_> = (0..BULK).map(|i| id(&format!("new-{next}-{i}"))).collect();
        let there = catalogue.products(&bulk).await.unwrap().iter().flatten().count() as u64;
        assert!(there == 0 || there == BULK, "kill {kill}: {there} of {BULK} of a bulk write are there");
        acknowledged.extend(round.0);
        removed.extend(round.1);
    }
    assert_kept(&open(folder.path()), &acknowledged, &removed).await;
}
