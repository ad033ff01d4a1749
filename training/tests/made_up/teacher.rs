//! A teacher of the market who knows what is what, and what a model has learnt in the end.

use std::{fmt::Write as _, fs, path::Path};

use burn::tensor::Device;
use marketrank_train::learn::fit::{FitConfig, Lesson, fit, schedule::Schedule};

use crate::bikes_and_sofas::{LISTINGS, THINGS, VALIDATION};

/// Writes its answers to the training listings, in the order in which it pleased it to answer.
pub fn write_answers(path: &Path) {
    let mut table = "listing,part,title,description,c0,c1,c2,c3,c4\n".to_owned();
    for number in (VALIDATION..LISTINGS).rev() {
        let thing = number % 2;
        let (name, answer) = (THINGS[thing], ["6,-6,0,3,0", "-6,6,0,3,0"][thing]);
        for (part, text) in [
            ("view", format!("{name} {number}")),
            ("title", String::new()),
            ("whole", format!("used {name} {number}")),
        ] {
            writeln!(table, "{number},{part},{name},{text},{answer}").unwrap();
        }
    }
    fs::write(path, table).unwrap();
}

/// Trains to the end, in so many epochs.
pub fn recipe(epochs: usize, batch_size: usize, learning_rate: f64) -> FitConfig {
    FitConfig {
        epochs,
        batch_size,
        shards: 1,
        learning_rate,
        schedule: Schedule::OneCycle,
        weight_decay: 1e-2,
        gradient_clip: 1.0,
        patience: epochs,
        seed: 1,
    }
}

/// How many of the validation listings a model that learnt the lesson gets right.
pub fn accuracy<L: Lesson>(recipe: &FitConfig, lesson: &L, model: L::Network, run: &Path) -> f32 {
    let fitted = fit(recipe, lesson, model, &Device::flex(), run, false).unwrap();
    fitted.epochs.last().unwrap().validation.accuracy as f32
}
