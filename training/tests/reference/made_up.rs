//! Tensors whose values follow from their names, so that a network needs no weight file to be checked.

use burn::tensor::{Device, Tensor, TensorData};
use marketrank_train::weights::{HostTensor, StateDict};

/// Uniform in [-0.5, 0.5): the integer hash of an element's index and its tensor's name.
pub fn uniform(name: &str, index: u32) -> f64 {
    let fnv1a =
        name.bytes().fold(2_166_136_261_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
    let mut x = index.wrapping_mul(2_654_435_761).wrapping_add(fnv1a);
    x = (x ^ (x >> 16)).wrapping_mul(2_246_822_519);
    x = (x ^ (x >> 13)).wrapping_mul(3_266_489_917);
    f64::from(x ^ (x >> 16)) / 4_294_967_296.0 - 0.5
}

/// An input `[.., height, width]` of uniform values, times `scale`.
pub fn input<const D: usize>(shape: [usize; D], scale: f64, device: &Device) -> Tensor<D> {
    let values: Vec<f32> = (0..shape.iter().product::<usize>())
        .map(|index| (scale * uniform("input", index as u32)) as f32)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A ResNet's tensors with the values of the recipe in place of their own.
pub fn resnet(like: &StateDict) -> StateDict {
    like.iter().map(|(name, tensor)| (name.to_owned(), made_up(name, &tensor.shape))).collect()
}

fn made_up(name: &str, shape: &[usize]) -> HostTensor {
    let value: Box<dyn Fn(f64) -> f64> = match *shape {
        [_, input, height, width] => {
            let scale = 2.0 * (6.0 / (input * height * width) as f64).sqrt();
            Box::new(move |u| u * scale)
        }
        [_, input] => {
            let scale = 2.0 * (3.0 / input as f64).sqrt();
            Box::new(move |u| u * scale)
        }
        _ if name.ends_with(".running_var") => Box::new(|u| 1.0 + u),
        _ if name.ends_with(".running_mean") || name.ends_with(".bias") => Box::new(|u| 0.2 * u),
        _ if name.ends_with(".bn3.weight") => Box::new(|u| 0.3 + 0.2 * u),
        _ => Box::new(|u| 0.8 + 0.2 * u),
    };
    let data =
        (0..shape.iter().product::<usize>()).map(|index| value(uniform(name, index as u32)) as f32).collect();
    HostTensor { shape: shape.to_vec(), data }
}

#[test]
fn the_hash_gives_the_values_of_the_recipe() {
    let values = [0, 1, 2].map(|index| uniform("conv1.weight", index) as f32);

    super::closeness::assert_close("u", &values, &[0.016_958_64, -0.014_784_64, 0.442_755_9]);
}
