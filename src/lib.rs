//! marketrank: which category is this listing, and which listings should this buyer see first?
//!
//! The modules are the rooms of the house, and arrows between them point one way:
//! `api -> ranking, intake -> catalogue, inference -> preprocess, artefacts`.
//! `ranking` never names axum, `api` never names qdrant or ort.

pub mod access;
pub mod api;
pub mod artefacts;
pub mod backup;
pub mod catalogue;
pub mod config;
mod fingerprint;
pub mod front;
#[doc(hidden)]
pub mod fuzz;
pub mod import;
pub mod inference;
pub mod intake;
mod memory;
pub mod preprocess;
pub mod ranking;
pub mod reindex;
mod remote;
mod revalidate;
pub mod secret;
pub mod serve;
pub mod telemetry;
pub mod watched;
pub mod web;
