//! `marketrank.toml`, and what `check` says of the settings.

use std::path::Path;

use tempfile::TempDir;

use crate::program::{marketrank, program, repository, stderr};

/// The line of `check` for this setting.
fn line<'a>(said: &'a str, name: &str) -> &'a str {
    let found = said.lines().find(|line| line.split(' ').next() == Some(name));
    found.unwrap_or_else(|| panic!("no {name} in {said}"))
}

fn check(folder: &Path) -> std::process::Command {
    let mut check = marketrank("check", &repository("models"), &folder.join("catalogue"));
    check.current_dir(folder);
    check
}

#[test]
fn check_says_what_is_set_and_by_whom_and_shows_no_secret() {
    let folder = TempDir::new().unwrap();
    let toml = "timeout-ms = 4000\nqueue = 100\nqdrant-api-key = \"from-the-file\"\nmax-body-mb = 32\n";
    std::fs::write(folder.path().join("marketrank.toml"), toml).unwrap();
    let output =
        check(folder.path()).args(["--max-body-mb", "16"]).env("MARKETRANK_QUEUE", "200").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    for (name, value, source) in [
        ("timeout-ms", "4000", "marketrank.toml, line 1"),
        ("queue", "200", "MARKETRANK_QUEUE"),
        ("qdrant-api-key", "***", "marketrank.toml, line 3"),
        ("max-body-mb", "16", "command line"),
        ("max-photo-mb", "12", "default"),
        ("api-keys-file", "-", "default"),
        ("no-fetch", "false", "default"),
    ] {
        let line = line(&said, name);
        let mut fields = line.split_whitespace();
        assert_eq!(fields.nth(1), Some(value), "{line}");
        assert!(line.ends_with(source), "{line}");
    }
    assert!(!said.contains("from-the-file") && !stderr(&output).contains("from-the-file"));
    // What `check` found follows.
    assert!(said.contains("0 products in"), "{said}");
}

#[test]
fn an_unknown_setting_is_refused_with_its_name_and_line() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("other.toml"), "# limits\ntimeout_ms = 4000\n").unwrap();
    let output = check(folder.path()).args(["--config", "other.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("other.toml, line 2") && said.contains("\"timeout_ms\""), "{said}");
}

#[test]
fn a_setting_reaches_the_commands_that_know_it() {
    let folder = TempDir::new().unwrap();
    std::fs::write(
        folder.path().join("marketrank.toml"),
        "data-dir = \"nowhere\"\nlisten = \"127.0.0.1:1\"\n",
    )
    .unwrap();
    let output = program().args(["backup", "out.tar.gz"]).current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("nowhere"), "{}", stderr(&output));
}
