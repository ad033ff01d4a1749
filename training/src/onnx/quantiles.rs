//! Price quantiles that cannot cross.

use super::{GraphBuilder, Value};

/// Columns of a price: the 10, 50 and 90 % quantiles.
pub const QUANTILES: usize = 3;

/// `(q10, q50, q90) = (b - softplus(a), b, b + softplus(c))` from the raw columns `(a, b, c)`: [batch, 3] -> [batch, 3].
/// A softplus is positive, so the three are in order whatever the network says.
pub fn ordered_quantiles(g: &mut GraphBuilder, raw: &Value<f32>) -> Value<f32> {
    let [below, median, above] = g.split(raw, [1; QUANTILES]);
    let below = g.softplus(&below);
    let above = g.softplus(&above);
    let low = g.sub(&median, &below);
    let high = g.add(&median, &above);
    g.concat(&[&low, &median, &high])
}
