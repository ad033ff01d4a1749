//! Logistic regression on the pixels of small photos.

use anyhow::{Context, Result, ensure};
use linfa::{
    DatasetBase,
    traits::{Fit, Transformer},
};
use linfa_logistic::{MultiFittedLogisticRegression, MultiLogisticRegression};
use linfa_preprocessing::linear_scaling::LinearScaler;
use marketrank::artefacts::ImageInput;
use ndarray::{Array1, Array2, Axis, concatenate};

use super::{photos::read, result::Outcome};
use crate::{
    data::{CleanTable, Split},
    evaluate::metrics::{Scored, metrics},
    learn::corpus::Corpus,
};

const SIDE: u32 = 30;
const INPUT: ImageInput = ImageInput { height: SIDE, width: SIDE, letterbox: [0; 3] };
/// Penalties of a half squared weight against the summed loss. The strongest first: each fit begins where the one before it
/// ended, which saves most of its iterations.
const PENALTIES: [f64; 9] = [1e6, 3e5, 1e5, 3e4, 1e4, 3e3, 1e3, 3e2, 1e2];
/// The gradient has to become this much shorter than it is where all weights are zero.
const CONVERGED: f64 = 1e-3;
const MOST_ITERATIONS: u64 = 1_000;

/// In `f64`: the loss is a sum over all photos, so the first step along its gradient is far too long, and in `f32` linfa's
/// line search gives up before its steps are short enough. All weights stay zero then, without an error.
type Model = MultiFittedLogisticRegression<f64, usize>;
/// Pixels, a row a photo, and categories.
type Photos = DatasetBase<Array2<f64>, Array1<usize>>;

pub fn train(table: &CleanTable) -> Result<(String, Outcome)> {
    let corpus = Corpus::new(table);
    let train = photos(&corpus, Split::Train)?;
    let scaler = LinearScaler::standard().fit(&train).context("the pixels cannot be standardised")?;
    let train = scaler.transform(train);
    let validation = scaler.transform(photos(&corpus, Split::Validation)?);
    let test = scaler.transform(photos(&corpus, Split::Test)?);
    let categories = table.categories.len();
    let (penalty, model) = choose(&train, &validation, categories)?;
    let scored = scored(&model, &test, categories);
    let settings =
        format!("{SIDE}x{SIDE} pixels, penalty {penalty}, {} training photos", train.targets.len());
    Ok((settings, Outcome::Category { photos: scored.len(), metrics: metrics(&scored) }))
}

/// The penalty with the lowest loss on the validation photos, and what was fitted with it. Weaker ones are not tried once
/// the loss rises.
fn choose(train: &Photos, validation: &Photos, categories: usize) -> Result<(f64, Model)> {
    let mut best: Option<(f64, Model)> = None;
    let mut lowest = f64::INFINITY;
    for penalty in PENALTIES {
        let model = fit(train, penalty, best.as_ref().map(|(_, model)| model))?;
        let scored = scored(&model, validation, categories);
        let loss = mean_loss(&scored);
        println!(
            "penalty {penalty}: loss {loss:.3}, top-1 {:.1} % on the validation split",
            metrics(&scored).top1 * 100.0
        );
        if loss >= lowest {
            break;
        }
        lowest = loss;
        best = Some((penalty, model));
    }
    best.context("the loss of logistic regression is no number")
}

/// Fits to convergence, from the weights of another fit or from zero.
fn fit(train: &Photos, penalty: f64, from: Option<&Model>) -> Result<Model> {
    let mut classes = train.targets.to_vec();
    classes.sort_unstable();
    classes.dedup();
    let (photos, pixels) = train.records.dim();
    let weightless = Array2::zeros((pixels, classes.len()));
    let evenly = Array2::from_elem((photos, classes.len()), 1.0 / classes.len() as f64);
    let enough = CONVERGED * gradient_norm(train, &classes, evenly, &weightless, penalty);
    let mut regression = MultiLogisticRegression::default()
        .alpha(penalty)
        .max_iterations(MOST_ITERATIONS)
        .gradient_tolerance(enough);
    if let Some(from) = from {
        let intercept = from.intercept().view().insert_axis(Axis(0));
        regression = regression.initial_params(concatenate(Axis(0), &[from.params().view(), intercept])?);
    }
    let model = regression.fit(train).context("logistic regression fails")?;
    // linfa returns what it has when its iterations end or its line search fails, and does not say so.
    let left =
        gradient_norm(train, &classes, model.predict_probabilities(&train.records), model.params(), penalty);
    ensure!(
        left <= enough,
        "logistic regression with penalty {penalty} has not converged: its gradient is {left:.3} long, and {enough:.3} is \
         asked for"
    );
    Ok(model)
}

/// Length of the gradient of the penalised loss, given the probabilities that weights `[pixels, classes]` lead to.
fn gradient_norm(
    train: &Photos,
    classes: &[usize],
    probabilities: Array2<f64>,
    weights: &Array2<f64>,
    penalty: f64,
) -> f64 {
    let mut excess = probabilities;
    for (mut row, label) in excess.outer_iter_mut().zip(&train.targets) {
        if let Ok(class) = classes.binary_search(label) {
            row[class] -= 1.0;
        }
    }
    let of_weights = train.records.t().dot(&excess) + weights * penalty;
    let of_intercept = excess.sum_axis(Axis(0));
    (of_weights.iter().chain(&of_intercept).map(|x| x * x).sum::<f64>()).sqrt()
}

fn scored(model: &Model, photos: &Photos, categories: usize) -> Vec<Scored> {
    let probabilities = model.predict_probabilities(&photos.records);
    let rows = probabilities.outer_iter().zip(&photos.targets);
    rows.map(|(row, &label)| {
        // A category without a training photo is never predicted.
        let mut probabilities = vec![0.0; categories];
        model.classes().iter().zip(row).for_each(|(&class, &p)| probabilities[class] = p as f32);
        Scored { probabilities, label }
    })
    .collect()
}

/// Mean negative log-likelihood.
fn mean_loss(scored: &[Scored]) -> f64 {
    let of_label = |example: &Scored| -f64::from(example.probabilities[example.label].max(1e-9)).ln();
    scored.iter().map(of_label).sum::<f64>() / scored.len().max(1) as f64
}

/// Pixels from 0 to 1, a row a photo, and the categories.
fn photos(corpus: &Corpus<'_>, split: Split) -> Result<Photos> {
    let (photos, targets) = read(corpus, split, INPUT)?;
    let bytes = photos.iter().flat_map(|photo| photo.as_bytes());
    let pixels: Vec<f64> = bytes.map(|&byte| f64::from(byte) / 255.0).collect();
    let pixels = Array2::from_shape_vec((photos.len(), pixels.len() / photos.len()), pixels)?;
    Ok(DatasetBase::new(pixels, targets.iter().map(|target| target.category).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thousands of photos of which each half is bright in one place: the sum of their losses is steep.
    fn two_kinds(photos: usize) -> Photos {
        let pixels = Array2::from_shape_fn((photos, 50), |(photo, pixel)| {
            let noise = (photo * 31 + pixel * 17) % 7;
            if (pixel < 25) == (photo % 2 == 0) { 30.0 + noise as f64 } else { noise as f64 }
        });
        DatasetBase::new(pixels, (0..photos).map(|photo| photo % 2 * 3).collect())
    }

    #[test]
    fn photos_that_differ_are_told_apart_however_many_there_are() {
        let model = fit(&two_kinds(2_000), 1.0, None).unwrap();
        let scored = scored(&model, &two_kinds(100), 4);
        assert!(scored.iter().all(Scored::is_right));
        assert!(scored.iter().all(|example| example.probabilities[1] == 0.0));
    }

    #[test]
    fn a_fit_that_begins_at_another_one_ends_where_a_fresh_one_does() {
        let photos = two_kinds(200);
        let strong = fit(&photos, 1e6, None).unwrap();
        let [fresh, continued] = [None, Some(&strong)].map(|from| fit(&photos, 1e5, from).unwrap());
        let length = |weights: &Array2<f64>| weights.iter().map(|x| x * x).sum::<f64>().sqrt();
        let difference = length(&(fresh.params() - continued.params()));
        assert!(difference < 0.05 * length(fresh.params()), "{difference} of {}", length(fresh.params()));
    }
}
