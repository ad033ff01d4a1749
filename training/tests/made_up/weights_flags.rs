//! Weights as a command line names them.

use std::path::Path;

use clap::Parser;
use marketrank_train::learn::backbone::WeightsArgs;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    weights: WeightsArgs,
}

/// `--image-weights` or `--text-weights`, and where they lie.
pub fn weights_from(flag: &str, path: &Path) -> WeightsArgs {
    Flags::parse_from(["test", flag, path.to_str().unwrap()]).weights
}
