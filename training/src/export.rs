//! `marketrank-train export`: trained heads and pretrained networks become the folder the server reads.
//!
//! Everything is written beside, opened and measured there as the server would, and takes the old folder's place only
//! then: what fails leaves the old models as they are.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::Args;
use marketrank::{
    artefacts::{FORMAT, FileEntry, MANIFEST, Manifest, Metrics, ModelEntry, Models, sha256_of_file},
    inference::{Device, Model, Runtime},
};
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    data::{CleanTable, Split},
    evaluate::{
        answers::{answers, open_models},
        calibration::Calibration,
        report::{MODELS, Measured, measure},
    },
    learn::{
        IMAGE_INPUT, TEXT_INPUT,
        backbone::{PhotoNetwork, TextNetwork, WeightsArgs},
        run::CommonArgs,
        trained::{Trained, read_photo_weights},
    },
    model_card::model_card,
    onnx::{LabelCounts, Precision, file, listing::PhotoWeights},
};

const TOKENIZER: &str = "tokenizer.json";
const MODEL_CARD: &str = "MODEL_CARD.md";

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
    let labels = LabelCounts { categories: table.categories.len(), subcategories: table.subcategories.len() };
    let trained = Trained::read(&args.weights, &args.common.runs, labels)?;
    let photo_weights = read_photo_weights(&args.common.runs)?;
    let parent = match args.models.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let staging = tempfile::Builder::new()
        .prefix(".models-")
        .tempdir_in(parent)
        .with_context(|| format!("cannot write beside {}", args.models.display()))?;
    let folder = staging.path();

    write_models(&trained, photo_weights, args.precision, folder)?;
    fs::copy(&trained.text.tokenizer, folder.join(TOKENIZER))
        .with_context(|| format!("cannot copy {}", trained.text.tokenizer.display()))?;
    let mut manifest = draft(&table, &trained.photo, &trained.text, args.precision, folder)?;
    write_manifest(folder, &manifest)?;

    let runtime = Runtime::load(&args.common.onnxruntime, Device::Auto)?;
    let requests = tokio::runtime::Runtime::new().context("no runtime for the requests")?;
    let inference = open_models(folder, &runtime)?;
    for (model, shown) in MODELS {
        let answers = requests.block_on(answers(&inference, &table, &[Split::Validation], shown))?;
        let calibration = Calibration::fit(&answers);
        let entry = entry_mut(&mut manifest, model);
        entry.temperature = calibration.temperature;
        entry.review_threshold = calibration.review_threshold;
    }
    // The temperature is the manifest's: the models must be opened with it to be measured with it.
    write_manifest(folder, &manifest)?;
    drop(inference);
    let inference = open_models(folder, &runtime)?;
    let evaluation = measure(&inference, &table, &args.common, &args.weights, &runtime)?;
    for Measured { model, metrics, .. } in &evaluation.models {
        entry_mut(&mut manifest, *model).metrics = rounded(metrics);
    }
    write_manifest(folder, &manifest)?;
    let card = model_card(&manifest, &evaluation, &table);
    fs::write(folder.join(MODEL_CARD), &card).context("cannot write the model card")?;
    drop(inference);
    swap_in(folder, &args.models)?;
    println!("{card}\nmodels {} are in {}", manifest.version, args.models.display());
    Ok(())
}

fn write_models(trained: &Trained, weights: PhotoWeights, precision: Precision, folder: &Path) -> Result<()> {
    for (name, model) in [
        ("image", trained.image_model(precision)?),
        ("text", trained.text_model(precision)?),
        ("combined", trained.combined_model(weights, precision)?),
    ] {
        let path = folder.join(format!("{name}.onnx"));
        file::write(&path, &model).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The manifest before anything was measured.
fn draft(
    table: &CleanTable,
    photo_network: &PhotoNetwork,
    text_network: &TextNetwork,
    precision: Precision,
    folder: &Path,
) -> Result<Manifest> {
    let file = |name: &str| -> Result<FileEntry> {
        Ok(FileEntry { file: name.to_owned(), sha256: sha256_of_file(&folder.join(name))? })
    };
    let image_name = photo_network.backbone().name();
    let text_name = text_network.name()?;
    let entry = |name: &str, backbone: String, image, text| -> Result<ModelEntry> {
        Ok(ModelEntry {
            file: file(&format!("{name}.onnx"))?,
            backbone,
            precision: precision.name().to_owned(),
            image,
            text,
            temperature: 1.0,
            review_threshold: 1.0,
            metrics: Metrics { top1: 0.0, top3: 0.0, macro_f1: 0.0, ece: 0.0 },
        })
    };
    let models = Models {
        image: entry("image", image_name.to_owned(), Some(IMAGE_INPUT), None)?,
        text: entry("text", text_name.clone(), None, Some(TEXT_INPUT))?,
        combined: entry(
            "combined",
            format!("{image_name} + {text_name}"),
            Some(IMAGE_INPUT),
            Some(TEXT_INPUT),
        )?,
    };
    let now = OffsetDateTime::now_utc();
    // Named after what the files hold: the same models have the same version, whenever they are exported.
    let mut hash = Sha256::new();
    for entry in [&models.image, &models.text, &models.combined] {
        hash.update(&entry.file.sha256);
    }
    Ok(Manifest {
        format: FORMAT,
        version: format!("{:.12}", format!("{:x}", hash.finalize())),
        created: now.replace_nanosecond(0)?.format(&Rfc3339)?,
        data_sha256: table.sha256.clone(),
        categories: table.categories.clone(),
        subcategories: table.subcategories.clone(),
        embedding_width: text_network.backbone().features()?,
        currency: currency(table),
        tokenizer: file(TOKENIZER)?,
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

fn entry_mut(manifest: &mut Manifest, model: Model) -> &mut ModelEntry {
    match model {
        Model::Image => &mut manifest.models.image,
        Model::Text => &mut manifest.models.text,
        Model::Combined => &mut manifest.models.combined,
    }
}

/// Four digits: what another machine reproduces.
fn rounded(metrics: &Metrics) -> Metrics {
    let round = |x: f64| (x * 1e4).round() / 1e4;
    let Metrics { top1, top3, macro_f1, ece } = *metrics;
    Metrics { top1: round(top1), top3: round(top3), macro_f1: round(macro_f1), ece: round(ece) }
}

fn write_manifest(folder: &Path, manifest: &Manifest) -> Result<()> {
    let mut json = serde_json::to_vec_pretty(manifest)?;
    json.push(b'\n');
    fs::write(folder.join(MANIFEST), json).context("cannot write the manifest")
}

/// Puts the finished folder in the place of the old one.
fn swap_in(finished: &Path, models: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let context = || format!("cannot put the new models in the place of {}", models.display());
    // A temporary folder is its owner's alone; models are for everyone who may run the server.
    fs::set_permissions(finished, fs::Permissions::from_mode(0o755)).with_context(context)?;
    let old = finished.with_extension("old");
    let replaces = models.exists();
    if replaces {
        fs::rename(models, &old).with_context(context)?;
    }
    if let Err(error) = fs::rename(finished, models) {
        if replaces {
            fs::rename(&old, models).with_context(context)?;
        }
        return Err(error).with_context(context);
    }
    if replaces {
        fs::remove_dir_all(&old).with_context(|| format!("cannot remove {}", old.display()))?;
    }
    Ok(())
}
