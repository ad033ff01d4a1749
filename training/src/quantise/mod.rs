//! `marketrank-train quantize`: the exported models once more in int8, beside the floats.
//!
//! - [`sample`]: training listings as the models read them;
//! - [`observe`]: what the networks' activations are over these;
//! - [`crate::onnx::quantisation`]: what is made of it.

pub mod observe;
pub mod sample;

use std::{path::PathBuf, rc::Rc, thread::available_parallelism};

use anyhow::{Context, Result, ensure};
use clap::Args;
use marketrank::{
    artefacts::{Artefacts, Manifest, Precision},
    inference::{Device, Model, Runtime},
};
use sha2::{Digest, Sha256};

use self::{observe::observe, sample::sample};
use crate::{
    data::{CleanTable, Split},
    evaluate::{answers::open_models, measured::measure_models, report::Evaluation},
    export::{
        folder::Staging,
        measure::{calibrate, record, unmeasured},
        sources::Sources,
    },
    learn::{backbone::WeightsArgs, run::CommonArgs},
    model_card,
    onnx::{self, Arithmetic},
};

#[derive(Debug, Clone, Args)]
pub struct QuantizeArgs {
    #[command(flatten)]
    common: CommonArgs,

    #[command(flatten)]
    weights: WeightsArgs,

    /// Folder of the exported models; the int8 files are added to it
    #[arg(long, default_value = "models", value_name = "FOLDER")]
    models: PathBuf,

    /// Training listings over which activations are observed
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    listings: u32,
}

/// Writes the three models in int8, calibrates and measures them as `export` does, and adds them to the folder.
///
/// # Errors
/// The folder holds other models than the runs, or was made from another table; the models do not run; or the disk is
/// full. The folder stays as it was.
pub fn quantize(args: &QuantizeArgs) -> Result<()> {
    let table = CleanTable::read(&args.common.clean)?;
    let artefacts = Artefacts::load(&args.models)?;
    let mut manifest = artefacts.manifest().clone();
    ensure!(
        manifest.data_sha256 == table.sha256,
        "{} was made from another table (data_sha256 differs): run `marketrank-train export` first",
        args.models.display()
    );
    let sources = Sources::read(&args.common, &args.weights, &table)?;
    let float = ensure_exported_from(&manifest, &sources)?;

    let staging = Staging::beside(&args.models)?;
    for entry in manifest.files() {
        staging.copy(&artefacts.path(entry), &entry.file)?;
    }
    let runtime = Runtime::load(&args.common.onnxruntime, Device::Cpu)?;
    let threads = available_parallelism().map_or(1, usize::from);
    let examples = sample(&artefacts, &table, Split::Train, args.listings as usize)?;
    ensure!(!examples.is_empty(), "no training listing has a photo");
    let photo = manifest.models.combined.image.context("the combined model reads no photos")?;
    for model in Model::ALL {
        println!("{}: {} training listings are observed", model.name(), examples.len());
        let observed = sources.write(model, Arithmetic::Observed)?;
        let calibration = Rc::new(observe(&runtime, &observed, photo, &examples, threads)?);
        let int8 = sources.write(model, Arithmetic::Int8(calibration))?;
        let file = staging.model(&format!("{}.int8.onnx", model.name()), &int8)?;
        let variants = &mut manifest.model_mut(model).variants;
        variants.retain(|variant| variant.precision != Precision::Int8);
        variants.push(unmeasured(Precision::Int8, file));
    }
    let inference = calibrate(&staging, &mut manifest, Precision::Int8, &table, &runtime)?;
    let int8 = measure_models(&inference, &table)?;
    drop(inference);
    record(&staging, &mut manifest, &int8)?;
    let inference = open_models(staging.path(), &runtime, float.into())?;
    let mut models = measure_models(&inference, &table)?;
    drop(inference);
    models.extend(int8);
    let evaluation = Evaluation { models, space: Vec::new() };
    model_card::write(staging.path(), &manifest, &evaluation, &table)?;
    staging.publish()?;
    println!("{evaluation}\nthe int8 models are in {}", args.models.display());
    Ok(())
}

/// Refuses runs that are not those of the exported models; the precision of these.
fn ensure_exported_from(manifest: &Manifest, sources: &Sources) -> Result<Precision> {
    let float =
        [(Precision::Float16, onnx::Precision::Float16), (Precision::Float32, onnx::Precision::Float32)];
    let there = |precision| Model::ALL.iter().all(|&m| manifest.model(m).variant(precision).is_some());
    let (precision, written) = float
        .into_iter()
        .find(|&(precision, _)| there(precision))
        .context("the manifest has no three float models to quantise; run `marketrank-train export` first")?;
    for model in Model::ALL {
        let exported = manifest.model(model).variant(precision).map(|variant| variant.file.sha256.as_str());
        let found = format!("{:x}", Sha256::digest(sources.write(model, written)?));
        ensure!(
            exported == Some(found.as_str()),
            "the exported {} model is not what the run folders and weights make; run `marketrank-train export` first",
            model.name()
        );
    }
    Ok(precision)
}
