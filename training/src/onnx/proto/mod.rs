//! The protobuf messages of the ONNX format, generated from the published schema.
//!
//! `generated.rs` is what prost-build 0.14.6 (with protox 0.9.1 as the compiler, comments off) makes of
//! `onnx/onnx.proto3` of ONNX 1.17.0 (Apache-2.0, sha256 a287acc83cd7e9ce0db16eb2ab28348defd6832ebf8bfa3583abb6f2df59d61e). It is kept in the tree so that a build needs no
//! protobuf compiler. The crates that publish such types were no choice: `onnx-protobuf` 0.2.3 compiles with one release
//! of `protobuf` only, which has a known vulnerability (RUSTSEC-2024-0437), and `onnx-pb` is of 2020.

#![allow(clippy::all, clippy::pedantic)]

include!("generated.rs");
