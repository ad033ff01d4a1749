//! `marketrank serve | import | reindex | check | openapi`

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use marketrank::{
    api,
    config::{CatalogueConfig, ModelConfig, ServeConfig},
    import::{self, ImportConfig},
    reindex::{self, ReindexConfig},
    serve,
    telemetry::{self, TelemetryConfig},
};

/// Which category is this listing, and which listings should this buyer see first?
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    telemetry: TelemetryConfig,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer requests over HTTP until SIGTERM or Ctrl-C
    Serve(Box<ServeConfig>),
    /// Fill the catalogue from a CSV of listings; may be interrupted and run again
    Import(Box<ImportConfig>),
    /// Embed a catalogue again with other models, into a new folder, while the old one serves; may be interrupted and run
    /// again
    Reindex(Box<ReindexConfig>),
    /// Verify models and catalogue as `serve` would, and say what was found
    Check(CheckArgs),
    /// Write the OpenAPI document
    Openapi(OpenapiArgs),
}

#[derive(Debug, Args)]
struct CheckArgs {
    #[command(flatten)]
    models: ModelConfig,
    #[command(flatten)]
    catalogue: CatalogueConfig,
}

#[derive(Debug, Args)]
struct OpenapiArgs {
    /// Where to write it [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Exit status where the models, the catalogue or the address cannot be used.
const UNUSABLE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match telemetry::init(&cli.telemetry) {
        Ok(_telemetry) => run(cli.command).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("marketrank: {error:#}");
            ExitCode::from(UNUSABLE)
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(config) => serve::run(*config).await,
        Command::Import(config) => import::run(*config).await,
        Command::Reindex(config) => reindex::run(*config).await,
        Command::Check(CheckArgs { models, catalogue }) => serve::check(&models, &catalogue).await,
        Command::Openapi(OpenapiArgs { output }) => {
            let json = api::openapi().to_pretty_json()? + "\n";
            match output {
                Some(path) => std::fs::write(path, json)?,
                None => print!("{json}"),
            }
            Ok(())
        }
    }
}
