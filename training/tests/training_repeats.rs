//! The training loop on made-up examples: it learns, it repeats, and it keeps its best epoch.

use burn::tensor::Device;
use marketrank_train::{
    learn::{
        examples::{Anchors, Examples, Target},
        features::Features,
        fit::{FitConfig, Fitted, fit},
        heads::HeadsConfig,
    },
    onnx::LabelCounts,
};

const LABELS: LabelCounts = LabelCounts { categories: 3, subcategories: 3 };
const WIDTH: usize = 12;

/// Listings whose category shows in one of the first three features, under noise.
fn examples(count: usize, mut state: u32) -> Examples {
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state as f32 / u32::MAX as f32 - 0.5
    };
    let mut values = Vec::new();
    let mut targets = Vec::new();
    for listing in 0..count {
        let category = listing % 3;
        values.extend((0..WIDTH).map(|i| random() + if i == category { 1.0 } else { 0.0 }));
        targets.push(Target {
            category,
            subcategory: Some(category),
            log_price: Some(category as f32),
            listing,
            path: category,
        });
    }
    let features = Features::new(WIDTH, values);
    Examples {
        anchors: Anchors::SameProjection(features.clone()),
        features: vec![features],
        words: None,
        targets,
    }
}

fn trained(seed: u64, epochs: usize, patience: usize) -> Fitted {
    let config = FitConfig {
        epochs,
        batch_size: 16,
        learning_rate: 1e-2,
        weight_decay: 1e-2,
        label_smoothing: 0.05,
        subcategory_weight: 0.5,
        price_weight: 0.3,
        embedding_weight: 0.5,
        patience,
        seed,
    };
    let heads = HeadsConfig {
        features: WIDTH,
        text_features: 0,
        columns: Some(LABELS.classes_and_price()),
        hidden: Some(16),
        projection_hidden: None,
        embedding: 8,
        residual: false,
        vocabulary: None,
        dropout: 0.2,
    };
    fit(&config, &heads, None, LABELS, &examples(120, 3), &examples(60, 17), &Device::flex()).unwrap()
}

/// In one test, because burn's random numbers are the process's own, and tests run side by side.
#[test]
fn the_same_seed_gives_the_same_heads_and_another_seed_gives_others() {
    let first = trained(1, 6, 6);
    let best = &first.epochs[first.best];
    assert!(best.accuracy > 0.9, "{:?}", first.epochs);
    assert!(first.epochs.iter().all(|epoch| epoch.accuracy <= best.accuracy));

    let again = trained(1, 6, 6);
    assert_eq!(again.epochs, first.epochs);
    assert_eq!(again.tensors, first.tensors);
    assert_ne!(trained(2, 6, 6).tensors, first.tensors);

    let stopped = trained(1, 200, 3);
    assert_eq!(stopped.epochs.len(), stopped.best + 1 + 3);
}
