//! Black-box tests: real requests over TCP to the real models and a real catalogue.

mod access;
mod bad_input;
mod front;
mod fuzz_corpus;
mod health;
mod hostile;
mod observability;
mod older_service;
mod openapi;
mod page;
mod photo_urls;
mod predict;
mod products;
mod properties;
mod random;
mod rank;
mod server;
mod tls;
mod v2;
