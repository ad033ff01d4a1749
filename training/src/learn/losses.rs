//! What the heads are trained towards.

use burn::tensor::{
    Int, Tensor,
    activation::{log_softmax, softmax, softplus},
};

/// Softmax temperature of the contrastive loss; the usual choice for normalised embeddings (Chen et al. 2020, SimCLR).
const CONTRASTIVE_TEMPERATURE: f32 = 0.05;

/// Mean cross-entropy of logits `[batch, classes]` and labels `[batch]`, with label smoothing (Szegedy et al. 2016), over
/// the examples of weight 1; the others (weight 0) have no label.
pub fn cross_entropy(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    weights: Tensor<1>,
    smoothing: f32,
) -> Tensor<1> {
    let log_probabilities = log_softmax(logits, 1);
    let of_label = log_probabilities.clone().gather(1, labels.unsqueeze_dim::<2>(1)).squeeze_dim::<1>(1);
    let of_all = log_probabilities.mean_dim(1).squeeze_dim::<1>(1);
    let loss = of_label * (1.0 - smoothing) + of_all * smoothing;
    weighted_mean(loss.neg(), weights)
}

/// Mean cross-entropy of logits and wanted logits, both `[batch, classes]`, softened by a temperature; times its square, so
/// that gradients stay as large as without (Hinton et al. 2015).
pub fn soft_cross_entropy(logits: Tensor<2>, wanted: Tensor<2>, temperature: f32) -> Tensor<1> {
    let wanted = softmax(wanted / temperature, 1);
    let loss = (log_softmax(logits / temperature, 1) * wanted).sum_dim(1).mean().neg();
    loss * (temperature * temperature)
}

/// Mean pinball loss (Koenker and Bassett 1978) of price columns `[batch, 3]` and log prices `[batch]`, over the examples
/// of weight 1.
pub fn pinball(columns: Tensor<2>, log_price: Tensor<1>, weights: Tensor<1>) -> Tensor<1> {
    let quantiles = ordered_quantiles(columns);
    let mut total = Tensor::zeros_like(&log_price);
    for (index, quantile) in [0.1, 0.5, 0.9].into_iter().enumerate() {
        let predicted = quantiles.clone().narrow(1, index, 1).squeeze_dim::<1>(1);
        let above = log_price.clone() - predicted;
        total = total + (above.clone() * quantile).max_pair(above * (quantile - 1.0));
    }
    weighted_mean(total, weights)
}

/// 10, 50 and 90 % quantiles that cannot cross, from raw columns; as [`crate::onnx::quantiles::ordered_quantiles`].
pub fn ordered_quantiles(columns: Tensor<2>) -> Tensor<2> {
    let column = |index| columns.clone().narrow(1, index, 1);
    let median = column(1);
    let low = median.clone() - softplus(column(0), 1.0);
    let high = median.clone() + softplus(column(2), 1.0);
    Tensor::cat(vec![low, median, high], 1)
}

/// InfoNCE in both directions (van den Oord et al. 2018) between embeddings and anchors `[batch, width]` of L2 norm 1.
/// `targets` `[batch, batch]` says how much each anchor is wanted by each embedding; its rows and columns may hold several.
pub fn contrastive(embeddings: Tensor<2>, anchors: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let forth = contrastive_towards(embeddings.clone(), anchors.clone(), targets.clone());
    let back = contrastive_towards(anchors, embeddings, targets.transpose());
    (forth + back) / 2.0
}

/// InfoNCE from embeddings `[batch, width]` to anchors `[anchors, width]`, of L2 norm 1, that others hide among.
/// `wanted` `[batch, anchors]` as in [`contrastive`]; each row wants something.
pub fn contrastive_towards(embeddings: Tensor<2>, anchors: Tensor<2>, wanted: Tensor<2>) -> Tensor<1> {
    let similarities = embeddings.matmul(anchors.transpose()) / CONTRASTIVE_TEMPERATURE;
    let shares = wanted.clone() / wanted.sum_dim(1);
    (log_softmax(similarities, 1) * shares).sum_dim(1).mean().neg()
}

/// InfoNCE among the rows of one batch, `[batch, width]` of L2 norm 1 (supervised contrastive learning, Khosla et al.
/// 2020). `twins` `[batch, batch]` is 1 where two different rows belong together; rows without a twin only repel.
pub fn contrastive_among(embeddings: Tensor<2>, twins: Tensor<2>) -> Tensor<1> {
    let [size, _] = embeddings.dims();
    let itself = Tensor::<2>::eye(size, &embeddings.device());
    let similarities = embeddings.clone().matmul(embeddings.transpose()) / CONTRASTIVE_TEMPERATURE;
    // Cosines over the temperature stay far above this.
    let log_shares = log_softmax(similarities - itself * 1e4, 1);
    let wanted = twins.clone().sum_dim(1);
    let has_twin = wanted.clone().clamp_max(1.0).squeeze_dim::<1>(1);
    let of_row = (log_shares * twins).sum_dim(1) / wanted.clamp_min(1.0);
    weighted_mean(of_row.squeeze_dim::<1>(1).neg(), has_twin)
}

fn weighted_mean(values: Tensor<1>, weights: Tensor<1>) -> Tensor<1> {
    (values * weights.clone()).sum() / weights.sum().clamp_min(1.0)
}
