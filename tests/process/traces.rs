//! Traces, as a collector meets them on the wire.

use std::{
    io::Read,
    net::{TcpListener, TcpStream},
    thread,
};

use tempfile::TempDir;

use crate::program::{Server, client};

#[test]
fn the_trace_of_the_caller_goes_on_in_the_spans_that_are_sent() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = collector.local_addr().unwrap();
    let endpoint = format!("http://{address}");
    // Spans come as one uncompressed gRPC message, so what they say is there to be found byte for byte.
    let received = thread::spawn(move || {
        let (mut stream, _) = collector.accept().unwrap();
        drop(collector);
        let mut received = Vec::new();
        // Ends when the server has gone; a reset is an end too.
        let _ = stream.read_to_end(&mut received);
        received
    });
    let data = TempDir::new().unwrap();
    let server = Server::start_with(data.path(), &["--otlp-endpoint", &endpoint]);
    client()
        .get(format!("http://{}/health/live", server.address))
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .send()
        .unwrap();
    server.terminate();
    assert!(server.wait().success());

    // Where the server never came, this is who the collector waits for.
    let _ = TcpStream::connect(address);
    let received = received.join().unwrap();
    let holds = |wanted: &[u8]| received.windows(wanted.len()).any(|window| window == wanted);
    let trace =
        [0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c];
    let parent = [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31];
    assert!(holds(&trace) && holds(&parent));
    assert!(holds(b"marketrank") && holds(b"/health/live"));
}
