//! Black-box tests: real requests over TCP to the real models and a real catalogue.

mod bad_input;
mod health;
mod observability;
mod openapi;
mod page;
mod photo_urls;
mod predict;
mod products;
mod rank;
mod server;
