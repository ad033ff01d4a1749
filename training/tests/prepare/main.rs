//! `marketrank-train prepare` on small marketplaces made up in the tests.

mod accounting;
mod cleaning;
mod input;
mod market;
mod output;
mod splitting;
