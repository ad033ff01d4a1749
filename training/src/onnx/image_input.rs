//! From the pixels a client sends to what a network was trained on, inside the graph.

use super::{Dim, GraphBuilder, Value, quantisation::Affine};

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

impl PixelScale {
    /// The same for all three channels, as a map of bytes; none where it differs between them or zero is no byte.
    pub(super) fn as_affine(self) -> Option<Affine> {
        let [mean, deviation] = [self.mean, self.deviation].map(|channels| channels[0]);
        let alike = self.mean == [mean; 3] && self.deviation == [deviation; 3];
        let byte = mean.fract() == 0.0 && (0.0..=255.0).contains(&mean);
        (alike && byte).then_some(Affine { scale: 1.0 / deviation, zero: mean as u8 })
    }
}

/// What calibration calls the normalised pixels.
pub(super) const PIXELS: &str = "pixels";

/// Declares the input `image`: uint8 [batch, height, width, 3] in RGB.
pub fn image_input(g: &mut GraphBuilder) -> Value<u8> {
    g.input("image", &[Dim::Named("batch"), Dim::Named("height"), Dim::Named("width"), Dim::Fixed(3)])
}

/// Emits the normalisation of pixels [batch, height, width, 3] -> float32 [batch, 3, height, width].
pub fn normalised(g: &mut GraphBuilder, pixels: &Value<u8>, scale: PixelScale) -> Value<f32> {
    // Bytes are moved, not floats; and ONNX Runtime is slow to broadcast over a last axis of three.
    let pixels = g.transpose(pixels, &[0, 3, 1, 2]);
    if let (Some(map), Some(activation)) = (scale.as_affine(), g.calibrated(PIXELS)) {
        return g.bytes_as_activation(PIXELS, pixels, map, activation);
    }
    let pixels: Value<f32> = g.cast(&pixels);
    let (mean, deviation) = (g.channels(&scale.mean), g.channels(&scale.deviation));
    let centred = g.sub(&pixels, &mean);
    let scaled = g.div(&centred, &deviation);
    g.activation(PIXELS, &scaled)
}
