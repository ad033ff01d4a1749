//! Layers in QDQ form: each rounded tensor is followed by its `DequantizeLinear`, so that the graph says what is meant in
//! floats and any client can run it; runtimes fuse the pairs into integer operators.

use super::{
    Arithmetic, GraphBuilder, Value,
    calibration::Activation,
    quantisation::{Affine, Int8Layer, Int8Tensor, smoothing, unscaled_rows},
};
use crate::weights::HostTensor;

/// An activation as it is while it has 8 bits.
#[derive(Debug, Clone)]
pub struct Bytes {
    pub values: Value<u8>,
    /// What they stand for.
    pub map: Affine,
    scale: Value<f32>,
    pub(super) zero: Value<u8>,
    pub(super) activation: Activation,
}

impl Bytes {
    /// The same in another order.
    pub fn moved_to(self, values: Value<u8>) -> Self {
        Self { values, ..self }
    }
}

impl GraphBuilder {
    /// An activation that int8 keeps in 8 bits: rounded there, an output of the model where it is being observed, and
    /// otherwise `x` itself.
    pub fn activation(&mut self, name: &str, x: &Value<f32>) -> Value<f32> {
        match self.rounded(name, x) {
            Some(bytes) => self.dequantised(bytes),
            None => x.clone(),
        }
    }

    /// The bytes of an activation, to be moved before they are floats again: between a convolution and its rounding nothing may
    /// come, or no runtime computes it in integers. None where int8 has not seen it.
    pub(super) fn rounded(&mut self, name: &str, x: &Value<f32>) -> Option<Bytes> {
        self.observe(name, x);
        let activation = self.calibrated(name)?;
        Some(self.quantised(name, x, activation))
    }

    fn quantised(&mut self, name: &str, x: &Value<f32>, activation: Activation) -> Bytes {
        let map = Affine::covering(activation.range());
        let (scale, zero) = self.affine(name, map);
        let values = self.node("QuantizeLinear").input(x).input(&scale).input(&zero).emit();
        Bytes { values, map, scale, zero, activation }
    }

    /// An activation that has 8 bits from the start: nothing is rounded.
    pub(super) fn bytes_as_activation(
        &mut self,
        name: &str,
        values: Value<u8>,
        map: Affine,
        activation: Activation,
    ) -> Value<f32> {
        let (scale, zero) = self.affine(name, map);
        self.dequantised(Bytes { values, map, scale, zero, activation })
    }

    /// What bytes stand for.
    pub(super) fn dequantised(&mut self, bytes: Bytes) -> Value<f32> {
        let node = self.node("DequantizeLinear").input(&bytes.values).input(&bytes.scale).input(&bytes.zero);
        let x: Value<f32> = node.emit();
        self.bytes.insert(x.name().to_owned(), bytes);
        x
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
        let Some(Bytes { activation, map, .. }) = self.bytes.get(x.name()) else {
            return [self.weight(&weight_name, kernels), self.weight(&bias_name, bias)];
        };
        let step = map.scale;
        let layer = Int8Layer::convolution(kernels, bias, activation, step);
        [self.int8_weight(&weight_name, &layer.weight), self.int32_bias(&bias_name, &layer, step)]
    }

    /// `x W + b`: `x` [..., in], in int8 [rows, in], `weight` [in, out], `bias` [out] -> [..., out]. The input is an activation
    /// of this name.
    pub fn linear(
        &mut self,
        name: &str,
        x: &Value<f32>,
        weight: &HostTensor,
        bias: &HostTensor,
    ) -> Value<f32> {
        let factors = self.smoothing(name, weight);
        let x = match &factors {
            Some(factors) => {
                let factors = self.vector(&format!("{name}.smoothing"), factors);
                self.mul(x, &factors)
            }
            None => x.clone(),
        };
        self.linear_of_smooth(name, &x, weight, bias, factors.as_deref())
    }

    /// What the channels of a layer's input are multiplied by before they are rounded; none where they are not.
    pub(super) fn smoothing(&self, name: &str, weight: &HostTensor) -> Option<Vec<f32>> {
        Some(smoothing(&self.calibrated(name)?, weight))
    }

    /// [`linear`](Self::linear) of an input whose channels were multiplied by `factors`, which are those of
    /// [`smoothing`](Self::smoothing).
    pub(super) fn linear_of_smooth(
        &mut self,
        name: &str,
        x: &Value<f32>,
        weight: &HostTensor,
        bias: &HostTensor,
        factors: Option<&[f32]>,
    ) -> Value<f32> {
        self.observe(name, x);
        let (weight_name, bias_name) = (format!("{name}.weight"), format!("{name}.bias"));
        let (Some(activation), Some(factors)) = (self.calibrated(name), factors) else {
            let (weight, bias) = (self.weight(&weight_name, weight), self.weight(&bias_name, bias));
            return self.dense(x, &weight, &bias);
        };
        let activation = activation.scaled(factors);
        let bytes = self.quantised(name, x, activation);
        let step = bytes.map.scale;
        let layer = Int8Layer::dense(&unscaled_rows(weight, factors), bias, &bytes.activation, step);
        let x = self.dequantised(bytes);
        let weight = self.int8_weight(&weight_name, &layer.weight);
        let bias = self.int32_bias(&bias_name, &layer, step);
        // Of a product of rows and a sum ONNX Runtime makes one operator in integers, the bias inside.
        self.node("Gemm").input(&x).input(&weight).input(&bias).emit()
    }

    /// Makes `x` an output, where activations are observed.
    fn observe(&mut self, name: &str, x: &Value<f32>) {
        if matches!(self.arithmetic, Arithmetic::Observed) {
            self.output_of_any_shape(name, x);
        }
    }

    /// What calibration saw under this name, where int8 is wanted.
    pub(super) fn calibrated(&self, name: &str) -> Option<Activation> {
        match &self.arithmetic {
            Arithmetic::Int8(calibration) => calibration.get(name).cloned(),
            Arithmetic::Float(_) | Arithmetic::Observed => None,
        }
    }

    fn affine(&mut self, name: &str, map: Affine) -> (Value<f32>, Value<u8>) {
        (self.scalar(map.scale), self.byte(&format!("{name}.zero"), map.zero))
    }

    fn int8_weight(&mut self, name: &str, weight: &Int8Tensor) -> Value<f32> {
        let values = self.int8(name, weight);
        let scales = self.vector(&format!("{name}.scale"), &weight.scales);
        // Said even where it is 0, or ONNX Runtime takes no Gemm for one of integers.
        let zeros = self.int8_repeated(weight.zero, weight.scales.len());
        self.node("DequantizeLinear")
            .input(&values)
            .input(&scales)
            .input(&zeros)
            .int("axis", weight.axis as i64)
            .emit()
    }

    /// The bias of a layer whose input comes in steps of `step`, in steps of the products.
    fn int32_bias(&mut self, name: &str, layer: &Int8Layer, step: f32) -> Value<f32> {
        let scales: Vec<f32> = layer.weight.scales.iter().map(|scale| scale * step).collect();
        let rounded = layer.bias.iter().zip(&scales).map(|(value, scale)| (value / scale).round() as i32);
        let bias = self.int32(name, &rounded.collect::<Vec<_>>());
        let scales = self.vector(&format!("{name}.scale"), &scales);
        self.node("DequantizeLinear").input(&bias).input(&scales).int("axis", 0).emit()
    }
}
