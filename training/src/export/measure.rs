//! Variants of the models, calibrated on the validation split and measured on the test split as they will be served.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Error, Result};
use marketrank::{
    artefacts::{FileEntry, Manifest, Metrics, Precision, Variant},
    inference::{Inference, Model, Runtime},
};

use super::{folder::Staging, self_test::made_up_listing};
use crate::{
    data::{CleanTable, Split},
    evaluate::{
        answers::{answers, open_models},
        calibration::Calibration,
        measured::{MODELS, Measured},
    },
};

/// One listing takes milliseconds.
const SELF_TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Fits temperature and review threshold of all three models in this precision, puts them into the manifest with what the
/// models say of the self-test's listing, and opens the models as they will be served.
pub fn calibrate(
    staging: &Staging,
    manifest: &mut Manifest,
    precision: Precision,
    table: &CleanTable,
    runtime: &Runtime,
) -> Result<Arc<Inference>> {
    let requests = tokio::runtime::Runtime::new().context("no runtime for the requests")?;
    staging.manifest(manifest)?;
    let inference = open_models(staging.path(), runtime, precision.into())?;
    let self_test = match manifest.self_test.take() {
        Some(listing) => listing,
        None => made_up_listing()?,
    };
    let example = inference.self_test_example(&self_test).map_err(Error::msg)?;
    for (model, shown) in MODELS {
        let answers = requests.block_on(answers(&inference, table, &[Split::Validation], shown))?;
        let fitted = Calibration::fit(&answers);
        let variant = variant_mut(manifest, model, precision)?;
        variant.temperature = fitted.temperature;
        variant.review_threshold = fitted.review_threshold;
        let deadline = Instant::now() + SELF_TEST_TIMEOUT;
        let rows = requests.block_on(inference.run(model, vec![example.clone()], deadline))?;
        variant.self_test_logits = rows.into_iter().next().map(|row| row.logits);
    }
    manifest.self_test = Some(self_test);
    drop(inference);
    // The temperature is the manifest's: the models must be opened with it to be measured with it.
    staging.manifest(manifest)?;
    open_models(staging.path(), runtime, precision.into())
}

/// Puts what was measured into the manifest.
pub fn record(staging: &Staging, manifest: &mut Manifest, measured: &[Measured]) -> Result<()> {
    for Measured { model, precision, metrics, .. } in measured {
        variant_mut(manifest, *model, *precision)?.metrics = rounded(metrics);
    }
    staging.manifest(manifest)
}

/// A variant before anything was measured.
pub fn unmeasured(precision: Precision, file: FileEntry) -> Variant {
    Variant {
        precision,
        file,
        temperature: 1.0,
        review_threshold: 1.0,
        self_test_logits: None,
        metrics: Metrics { top1: 0.0, top3: 0.0, macro_f1: 0.0, ece: 0.0 },
    }
}

fn variant_mut(manifest: &mut Manifest, model: Model, precision: Precision) -> Result<&mut Variant> {
    let variant =
        manifest.model_mut(model).variants.iter_mut().find(|variant| variant.precision == precision);
    variant.with_context(|| format!("the manifest has no {} {} model", precision.name(), model.name()))
}

/// Four digits: what another machine reproduces.
fn rounded(metrics: &Metrics) -> Metrics {
    let round = |x: f64| (x * 1e4).round() / 1e4;
    let Metrics { top1, top3, macro_f1, ece } = *metrics;
    Metrics { top1: round(top1), top3: round(top3), macro_f1: round(macro_f1), ece: round(ece) }
}
