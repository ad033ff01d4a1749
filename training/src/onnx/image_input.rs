//! From the pixels a client sends to what a network was trained on, inside the graph.

use super::{Dim, GraphBuilder, Value};

/// What is subtracted from a channel of 0..=255 and what the rest is divided by, for red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelScale {
    pub mean: [f32; 3],
    pub deviation: [f32; 3],
}

/// Means and deviations of ImageNet's training photos, as in torchvision.
pub const IMAGENET: PixelScale = PixelScale {
    mean: [0.485 * 255.0, 0.456 * 255.0, 0.406 * 255.0],
    deviation: [0.229 * 255.0, 0.224 * 255.0, 0.225 * 255.0],
};

/// EfficientNet-Lite's range, chosen for integer arithmetic: about -1 to 1, with an exact zero.
pub const EFFICIENTNET_LITE: PixelScale = PixelScale { mean: [127.0; 3], deviation: [128.0; 3] };

/// Declares the input `image`, uint8 [batch, height, width, 3] in RGB, and emits its normalisation ->
/// float32 [batch, 3, height, width].
pub fn image_input(g: &mut GraphBuilder, scale: PixelScale) -> Value<f32> {
    let shape = [Dim::Named("batch"), Dim::Named("height"), Dim::Named("width"), Dim::Fixed(3)];
    let pixels: Value<u8> = g.input("image", &shape);
    let pixels: Value<f32> = g.cast(&pixels);
    let (mean, deviation) = (g.floats(&scale.mean), g.floats(&scale.deviation));
    let centred = g.sub(&pixels, &mean);
    let scaled = g.div(&centred, &deviation);
    g.transpose(&scaled, &[0, 3, 1, 2])
}
