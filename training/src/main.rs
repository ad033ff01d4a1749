//! `marketrank-train prepare | train | export | quantize | baseline | evaluate`

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use marketrank::telemetry::{self, LogFormat, TelemetryConfig};
use marketrank_train::{
    baselines::{BaselineArgs, baseline, classic},
    data::{prepare, prepare::Args as PrepareArgs},
    evaluate::report::{EvaluateArgs, evaluate},
    export::{ExportArgs, export},
    learn::run::{Recipe, TrainArgs, train},
    quantise::{QuantizeArgs, quantize},
};

/// Makes the models of marketrank from a marketplace's own listings.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Clean and split a marketplace's listings, and count every row that was dropped or mended
    Prepare(Box<PrepareArgs>),
    /// Train one of the three models: fine-tune its pretrained network and learn what stands on it
    Train(Box<TrainArgs>),
    /// Write the trained models as ONNX, calibrated and measured
    Export(Box<ExportArgs>),
    /// Add int8 to the exported models, calibrated on training listings and measured
    Quantize(Box<QuantizeArgs>),
    /// Train and measure a classical model, for comparison
    Baseline(BaselineArgs),
    /// Measure models on the test split
    Evaluate(EvaluateArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let log = TelemetryConfig {
        log_format: LogFormat::Text,
        log: "warn,ort=error,qdrant_edge=error,marketrank::inference::runtime=error".into(),
        otlp_endpoint: None,
    };
    let outcome = telemetry::init(&log).and_then(|_telemetry| run(cli.command));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("marketrank-train: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Prepare(args) => {
            println!("{}", prepare(&args)?);
            Ok(())
        }
        Command::Train(args) if args.recipe == Recipe::Classic => classic::train(&args),
        Command::Train(args) => train(&args),
        Command::Export(args) => export(&args),
        Command::Quantize(args) => quantize(&args),
        Command::Baseline(args) => baseline(&args),
        Command::Evaluate(args) => evaluate(&args),
    }
}
