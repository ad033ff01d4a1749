//! Learning curves: loss and accuracy after each epoch of a training.

use super::{
    Picture,
    plot::{Axis, Plot, percent, round_step},
    svg::{Point, Svg},
};
use crate::learn::{
    fit::Epoch,
    run_report::{Expert, RunReport},
};

/// Size of each of the two plots.
const SIZE: Point = (300.0, 220.0);
const TOP: f64 = 84.0;

/// A picture for each training of a run.
pub fn of_run(run: &RunReport) -> impl Iterator<Item = Picture> {
    run.experts.iter().filter(|expert| !expert.epochs.is_empty()).map(|expert| {
        let title = format!("Learning curves: {}, {}", run.model, expert.name);
        Picture {
            name: format!("{}-{}-learning", run.model, expert.name),
            svg: draw(&title, run.seed, expert).to_string(),
            description: title,
        }
    })
}

fn draw(title: &str, seed: u64, expert: &Expert) -> Svg {
    let Expert { fit, best_epoch, epochs, .. } = expert;
    let mut svg = Svg::new(800.0, 360.0, title);
    svg.text((16.0, 26.0), "strong", title);
    let subtitle = format!(
        "seed {seed}, batches of {}, learning rate {} at most; kept: epoch {best_epoch}",
        fit.batch_size, fit.learning_rate
    );
    svg.text((16.0, 44.0), "muted", &subtitle);

    let losses = || epochs.iter().flat_map(|epoch| [epoch.loss, epoch.validation.loss]);
    let (low, high) = (losses().fold(f64::INFINITY, f64::min), losses().fold(f64::NEG_INFINITY, f64::max));
    let step = round_step((high - low).max(1e-3));
    let from = (low / step + 1e-9).floor() * step;
    let to = ((high / step - 1e-9).ceil() * step).max(from + step);
    let loss = Axis { from, to, step, label: "loss", format: short };
    let accuracy = Axis { from: 0.0, to: 1.0, step: 0.2, label: "right on validation", format: percent };
    let curve = |name, class, value: fn(&Epoch) -> f64| Curve { name, class, value };
    let training = curve("training", "first", |epoch| epoch.loss);
    let validation = curve("validation", "second", |epoch| epoch.validation.loss);
    panel(&mut svg, 64.0, loss, expert, &[training, validation]);
    let right = curve("validation", "second", |epoch| epoch.validation.accuracy);
    panel(&mut svg, 470.0, accuracy, expert, &[right]);
    svg
}

/// A value of each epoch.
struct Curve {
    name: &'static str,
    class: &'static str,
    value: fn(&Epoch) -> f64,
}

/// One plot over the epochs.
fn panel(svg: &mut Svg, left: f64, y: Axis<'_>, expert: &Expert, curves: &[Curve]) {
    let last = expert.epochs.len().saturating_sub(1).max(1) as f64;
    let x = Axis { from: 0.0, to: last, step: round_step(last).max(1.0), label: "epoch", format: short };
    let (bottom, top) = (y.from, y.to);
    let plot = Plot { at: (left, TOP), size: SIZE, x, y };
    plot.draw(svg);
    let best = expert.best_epoch as f64;
    svg.line(plot.point(best, bottom), plot.point(best, top), "dashed");
    let mut legend = left;
    for Curve { name, class, value } in curves {
        let point = |(index, epoch)| plot.point(index as f64, value(epoch));
        svg.curve(expert.epochs.iter().enumerate().map(point), class);
        if let Some(kept) = expert.epochs.get(expert.best_epoch) {
            svg.dot(point((expert.best_epoch, kept)), "");
        }
        svg.curve([(legend, TOP - 12.0), (legend + 18.0, TOP - 12.0)].into_iter(), class);
        svg.text((legend + 24.0, TOP - 8.0), "small", name);
        legend += 100.0;
    }
}

/// A number without the digits that rounding errors add.
fn short(value: f64) -> String {
    format!("{}", (value * 1e6).round() / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::fit::{FitConfig, Score, schedule::Schedule};

    fn run() -> RunReport {
        let fit = FitConfig {
            epochs: 4,
            batch_size: 32,
            shards: 1,
            learning_rate: 1e-3,
            schedule: Schedule::OneCycle,
            weight_decay: 0.0,
            gradient_clip: 1.0,
            patience: 1,
            seed: 7,
        };
        let epoch =
            |loss, validation, accuracy| Epoch { loss, validation: Score { loss: validation, accuracy } };
        let epochs = vec![epoch(3.0, 2.5, 0.2), epoch(2.0, 2.0, 0.5), epoch(1.0, 2.25, 0.45)];
        RunReport {
            model: "text".into(),
            data_sha256: "0".into(),
            seed: 7,
            teacher: None,
            experts: vec![Expert { name: "words".into(), fit, best_epoch: 1, epochs }],
            validation: Score { loss: 2.0, accuracy: 0.5 },
        }
    }

    #[test]
    fn the_curves_of_a_run_folder_are_those_that_its_training_wrote() {
        let runs = tempfile::tempdir().unwrap();
        std::fs::create_dir(runs.path().join("text")).unwrap();
        run().write(&runs.path().join("text")).unwrap();
        let read = RunReport::read_all(runs.path()).unwrap();
        assert_eq!(read, [run()]);
        let pictures: Vec<Picture> = of_run(&read[0]).collect();
        assert_eq!(pictures.len(), 1);
        assert_eq!(pictures[0].name, "text-words-learning");
        // From 3 at the top of 220 pixels down to 1 at their foot.
        assert!(pictures[0].svg.contains(r#"points="64,84 214,194 364,304" class="curve first""#));
        assert!(pictures[0].svg.contains(r#"points="64,139 214,194 364,166.5" class="curve second""#));
        assert!(pictures[0].svg.contains(r#"<circle cx="214" cy="194""#), "the epoch that was kept");
        assert!(pictures[0].svg.contains("seed 7"), "{}", pictures[0].svg);
    }
}
