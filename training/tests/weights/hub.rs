use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use marketrank_train::weights::hub::{Hub, SourceError, WeightsSource};

/// A hub of one model. It answers with the path that was asked for, until it has answered `requests` times.
fn hub_answering(requests: usize, cache: &Path) -> Hub {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for connection in listener.incoming().take(requests) {
            let mut connection = connection.unwrap();
            let mut request = BufReader::new(connection.try_clone().unwrap());
            let mut first_line = String::new();
            request.read_line(&mut first_line).unwrap();
            let mut header = String::new();
            while request.read_line(&mut header).unwrap() > 2 {
                header.clear();
            }
            let path = first_line.split(' ').nth(1).unwrap();
            let status = if path.starts_with("/owner/model/") { "200 OK" } else { "404 Not Found" };
            let length = path.len();
            write!(
                connection,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{path}"
            )
            .unwrap();
        }
    });
    Hub { endpoint, cache: cache.to_owned() }
}

/// Nothing listens where this hub should be.
fn hub_out_of_reach(cache: &Path) -> Hub {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    Hub { endpoint, cache: cache.to_owned() }
}

fn source(text: &str) -> WeightsSource {
    text.parse().unwrap()
}

#[test]
fn an_owner_and_a_name_are_a_model_of_the_hub() {
    assert_eq!(source("timm/resnet50.a1_in1k"), WeightsSource::Hub("timm/resnet50.a1_in1k".to_owned()));
}

#[test]
fn a_weight_file_that_is_not_there_is_still_a_path() {
    assert_eq!(source("weights/resnet50.pth"), WeightsSource::Path("weights/resnet50.pth".into()));
}

#[test]
fn a_way_up_the_file_system_is_no_model_of_the_hub() {
    assert_eq!(source("../model"), WeightsSource::Path("../model".into()));
}

#[test]
fn a_model_of_the_hub_is_fetched_once_and_then_taken_from_the_cache() {
    let cache = tempfile::tempdir().unwrap();
    let hub = hub_answering(2, cache.path());

    let fetched = source("owner/model").locate(&["config.json"], &hub).unwrap();
    let cached = source("owner/model").locate(&["config.json"], &hub_out_of_reach(cache.path())).unwrap();

    assert_eq!(fetched, cached);
    assert_eq!(fetched.weights, cache.path().join("owner--model/model.safetensors"));
    let config = fs::read_to_string(fetched.beside("config.json")).unwrap();
    assert_eq!(config, "/owner/model/resolve/main/config.json");
}

#[test]
fn a_hub_out_of_reach_says_which_files_to_put_where() {
    let cache = tempfile::tempdir().unwrap();
    let hub = hub_out_of_reach(cache.path());

    let refusal = source("owner/model").locate(&["config.json"], &hub).unwrap_err().to_string();

    let advice = format!(
        "put model.safetensors and config.json of owner/model in {}",
        cache.path().join("owner--model").display()
    );
    assert!(refusal.contains(&advice), "{refusal}");
    assert!(refusal.contains("refused"), "{refusal}");
}

#[test]
fn a_model_the_hub_does_not_have_leaves_nothing_in_the_cache() {
    let cache = tempfile::tempdir().unwrap();
    let hub = hub_answering(1, cache.path());

    let refusal = source("owner/other").locate(&[], &hub).unwrap_err().to_string();

    assert!(refusal.contains("404"), "{refusal}");
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
}

#[test]
fn the_only_weight_file_of_a_folder_is_found() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("resnet50.pth"), "").unwrap();
    fs::write(folder.path().join("README.md"), "").unwrap();

    let found = WeightsSource::Path(folder.path().to_owned()).locate(&[], &hub_out_of_reach(folder.path()));

    assert_eq!(found.unwrap().weights, folder.path().join("resnet50.pth"));
}

#[test]
fn a_folder_of_two_weight_files_is_not_guessed_at() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("resnet50.pth"), "").unwrap();
    fs::write(folder.path().join("resnet101.pth"), "").unwrap();

    let found = WeightsSource::Path(folder.path().to_owned()).locate(&[], &hub_out_of_reach(folder.path()));

    assert!(matches!(found, Err(SourceError::NoWeights { .. })));
}

#[test]
fn a_file_missing_beside_the_weights_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("model.safetensors"), "").unwrap();

    let found = WeightsSource::Path(folder.path().to_owned())
        .locate(&["config.json"], &hub_out_of_reach(folder.path()));

    assert!(found.unwrap_err().to_string().contains("config.json"));
}
