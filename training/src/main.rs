use anyhow::Result;
use clap::{Parser, Subcommand};
use marketrank_train::data;

/// From a marketplace's listings and photos to the models the marketrank server runs.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Prepare(data::prepare::Args),
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Prepare(args) => println!("{}", data::prepare(&args)?),
    }
    Ok(())
}
