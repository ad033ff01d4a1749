//! What ranking costs at a size: `make bench-ranking`.
//!
//! Listings are made up: the embeddings of the sample listings mixed at random, and titles and descriptions of their words. The
//! catalogue is built through the same calls as by the server, left to settle, and then asked by one client
//! while another goes on writing.

mod listings;
mod measures;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Parser;
use marketrank::{
    catalogue::{Catalogue, Filter, Index, Probe, embedded::EmbeddedCatalogue},
    config::ModelConfig,
    intake::{Intake, Question, Turn},
    preprocess::PhotoLimits,
    ranking::{Query, RankRequest, TextQuery, rank},
    serve::open_models,
};

use self::{
    listings::{Market, PRICES},
    measures::{bytes_on_disk, load, megabytes_resident, percentiles, seconds_of_cpu},
};

/// Products of one write while the catalogue is built.
const BATCH: usize = 256;
/// Writes a second while queries are measured, and products of each: 200 products a second.
const WRITES_A_SECOND: u32 = 10;
const PRODUCTS_A_WRITE: usize = 20;
/// Results whose recall is measured.
const TOP: usize = 10;
/// Queries whose recall is measured; the exact answer costs a scan of everything.
const RECALL_QUERIES: usize = 100;

#[derive(Parser)]
struct Cli {
    /// Listings in the catalogue
    #[arg(long, default_value_t = 10_000)]
    listings: usize,

    /// Queries of each kind
    #[arg(long, default_value_t = 300)]
    queries: usize,

    /// Ask the catalogue that an earlier run left in the folder
    #[arg(long)]
    again: bool,

    /// Where the catalogue is built; removed first
    #[arg(long, default_value = "data/bench-ranking")]
    folder: PathBuf,

    #[command(flatten)]
    models: ModelConfig,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let inference = open_models(&cli.models)?;
    let intake = Intake::new(Arc::clone(&inference), PhotoLimits::default());
    let market = Market::of_samples(&intake).await?;
    if !cli.again && cli.folder.try_exists()? {
        std::fs::remove_dir_all(&cli.folder).context("cannot remove the old catalogue")?;
    }
    let width = inference.manifest().embedding_width;
    let (models, _) = megabytes_resident()?;
    let catalogue = Arc::new(EmbeddedCatalogue::open(&cli.folder, width, "bench")?);
    catalogue.read_ahead();

    let start = Instant::now();
    for first in (0..if cli.again { 0 } else { cli.listings }).step_by(BATCH) {
        let batch = first..cli.listings.min(first + BATCH);
        catalogue.upsert(batch.map(|n| market.listing(n)).collect()).await?;
    }
    let written = start.elapsed();
    catalogue.settle().await?;
    let built = start.elapsed();
    let (total, anonymous) = megabytes_resident()?;
    println!("| listings | {} of width {width} |", cli.listings);
    println!("| load of the machine | {} |", load()?);
    if !cli.again {
        println!("| CPU until then | {:.0} s |", seconds_of_cpu()?);
        println!(
            "| written | {:.0} s, {:.0} a second |",
            written.as_secs_f64(),
            per_second(cli.listings, written)
        );
        println!("| indexed | {:.0} s |", built.as_secs_f64());
    }
    println!("| on disk | {:.0} bytes a listing |", bytes_on_disk(&cli.folder)? as f64 / cli.listings as f64);
    println!(
        "| resident | {total} MB, of it {anonymous} MB not backed by files; {models} MB before it was opened |"
    );

    for (name, share) in [("", 1.0), (", filter keeps 10 %", 0.1)] {
        let recall = recall(&market, catalogue.as_ref(), &intake, cli.listings, share).await?;
        println!("| recall@{TOP} against a scan{name} | {recall:.3} |");
    }

    for writing in [false, true] {
        let writer = Writer::start(&catalogue, &market, cli.listings, writing);
        for (name, filter) in
            [("text query", Filter::default()), ("text query, filter keeps 1 %", cheapest(0.01))]
        {
            let cpu = seconds_of_cpu()?;
            let times = times(&market, catalogue.as_ref(), &intake, &filter, cli.queries).await?;
            let cpu = (seconds_of_cpu()? - cpu) * 1e3 / cli.queries as f64;
            let percentiles = percentiles(times);
            if writing {
                println!("| {name}, while writing | {percentiles} |");
            } else {
                println!("| {name} | {percentiles}; {cpu:.1} ms of CPU each |");
            }
        }
        if let Some((products, elapsed)) = writer.stop().await? {
            println!("| upserts meanwhile | {:.0} a second |", per_second(products, elapsed));
        }
    }
    let (total, anonymous) = megabytes_resident()?;
    println!("| resident at the end | {total} MB, of it {anonymous} MB not backed by files |");
    let start = Instant::now();
    catalogue.close().await?;
    println!("| closed | {:.1} s |", start.elapsed().as_secs_f64());
    Ok(())
}

/// A filter that keeps this share of the listings.
fn cheapest(share: f64) -> Filter {
    Filter { max_price: (share < 1.0).then_some(share * PRICES), ..Filter::default() }
}

fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// From the words of a query to its first page: the model's time is part of it.
async fn times(
    market: &Market,
    catalogue: &EmbeddedCatalogue,
    intake: &Intake,
    filter: &Filter,
    queries: usize,
) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(queries);
    for n in 0..queries {
        let words = market.query(n);
        let start = Instant::now();
        let embedding = embed(intake, &words).await?;
        let query = Query { text: Some(TextQuery { words, embedding }), ..Query::default() };
        let request = RankRequest { query, filter: filter.clone(), ..RankRequest::default() };
        rank(catalogue, &request).await?;
        times.push(start.elapsed());
    }
    Ok(times)
}

async fn embed(intake: &Intake, words: &str) -> anyhow::Result<Vec<f32>> {
    let question = Question { title: words, ..Question::default() };
    Ok(intake.understand(question, Turn::Now, Instant::now() + Duration::from_secs(60)).await?.embedding())
}

/// Share of the exact nearest products that the index finds, among those of a filter that keeps this share.
async fn recall(
    market: &Market,
    catalogue: &EmbeddedCatalogue,
    intake: &Intake,
    listings: usize,
    share: f64,
) -> anyhow::Result<f64> {
    let mut queries = Vec::with_capacity(RECALL_QUERIES);
    for n in 0..RECALL_QUERIES {
        queries.push(embed(intake, &market.query(n)).await?);
    }
    let filter = cheapest(share);
    let exact = market.nearest(&queries, listings, &filter, TOP);
    let mut found = 0;
    for (query, exact) in queries.into_iter().zip(&exact) {
        let hits = catalogue.search(&Probe::Meaning(query), &filter, TOP).await?;
        found += hits.iter().filter(|hit| exact.contains(&hit.id)).count();
    }
    Ok(found as f64 / (RECALL_QUERIES * TOP) as f64)
}

/// Replaces listings over and over until it is stopped.
struct Writer {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicUsize>,
    started: Instant,
    task: Option<tokio::task::JoinHandle<anyhow::Result<()>>>,
}

impl Writer {
    fn start(catalogue: &Arc<EmbeddedCatalogue>, market: &Market, listings: usize, writing: bool) -> Self {
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let task = writing.then(|| {
            let (catalogue, market) = (Arc::clone(catalogue), market.clone());
            let (stop, written) = (Arc::clone(&stop), Arc::clone(&written));
            tokio::spawn(async move {
                let mut ticks = tokio::time::interval(Duration::from_secs(1) / WRITES_A_SECOND);
                for first in (0..).step_by(PRODUCTS_A_WRITE) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    ticks.tick().await;
                    let products = (first..first + PRODUCTS_A_WRITE).map(|n| market.listing(n % listings));
                    catalogue.upsert(products.collect()).await?;
                    written.fetch_add(PRODUCTS_A_WRITE, Ordering::Relaxed);
                }
                Ok(())
            })
        });
        Self { stop, written, started: Instant::now(), task }
    }

    /// Products written and the time it took, where any were to be.
    async fn stop(self) -> anyhow::Result<Option<(usize, Duration)>> {
        let elapsed = self.started.elapsed();
        self.stop.store(true, Ordering::Relaxed);
        let Some(task) = self.task else { return Ok(None) };
        let written = self.written.load(Ordering::Relaxed);
        task.await??;
        Ok(Some((written, elapsed)))
    }
}
