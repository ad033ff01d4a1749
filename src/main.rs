//! `marketrank serve | import | reindex | backup | restore | check | keys | openapi`

use std::{path::PathBuf, process::ExitCode};

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use marketrank::{
    access::{Key, KeyFile, Scope},
    api,
    backup::{self, BackupConfig, RestoreConfig},
    config::{self, ServeConfig, effective::Effective, file::ConfigFile},
    import::{self, ImportConfig},
    reindex::{self, ReindexConfig},
    serve,
    telemetry::{self, TelemetryConfig},
};

/// Which category is this listing, and which listings should this buyer see first?
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// Settings for what flags and environment variables leave open, by the names of the flags (`timeout-ms = 5000`)
    /// [default: marketrank.toml, where there is one]
    #[arg(long, global = true, env = "MARKETRANK_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

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
    /// Write a catalogue into one file, from its folder or from the server that goes on serving it
    Backup(BackupConfig),
    /// Make a catalogue of a backup, in a new folder
    Restore(RestoreConfig),
    /// Say what `serve` would be run with and where each setting comes from, verify keys, certificate, models and catalogue,
    /// and say what was found
    Check(Box<ServeConfig>),
    /// Make API keys
    Keys(KeysArgs),
    /// Write the OpenAPI document
    Openapi(OpenapiArgs),
}

#[derive(Debug, Args)]
struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Print a new key, which is kept nowhere, and the line for the file of --api-keys-file, which lets it in
    New {
        /// What the key may do, with commas between: predict, rank, write, admin
        #[arg(long, value_delimiter = ',', required = true)]
        scopes: Vec<Scope>,

        /// Whose it is: A-Z a-z 0-9 . _ -
        #[arg(long, default_value = "client")]
        name: String,
    },
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
    match start().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("marketrank: {error:#}");
            ExitCode::from(UNUSABLE)
        }
    }
}

async fn start() -> anyhow::Result<()> {
    let (matches, file) = config::file::parse(Cli::command())?;
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    // Kept to the end: what it holds sends the last traces.
    let _telemetry = telemetry::init(&cli.telemetry)?;
    match cli.command {
        Command::Serve(config) => serve::run(*config).await,
        Command::Import(config) => import::run(*config).await,
        Command::Reindex(config) => reindex::run(*config).await,
        Command::Backup(config) => backup::back_up(config).await,
        Command::Restore(config) => backup::restore(config).await,
        Command::Check(config) => {
            print_settings(&matches, file.as_ref());
            serve::check(&config).await
        }
        Command::Keys(KeysArgs { command: KeysCommand::New { scopes, name } }) => print_key(&name, &scopes),
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

/// The settings of `check`, which are those of `serve`.
fn print_settings(matches: &ArgMatches, file: Option<&ConfigFile>) {
    let mut command = Cli::command();
    command.build();
    let Some((name, matches)) = matches.subcommand() else { return };
    let Some(command) = command.find_subcommand(name) else { return };
    for Effective { name, value, source } in config::effective::effective(command, matches, file) {
        println!("{name:26} {value:34} {source}");
    }
    println!();
}

fn print_key(name: &str, scopes: &[Scope]) -> anyhow::Result<()> {
    let key = Key::random();
    let line = key.line(name, scopes);
    KeyFile::parse(&line).map_err(|_| anyhow::anyhow!("--name has at most 64 of A-Z a-z 0-9 . _ -"))?;
    eprintln!("The key, shown this once, and the line for the file of --api-keys-file:");
    println!("{}\n{line}", key.reveal());
    Ok(())
}
