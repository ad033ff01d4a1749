//! The built program, started with files of its own.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use reqwest::blocking::Client;
use serde_json::Value;
use tempfile::TempDir;

pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The program as it is.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_marketrank"));
    command.env("NO_COLOR", "1");
    command
}

/// The program with this subcommand, the repository's models and one thread.
pub fn marketrank(subcommand: &str, models: &Path, data: &Path) -> Command {
    let mut command = program();
    command.arg(subcommand).arg("--models").arg(models).arg("--data-dir").arg(data);
    command.arg("--onnxruntime").arg(repository(".cache/onnxruntime/libonnxruntime.so"));
    command.args(["--threads", "1"]);
    // A port of its own, where no flag names one: tests run side by side.
    command.env("MARKETRANK_LISTEN", "127.0.0.1:0");
    command
}

/// The import of a table that names the sample's photos, into this catalogue.
pub fn import(table: &Path, data: &Path) -> Command {
    let mut import = marketrank("import", &repository("models"), data);
    import.arg(table).arg("--photos").arg(repository("sample/photos"));
    import
}

/// A new key and its line of the key file, as the program prints them.
pub fn new_key(scopes: &str) -> (String, String) {
    let output = program().args(["keys", "new", "--name", "shop", "--scopes", scopes]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    let (key, line) = said.trim_end().split_once('\n').expect("two lines");
    (key.to_owned(), line.to_owned())
}

/// Flags of a server that turns no request away for its wait: on a machine that runs other tests beside, anyone waits long.
pub const PATIENT: [&str; 2] = ["--max-wait-ms=60000", "--overload-wait-ms=60000"];

/// A client that asks the server itself, whatever proxy the environment names.
pub fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// The same, waiting so long for an answer.
pub fn client_that_waits(timeout: Duration) -> Client {
    Client::builder().no_proxy().timeout(timeout).build().unwrap()
}

/// A folder of links to the repository's models, of which a test may replace one.
pub fn linked_models() -> TempDir {
    let folder = TempDir::new().unwrap();
    for entry in std::fs::read_dir(repository("models")).unwrap() {
        let path = entry.unwrap().path();
        symlink(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

/// Puts a file in the place of a link.
pub fn replace(folder: &Path, name: &str, contents: &[u8]) {
    std::fs::remove_file(folder.join(name)).unwrap();
    std::fs::write(folder.join(name), contents).unwrap();
}

/// Changes the manifest of a folder of models.
pub fn change_manifest(models: &Path, change: impl FnOnce(&mut Value)) {
    let mut manifest: Value =
        serde_json::from_slice(&std::fs::read(models.join("manifest.json")).unwrap()).unwrap();
    change(&mut manifest);
    replace(models, "manifest.json", manifest.to_string().as_bytes());
}

/// The files that a model may run from, as the manifest has them.
pub fn variants<'a>(manifest: &'a mut Value, model: &str) -> &'a mut Vec<Value> {
    manifest["models"][model]["variants"].as_array_mut().unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits until it holds, no longer than `patience`.
pub fn eventually(patience: Duration, what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < patience, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A running server, killed when a test ends early.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Starts `serve` on a free port and waits until it is ready.
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    /// As [`Server::start`], with further flags.
    pub fn start_with(data: &Path, flags: &[&str]) -> Self {
        Self::start_over(&repository("models"), data, flags)
    }

    /// As [`Server::start_with`], over the models of another folder.
    pub fn start_over(models: &Path, data: &Path, flags: &[&str]) -> Self {
        let mut child = marketrank("serve", models, data).args(flags).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("the server says that it is ready").unwrap();
            if let Some((_, address)) = line.split_once("ready: http://") {
                break address.split('/').next().unwrap().parse().unwrap();
            }
        };
        // What else it says must be read, or it would stop at a full pipe.
        thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    pub fn terminate(&self) {
        self.signal("TERM");
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
