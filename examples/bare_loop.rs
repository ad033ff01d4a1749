//! What the models could answer if there were no server: photos or texts are read and run in batches in bare loops, one for each
//! session.
//!
//! `make bench` compares the server with it. Prints one line of JSON: examples, seconds, and CPU seconds of the process.

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use clap::{Parser, ValueEnum};
use marketrank::{
    artefacts::Artefacts,
    config::ModelConfig,
    inference::{Example, Model, ModelSession, Runtime},
    preprocess::{Detail, Letterbox, PhotoLimits, TextEncoder, decode_photo},
};
use serde_json::json;

#[derive(Parser)]
struct Cli {
    /// What is read
    #[arg(value_enum)]
    what: What,

    /// Files of photos, or one file with a text on each line
    #[arg(required = true)]
    files: Vec<PathBuf>,

    #[arg(long, default_value_t = 10.0)]
    seconds: f64,

    /// Decode photos at their full size
    #[arg(long)]
    full_size: bool,

    #[command(flatten)]
    models: ModelConfig,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    Photos,
    Texts,
}

/// Bytes of a photo or a text to what a model reads.
type Read = dyn Fn(&[u8]) -> anyhow::Result<Example> + Sync;

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let artefacts = Artefacts::load(&cli.models.models)?;
    let runtime = Runtime::load(&cli.models.onnxruntime, cli.models.device)?;
    let options = cli.models.inference_options(runtime.on_cuda());
    let model = if cli.what == What::Photos { Model::Image } else { Model::Text };
    let entry = artefacts.manifest().model(model);
    let variant = entry
        .pick(options.precision, runtime.on_cuda())
        .context("the models do not come in this precision")?;
    let sessions = (0..options.workers)
        .map(|_| ModelSession::open(&runtime, &artefacts, entry, variant, options.threads))
        .collect::<Result<Vec<_>, _>>()?;
    let read: Box<Read> = match cli.what {
        What::Photos => {
            let letterbox = Letterbox::new(entry.image.context("the image model reads no photos")?);
            let detail = if cli.full_size { Detail::Full } else { Detail::Side(letterbox.side()) };
            Box::new(move |bytes| {
                let photo = decode_photo(bytes, &PhotoLimits::default(), detail)?;
                Ok(Example { photo: Some(letterbox.apply(&photo)), ..Example::default() })
            })
        }
        What::Texts => {
            let input = entry.text.context("the text model reads no texts")?;
            let encoder = TextEncoder::from_file(&artefacts.path(&artefacts.manifest().tokenizer), input)?;
            Box::new(move |bytes| {
                let tokens = encoder.encode(std::str::from_utf8(bytes)?, "")?;
                Ok(Example { tokens: Some(tokens), ..Example::default() })
            })
        }
    };
    let inputs = inputs(&cli)?;
    ensure!(!inputs.is_empty(), "there is nothing to read");

    let (started, cpu_before) = (Instant::now(), cpu_seconds()?);
    let until = started + Duration::from_secs_f64(cli.seconds);
    let work = |mut session: ModelSession| -> anyhow::Result<usize> {
        let mut examples = 0;
        let mut batches = inputs.chunks(options.max_batch).cycle();
        while Instant::now() < until {
            let batch = read_on_cores(batches.next().unwrap_or_default(), options.threads, read.as_ref())?;
            examples += session.run(&batch).map_err(anyhow::Error::msg)?.len();
        }
        Ok(examples)
    };
    // A loop for each session, as the server has a worker for each.
    let examples: anyhow::Result<usize> = thread::scope(|scope| {
        let workers: Vec<_> = sessions.into_iter().map(|session| scope.spawn(|| work(session))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| bail!("a worker panicked"))).sum()
    });
    let (seconds, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds()? - cpu_before);
    println!("{}", json!({"examples": examples?, "seconds": seconds, "cpu_seconds": cpu}));
    Ok(())
}

fn inputs(cli: &Cli) -> anyhow::Result<Vec<Vec<u8>>> {
    let read = |path: &PathBuf| std::fs::read(path).with_context(|| path.display().to_string());
    let files: Vec<Vec<u8>> = cli.files.iter().map(read).collect::<anyhow::Result<_>>()?;
    Ok(match cli.what {
        What::Photos => files,
        What::Texts => {
            let lines = files.iter().flat_map(|file| file.split(|&byte| byte == b'\n'));
            lines.filter(|line| !line.is_empty()).map(Vec::from).collect()
        }
    })
}

fn read_on_cores(batch: &[Vec<u8>], threads: usize, read: &Read) -> anyhow::Result<Vec<Example>> {
    let share = batch.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let readers: Vec<_> = batch
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().map(|bytes| read(bytes)).collect::<Vec<_>>()))
            .collect();
        readers
            .into_iter()
            .flat_map(|reader| {
                reader.join().unwrap_or_else(|_| vec![Err(anyhow::anyhow!("a reader panicked"))])
            })
            .collect()
    })
}

/// CPU time of this process, from `/proc`, where it is counted in hundredths of a second.
fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let ticks: f64 = fields.map(str::parse::<f64>).sum::<Result<_, _>>()?;
    Ok(ticks / 100.0)
}
