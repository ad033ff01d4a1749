//! `marketrank-train evaluate --speed`: how much faster int8 is than the float model beside it.

use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use marketrank::{
    artefacts::{Artefacts, Precision, Variant},
    inference::{Example, Model, ModelSession, Runtime},
};

use super::metrics::median;
use crate::{
    data::{CleanTable, Split},
    quantise::sample::sample,
};

/// Listings that every pair of models answers.
const LISTINGS: usize = 200;
/// Runs before the first that counts.
const WARM_UP: usize = 10;
const THREADS: [usize; 2] = [1, 2];

/// Prints, for each model and number of threads, the median time of an answer in float and in int8 and the median of their
/// ratios. The two answer the same listings in turns, one at a time, so that what else the machine does meets both alike.
///
/// # Errors
/// A model has no float or no int8 variant, or does not run.
pub fn compare(artefacts: &Artefacts, table: &CleanTable, runtime: &Runtime) -> Result<()> {
    let examples = sample(artefacts, table, Split::Test, LISTINGS)?;
    ensure!(!examples.is_empty(), "no test listing of the clean table has a photo to ask with");
    println!("{} test listings, medians of pairs, ONNX Runtime on {}", examples.len(), runtime.device());
    println!("| model | threads | float | int8 | times as fast |\n| --- | --- | --- | --- | --- |");
    for model in Model::ALL {
        let entry = artefacts.manifest().model(model);
        let int8 = entry.variant(Precision::Int8).with_context(|| {
            format!("there is no int8 {} model; `marketrank-train quantize` makes it", model.name())
        })?;
        let float = entry.variants.iter().find(|variant| variant.precision != Precision::Int8);
        let float = float.with_context(|| format!("there is no float {} model", model.name()))?;
        for threads in THREADS {
            let open = |variant: &Variant| ModelSession::open(runtime, artefacts, entry, variant, threads);
            let pairs = time_pairs(open(float)?, open(int8)?, &examples)?;
            let median = |of: &dyn Fn(&(f64, f64)) -> f64| median(pairs.iter().map(of)).unwrap_or(f64::NAN);
            println!(
                "| {} | {threads} | {:.2} ms | {:.2} ms | {:.2} |",
                model.name(),
                median(&|pair| pair.0 * 1e3),
                median(&|pair| pair.1 * 1e3),
                median(&|(float, int8)| float / int8)
            );
        }
    }
    Ok(())
}

/// Seconds that each of the two takes for each example.
fn time_pairs(
    mut float: ModelSession,
    mut int8: ModelSession,
    examples: &[Example],
) -> Result<Vec<(f64, f64)>> {
    for example in examples.iter().cycle().take(WARM_UP) {
        time(&mut float, example)?;
        time(&mut int8, example)?;
    }
    examples.iter().map(|example| Ok((time(&mut float, example)?, time(&mut int8, example)?))).collect()
}

fn time(session: &mut ModelSession, example: &Example) -> Result<f64> {
    let start = Instant::now();
    session.run(std::slice::from_ref(example)).map_err(|reason| anyhow!("the model failed: {reason}"))?;
    Ok(start.elapsed().as_secs_f64())
}
