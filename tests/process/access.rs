//! Keys: made by the program, asked for at the door, written nowhere.

use std::{fs::File, process::Stdio, time::Duration};

use tempfile::TempDir;

use crate::program::{client, marketrank, new_key, program, repository, stderr};

#[test]
fn a_new_key_is_printed_once_with_a_line_that_does_not_hold_it() {
    let (key, line) = new_key("predict,rank");
    assert!(line.starts_with("shop predict,rank sha256:"), "{line}");
    assert!(!line.contains(&key));
    assert_ne!(new_key("predict,rank").0, key);
    let refused = program().args(["keys", "new", "--scopes", "everything"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("predict, rank, write and admin"), "{}", stderr(&refused));
}

#[test]
fn an_address_beyond_loopback_needs_keys_or_open() {
    let data = TempDir::new().unwrap();
    let mut serve = marketrank("serve", &repository("models"), data.path());
    let output = serve.args(["--listen", "0.0.0.0:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("--api-keys-file") && said.contains("--open"), "{said}");

    let mut check = marketrank("check", &repository("models"), &data.path().join("new"));
    let output = check.args(["--listen", "0.0.0.0:0", "--open"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn a_key_file_that_cannot_be_read_keeps_the_server_from_starting_and_is_not_repeated() {
    let data = TempDir::new().unwrap();
    let file = data.path().join("keys");
    let (key, _) = new_key("admin");
    std::fs::write(&file, format!("# mine\nshop admin {key}\n")).unwrap();
    let mut serve = marketrank("serve", &repository("models"), &data.path().join("new"));
    let output = serve.arg("--api-keys-file").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("keys") && said.contains("line 2"), "{said}");
    assert!(!said.contains(&key), "{said}");
}

#[test]
fn keys_stand_in_no_log_however_much_is_logged() {
    let data = TempDir::new().unwrap();
    let (file, log) = (data.path().join("keys"), data.path().join("log"));
    let (key, line) = new_key("predict,rank,write,admin");
    let wrong = new_key("admin").0;
    std::fs::write(&file, &line).unwrap();
    let mut serve = marketrank("serve", &repository("models"), &data.path().join("new"));
    serve.args(["--listen", "127.0.0.1:0", "--log", "trace", "--api-keys-file"]).arg(&file);
    serve.env("MARKETRANK_QDRANT_API_KEY", "cluster-s3cr3t");
    let mut server = serve.stderr(File::create(&log).unwrap()).stdout(Stdio::null()).spawn().unwrap();
    let read = || String::from_utf8_lossy(&std::fs::read(&log).unwrap()).into_owned();
    let address = loop {
        assert!(server.try_wait().unwrap().is_none(), "{}", read());
        if let Some((_, rest)) = read().split_once("ready: http://") {
            break rest.split('/').next().unwrap().to_owned();
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let client = client();
    for (key, status) in [(&key, 200), (&wrong, 401)] {
        let answer = client.get(format!("http://{address}/v1/products")).bearer_auth(key).send().unwrap();
        assert_eq!(answer.status(), status);
    }
    // In a place where keys do not belong.
    let _ = client.get(format!("http://{address}/v1/products?api_key={key}")).send().unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    let logged = read();
    assert!(logged.len() > 1_000, "{logged}");
    for secret in [&key, &wrong, "cluster-s3cr3t"] {
        assert!(!logged.contains(secret), "a secret is in the log");
    }
}
