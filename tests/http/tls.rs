//! https, and a certificate that is replaced while it is served.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    thread,
    time::Duration,
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::{Certificate, blocking::Client};
use tempfile::TempDir;

use crate::server::{eventually, start};

/// Writes a certificate for `localhost` that signs itself, and its key; gives the certificate.
fn new_certificate(folder: &Path) -> Certificate {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("key.pem"), signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), cert.pem()).unwrap();
    Certificate::from_pem(cert.pem().as_bytes()).unwrap()
}

fn start_with_tls(folder: &Path, flags: &[&str]) -> SocketAddr {
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| folder.join(name).display().to_string());
    start(&[&["--tls-cert", &cert, "--tls-key", &key], flags].concat())
}

/// Whether a client that trusts only this certificate is answered.
fn answers(server: SocketAddr, trusted: &Certificate) -> bool {
    let client = Client::builder().no_proxy().tls_certs_only([trusted.clone()]).build().unwrap();
    client
        .get(format!("https://localhost:{}/health/live", server.port()))
        .send()
        .is_ok_and(|r| r.status() == 200)
}

#[test]
fn a_replaced_certificate_is_served_without_a_restart_and_a_broken_one_is_not() {
    let folder = TempDir::new().unwrap();
    let old = new_certificate(folder.path());
    let server = start_with_tls(folder.path(), &[]);
    assert!(answers(server, &old));

    let new = new_certificate(folder.path());
    eventually("the new certificate is served", || answers(server, &new));
    assert!(!answers(server, &old));

    std::fs::write(folder.path().join("cert.pem"), "no certificate").unwrap();
    thread::sleep(Duration::from_millis(1_500));
    assert!(answers(server, &new));
}

#[test]
fn plain_http_and_a_handshake_that_does_not_go_on_end_the_connection() {
    let folder = TempDir::new().unwrap();
    let trusted = new_certificate(folder.path());
    let server = start_with_tls(folder.path(), &["--header-timeout-ms", "2000"]);
    for said in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), b"", &[0x16, 3, 1]] {
        let mut stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(said).unwrap();
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        let open = ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!open, "{said:?} keeps the connection open");
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    eventually("others are answered", || answers(server, &trusted));
}
