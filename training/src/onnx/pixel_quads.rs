//! A photo network's first convolution over four pixels at a time, for int8.
//!
//! ONNX Runtime 1.32 reads the input channels of a convolution in integers by fours. Three colours it must lay out anew for each
//! window, which made the first of EfficientNet-Lite2's 64 convolutions its slowest, a tenth of the time. Four neighbours in a
//! row have twelve colours, which lie side by side as they are: a position of the convolution over such quads, two of them wide,
//! sees all that two positions of the other saw. More than half of its kernels are zeros, and still it takes a third of the time.

use super::{
    GraphBuilder, Value,
    image_input::{PIXELS, PixelScale},
};
use crate::weights::HostTensor;

const COLOURS: usize = 3;
/// Pixels of a quad.
const QUAD: usize = 4;
/// Pixels from one window to the next, in both directions.
const STRIDE: usize = 2;
/// Pixels of a window, in both directions.
const KERNEL: usize = 3;
/// Windows that begin in one quad.
const WINDOWS: usize = QUAD / STRIDE;
/// Quads that these reach over.
const REACH: usize = 2;

/// Pixels [batch, height, width, 3], `width` a multiple of four, as an activation of quads [batch, 12, height, width / 4]; none
/// where int8 has not seen the pixels.
pub(super) fn quads(g: &mut GraphBuilder, pixels: &Value<u8>, scale: PixelScale) -> Option<Value<f32>> {
    let (map, activation) = (scale.as_affine()?, g.calibrated(PIXELS)?.repeated(QUAD));
    let quads = g.reshape(pixels, &[0, 0, -1, (QUAD * COLOURS) as i64]);
    let quads = g.transpose(&quads, &[0, 3, 1, 2]);
    Some(g.bytes_as_activation(PIXELS, quads, map, activation))
}

/// Emits a convolution that has kernels [outputs, 3, 3, 3], stride 2 and TensorFlow's `SAME` padding over pixels, over quads
/// -> [batch, 2 outputs, height / 2, width / 4]: all outputs of a quad's first window, then those of its second.
pub(super) fn convolution(
    g: &mut GraphBuilder,
    name: &str,
    quads: &Value<f32>,
    kernels: &HostTensor,
    bias: &HostTensor,
) -> Value<f32> {
    let bias = HostTensor { shape: vec![bias.data.len() * WINDOWS], data: bias.data.repeat(WINDOWS) };
    let [kernels, bias] = g.kernels(name, quads, &over_quads(kernels), &bias);
    g.node("Conv")
        .input(quads)
        .input(&kernels)
        .input(&bias)
        .ints("kernel_shape", &[KERNEL as i64, REACH as i64])
        .ints("strides", &[STRIDE as i64, 1])
        .string("auto_pad", "SAME_UPPER")
        .emit()
}

/// What [`convolution`] gives, [batch, 2 outputs, height / 2, width / 4], as the other would have given it: [batch, outputs,
/// height / 2, width / 2]. Again nothing but a reshape, where channels lie last, as integers have them.
pub(super) fn windows_apart<T>(g: &mut GraphBuilder, x: &Value<T>, outputs: usize) -> Value<T> {
    let x = g.transpose(x, &[0, 2, 3, 1]);
    let x = g.reshape(&x, &[0, 0, -1, outputs as i64]);
    g.transpose(&x, &[0, 3, 1, 2])
}

/// Kernels [outputs, 3, 3, 3] over pixels to [2 outputs, 12, 3, 2] over quads.
fn over_quads(kernels: &HostTensor) -> HostTensor {
    let outputs = kernels.data.len() / (COLOURS * KERNEL * KERNEL);
    let shape = vec![WINDOWS * outputs, QUAD * COLOURS, KERNEL, REACH];
    let mut data = vec![0.0; shape.iter().product()];
    for (index, &weight) in kernels.data.iter().enumerate() {
        let (column, row) = (index % KERNEL, index / KERNEL % KERNEL);
        let colour = index / (KERNEL * KERNEL) % COLOURS;
        let output = index / (KERNEL * KERNEL * COLOURS);
        for window in 0..WINDOWS {
            let pixel = window * STRIDE + column;
            let channel = pixel % QUAD * COLOURS + colour;
            let kernel = (window * outputs + output) * QUAD * COLOURS + channel;
            data[(kernel * KERNEL + row) * REACH + pixel / QUAD] = weight;
        }
    }
    HostTensor { shape, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A convolution of pixels [height, width, channels] that pads nothing at the start and zeros at the end.
    fn convolve(
        x: &[f32],
        [height, width, channels]: [usize; 3],
        kernels: &HostTensor,
        [down, right]: [usize; 2],
    ) -> Vec<f32> {
        let [outputs, inputs, rows, columns] = kernels.shape[..] else { panic!("{:?}", kernels.shape) };
        assert_eq!(inputs, channels);
        let mut y = Vec::new();
        for top in (0..height).step_by(down) {
            for left in (0..width).step_by(right) {
                for output in 0..outputs {
                    let mut sum = 0.0;
                    for (row, column) in
                        (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)))
                    {
                        let (line, place) = (top + row, left + column);
                        if line < height && place < width {
                            for channel in 0..channels {
                                let weight = ((output * inputs + channel) * rows + row) * columns + column;
                                sum += kernels.data[weight] * x[(line * width + place) * channels + channel];
                            }
                        }
                    }
                    y.push(sum);
                }
            }
        }
        y
    }

    #[test]
    fn over_quads_a_convolution_gives_what_it_gives_over_pixels() {
        let (height, width, outputs) = (6, 12, 2);
        let pixels: Vec<f32> = (0..height * width * COLOURS).map(|index| (index * 37 % 101) as f32).collect();
        let shape = vec![outputs, COLOURS, KERNEL, KERNEL];
        let data = (0..shape.iter().product()).map(|index: usize| (index * 29 % 23) as f32 - 11.0).collect();
        let kernels = HostTensor { shape, data };
        let expected = convolve(&pixels, [height, width, COLOURS], &kernels, [STRIDE, STRIDE]);
        // Both are [rows, columns, outputs]: the two windows of a quad lie one after the other.
        let quads = [height, width / QUAD, QUAD * COLOURS];
        assert_eq!(convolve(&pixels, quads, &over_quads(&kernels), [STRIDE, 1]), expected);
    }
}
