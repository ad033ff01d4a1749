//! Catalogue and ranking over real engines, through their public functions.

mod catalogue_suite;
mod cluster;
mod embedded;
mod full_disk;
mod listings;
mod properties;
mod ranking;
mod wishes;
