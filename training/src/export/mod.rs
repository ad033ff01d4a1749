//! `marketrank-train export`: trained heads and pretrained networks become the folder the server reads.
//!
//! Everything is written beside, opened and measured there as the server would, and takes the old folder's place only
//! then: what fails leaves the old models as they are.

pub mod folder;
pub mod measure;
mod self_test;
pub mod sources;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use marketrank::{
    artefacts::{self, FORMAT, FileEntry, Manifest, ModelEntry, Models},
    inference::{Device, Model, Runtime},
};
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use self::{
    folder::Staging,
    measure::{calibrate, record, unmeasured},
    sources::Sources,
};
use crate::{
    data::CleanTable,
    evaluate::{measured::measure_models, report::Evaluation},
    learn::{IMAGE_INPUT, TEXT_INPUT, backbone::WeightsArgs, run::CommonArgs},
    model_card,
    onnx::Precision,
};

const TOKENIZER: &str = "tokenizer.json";

#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    common: CommonArgs,

    #[command(flatten)]
    weights: WeightsArgs,

    /// Folder to write; one that is there is replaced when the new one has proved itself
    #[arg(long, default_value = "models", value_name = "FOLDER")]
    models: PathBuf,

    /// Precision of the stored weights. float16 halves the files and is computed in float32
    #[arg(long, value_enum, default_value = "float16")]
    precision: Precision,
}

/// Writes the three models, calibrates them on the validation split, measures them on the test split, and puts the folder
/// in place.
///
/// # Errors
/// A model was not trained, does not fit its network, or does not run; or the disk is full. The old folder stays.
pub fn export(args: &ExportArgs) -> Result<()> {
    let table = CleanTable::read(&args.common.clean)?;
    let sources = Sources::read(&args.common, &args.weights, &table)?;
    let staging = Staging::beside(&args.models)?;
    let precision = artefacts::Precision::from(args.precision);

    let file = |model: Model| -> Result<FileEntry> {
        staging.model(&format!("{}.onnx", model.name()), &sources.write(model, args.precision)?)
    };
    let files = [file(Model::Image)?, file(Model::Text)?, file(Model::Combined)?];
    let tokenizer = staging.copy(&sources.trained.text.tokenizer, TOKENIZER)?;
    let mut manifest = draft(&table, &sources, precision, files, tokenizer)?;

    let runtime = Runtime::load(&args.common.onnxruntime, Device::Auto)?;
    let inference = calibrate(&staging, &mut manifest, precision, &table, &runtime)?;
    let evaluation = Evaluation { models: measure_models(&inference, &table)?, space: Vec::new() };
    drop(inference);
    record(&staging, &mut manifest, &evaluation.models)?;
    let card = model_card::write(staging.path(), &manifest, &evaluation, &table)?;
    staging.publish()?;
    println!("{card}\nmodels {} are in {}", manifest.version, args.models.display());
    Ok(())
}

/// The manifest before anything was measured.
fn draft(
    table: &CleanTable,
    sources: &Sources,
    precision: artefacts::Precision,
    files: [FileEntry; 3],
    tokenizer: FileEntry,
) -> Result<Manifest> {
    // Named after what the files hold: the same models have the same version, whenever they are exported, and whichever
    // further precisions are added to them.
    let mut hash = Sha256::new();
    files.iter().for_each(|file| hash.update(&file.sha256));

    let image_name = sources.trained.photo.backbone().name();
    let text_name = sources.trained.text.name()?;
    let [image, text, combined] = files.map(|file| vec![unmeasured(precision, file)]);
    let entry = |backbone, image, text, variants| ModelEntry { backbone, image, text, variants };
    let models = Models {
        image: entry(image_name.to_owned(), Some(IMAGE_INPUT), None, image),
        text: entry(text_name.clone(), None, Some(TEXT_INPUT), text),
        combined: entry(format!("{image_name} + {text_name}"), Some(IMAGE_INPUT), Some(TEXT_INPUT), combined),
    };
    Ok(Manifest {
        format: FORMAT,
        version: format!("{:.12}", format!("{:x}", hash.finalize())),
        created: OffsetDateTime::now_utc().replace_nanosecond(0)?.format(&Rfc3339)?,
        data_sha256: table.sha256.clone(),
        categories: table.categories.clone(),
        subcategories: table.subcategories.clone(),
        embedding_width: sources.trained.embedding_width()?,
        currency: currency(table),
        tokenizer,
        self_test: None,
        models,
    })
}

/// The currency of the table: `prepare` gives all prices the same.
fn currency(table: &CleanTable) -> String {
    table
        .listings
        .iter()
        .map(|listing| listing.currency.clone())
        .find(|code| !code.is_empty())
        .unwrap_or_default()
}

impl From<Precision> for artefacts::Precision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::Float32 => Self::Float32,
            Precision::Float16 => Self::Float16,
        }
    }
}
