//! Where ONNX Runtime is: there can be one in a process, so tests that load it by themselves are each a program.

/// The shared library, as `make setup` leaves it.
pub fn library() -> String {
    let library = concat!(env!("CARGO_MANIFEST_DIR"), "/../.cache/onnxruntime/libonnxruntime.so");
    std::env::var("ORT_DYLIB_PATH").unwrap_or_else(|_| library.to_owned())
}
