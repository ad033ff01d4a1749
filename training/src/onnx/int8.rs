//! Layers in QDQ form: each rounded tensor is followed by its `DequantizeLinear`, so that the graph says what is meant in
//! floats and any client can run it; runtimes fuse the pairs into integer operators.

use super::{
    Arithmetic, GraphBuilder, Value,
    calibration::Activation,
    quantisation::{Affine, Int8Layer, Int8Tensor, smoothing, unscaled_rows},
};
use crate::weights::HostTensor;

/// What is known of a value that was rounded to 8 bits.
#[derive(Debug, Clone)]
pub(super) struct Rounded {
    activation: Activation,
    step: f32,
}

impl GraphBuilder {
    /// An activation that int8 keeps in 8 bits: rounded there, an output of the model where it is being observed, and
    /// otherwise `x` itself.
    pub fn activation(&mut self, name: &str, x: &Value<f32>) -> Value<f32> {
        self.observe(name, x);
        let Some(activation) = self.calibrated(name) else { return x.clone() };
        let map = Affine::covering(activation.range());
        let rounded = self.round(name, x, map);
        self.rounded.insert(rounded.name().to_owned(), Rounded { activation, step: map.scale });
        rounded
    }

    /// The bytes of photos as an activation, where int8 has seen it: they are 8 bits already, so nothing is rounded.
    pub(super) fn bytes_as_activation(
        &mut self,
        name: &str,
        bytes: &Value<u8>,
        map: Affine,
    ) -> Option<Value<f32>> {
        let activation = self.calibrated(name)?;
        let x = self.dequantise(name, bytes, map);
        self.rounded.insert(x.name().to_owned(), Rounded { activation, step: map.scale });
        Some(x)
    }

    /// Kernels [outputs, inputs / groups, height, width] and bias [outputs] for a convolution of `x`.
    pub(super) fn kernels(
        &mut self,
        name: &str,
        x: &Value<f32>,
        kernels: &HostTensor,
        bias: &HostTensor,
    ) -> [Value<f32>; 2] {
        let (weight_name, bias_name) = (format!("{name}.weight"), format!("{name}.bias"));
        let Some(Rounded { activation, step }) = self.rounded.get(x.name()) else {
            return [self.weight(&weight_name, kernels), self.weight(&bias_name, bias)];
        };
        let step = *step;
        let layer = Int8Layer::convolution(kernels, bias, activation, step);
        let bias_scales: Vec<f32> = layer.weight.scales.iter().map(|scale| scale * step).collect();
        let bias: Vec<i32> = layer
            .bias
            .iter()
            .zip(&bias_scales)
            .map(|(value, scale)| (value / scale).round() as i32)
            .collect();
        let bias = self.int32(&bias_name, &bias);
        let scales = self.vector(&format!("{bias_name}.scale"), &bias_scales);
        let bias = self.node("DequantizeLinear").input(&bias).input(&scales).int("axis", 0).emit();
        [self.int8_weight(&weight_name, &layer.weight), bias]
    }

    /// `x W + b`: `x` [..., in], `weight` [in, out], `bias` [out] -> [..., out]. The input is an activation of this name.
    pub fn linear(
        &mut self,
        name: &str,
        x: &Value<f32>,
        weight: &HostTensor,
        bias: &HostTensor,
    ) -> Value<f32> {
        self.observe(name, x);
        let (weight_name, bias_name) = (format!("{name}.weight"), format!("{name}.bias"));
        let Some(activation) = self.calibrated(name) else {
            let (weight, bias) = (self.weight(&weight_name, weight), self.weight(&bias_name, bias));
            return self.dense(x, &weight, &bias);
        };
        let factors = smoothing(&activation, weight);
        let activation = activation.scaled(&factors);
        let layer = Int8Layer::dense(&unscaled_rows(weight, &factors), bias, &activation);
        let factors = self.vector(&format!("{name}.smoothing"), &factors);
        let x = self.mul(x, &factors);
        let x = self.round(name, &x, Affine::covering(activation.range()));
        let weight = self.int8_weight(&weight_name, &layer.weight);
        let bias = self.vector(&bias_name, &layer.bias);
        self.dense(&x, &weight, &bias)
    }

    /// Makes `x` an output, where activations are observed.
    fn observe(&mut self, name: &str, x: &Value<f32>) {
        if matches!(self.arithmetic, Arithmetic::Observed) {
            self.output_of_any_shape(name, x);
        }
    }

    /// What calibration saw under this name, where int8 is wanted.
    fn calibrated(&self, name: &str) -> Option<Activation> {
        match &self.arithmetic {
            Arithmetic::Int8(calibration) => calibration.get(name).cloned(),
            Arithmetic::Float(_) | Arithmetic::Observed => None,
        }
    }

    fn round(&mut self, name: &str, x: &Value<f32>, map: Affine) -> Value<f32> {
        let (scale, zero) = self.affine(name, map);
        let rounded: Value<u8> = self.node("QuantizeLinear").input(x).input(&scale).input(&zero).emit();
        self.node("DequantizeLinear").input(&rounded).input(&scale).input(&zero).emit()
    }

    fn dequantise(&mut self, name: &str, x: &Value<u8>, map: Affine) -> Value<f32> {
        let (scale, zero) = self.affine(name, map);
        self.node("DequantizeLinear").input(x).input(&scale).input(&zero).emit()
    }

    fn affine(&mut self, name: &str, map: Affine) -> (Value<f32>, Value<u8>) {
        (self.scalar(map.scale), self.byte(&format!("{name}.zero"), map.zero))
    }

    fn int8_weight(&mut self, name: &str, weight: &Int8Tensor) -> Value<f32> {
        let values = self.int8(name, weight);
        let scales = self.vector(&format!("{name}.scale"), &weight.scales);
        self.node("DequantizeLinear").input(&values).input(&scales).int("axis", weight.axis as i64).emit()
    }
}
