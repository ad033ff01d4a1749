//! The operators that the networks are made of, as methods of [`GraphBuilder`].
//!
//! Shapes are given as in the ONNX specification; binary operators broadcast as NumPy does.

use std::f32::consts::SQRT_2;

use super::{GraphBuilder, Value, graph::Table, tensor::Element};

/// Keeps a division by a norm finite where the vector is zero.
const SMALLEST_NORM: f32 = 1e-12;

impl GraphBuilder {
    pub fn cast<From, To: Element>(&mut self, x: &Value<From>) -> Value<To> {
        self.node("Cast").input(x).int("to", To::DATA_TYPE as i64).emit()
    }

    pub fn add<T>(&mut self, a: &Value<T>, b: &Value<T>) -> Value<T> {
        self.node("Add").input(a).input(b).emit()
    }

    pub fn sub<T>(&mut self, a: &Value<T>, b: &Value<T>) -> Value<T> {
        self.node("Sub").input(a).input(b).emit()
    }

    pub fn mul<T>(&mut self, a: &Value<T>, b: &Value<T>) -> Value<T> {
        self.node("Mul").input(a).input(b).emit()
    }

    pub fn div<T>(&mut self, a: &Value<T>, b: &Value<T>) -> Value<T> {
        self.node("Div").input(a).input(b).emit()
    }

    /// The remainder of `a / b`; both are non-negative here, where all conventions agree.
    pub fn modulo(&mut self, a: &Value<i64>, b: &Value<i64>) -> Value<i64> {
        self.node("Mod").input(a).input(b).emit()
    }

    pub fn max(&mut self, a: &Value<f32>, b: &Value<f32>) -> Value<f32> {
        self.node("Max").input(a).input(b).emit()
    }

    pub fn relu(&mut self, x: &Value<f32>) -> Value<f32> {
        self.node("Relu").input(x).emit()
    }

    /// `min(max(x, 0), 6)`.
    pub fn relu6(&mut self, x: &Value<f32>) -> Value<f32> {
        let (low, high) = (self.scalar(0.0), self.scalar(6.0));
        self.node("Clip").input(x).input(&low).input(&high).emit()
    }

    /// `x / 2 (1 + erf(x / sqrt 2))`, the exact form (Hendrycks and Gimpel 2016). Opset 17 has no operator for it;
    /// ONNX Runtime recognises these five nodes in this order and fuses them.
    pub fn gelu(&mut self, x: &Value<f32>) -> Value<f32> {
        let (root, one, half) = (self.scalar(SQRT_2), self.scalar(1.0), self.scalar(0.5));
        let scaled = self.div(x, &root);
        let erf = self.node("Erf").input(&scaled).emit();
        let above = self.add(&erf, &one);
        let product = self.mul(x, &above);
        self.mul(&product, &half)
    }

    /// `ln(1 + exp x)`.
    pub fn softplus(&mut self, x: &Value<f32>) -> Value<f32> {
        self.node("Softplus").input(x).emit()
    }

    pub fn sqrt(&mut self, x: &Value<f32>) -> Value<f32> {
        self.node("Sqrt").input(x).emit()
    }

    /// Over the last axis.
    pub fn softmax(&mut self, x: &Value<f32>) -> Value<f32> {
        self.node("Softmax").input(x).int("axis", -1).emit()
    }

    /// `(x - mean) / sqrt(variance + epsilon)` over the last axis, `width` wide, times a gain and plus an offset as wide as it (Ba
    /// et al. 2016).
    ///
    /// Int8 models spell it out, because they run on CPUs: there ONNX Runtime 1.32 goes through `LayerNormalization` number by
    /// number, and through these operators by SIMD (60 rows of 384: 103 against 28 us). On a GPU one operator is better than
    /// eight. (The root of the width is multiplied into the gain once, at load: both are constants.)
    pub fn layer_norm(
        &mut self,
        x: &Value<f32>,
        [gain, offset]: [&Value<f32>; 2],
        epsilon: f32,
        width: usize,
    ) -> Value<f32> {
        if self.arithmetic.is_int8() {
            let mean = self.reduce_last("ReduceMean", x);
            let centred = self.sub(x, &mean);
            let squares = self.reduce_last("ReduceSumSquare", &centred);
            let epsilons = self.scalar(width as f32 * epsilon);
            let squares = self.add(&squares, &epsilons);
            let norm = self.sqrt(&squares);
            let direction = self.div(&centred, &norm);
            let norm_of_ones = self.scalar((width as f32).sqrt());
            let gain = self.mul(gain, &norm_of_ones);
            let scaled = self.mul(&direction, &gain);
            return self.add(&scaled, offset);
        }
        self.node("LayerNormalization")
            .input(x)
            .input(gain)
            .input(offset)
            .int("axis", -1)
            .float("epsilon", epsilon)
            .emit()
    }

    /// `x / |x|` over the last axis; a zero vector stays zero. (For `LpNormalization` of opset 23 ONNX Runtime 1.24 has nothing, nor
    /// has CUDA.)
    pub fn l2_normalise(&mut self, x: &Value<f32>) -> Value<f32> {
        let norm = self.reduce_last("ReduceL2", x);
        let smallest = self.scalar(SMALLEST_NORM);
        let norm = self.max(&norm, &smallest);
        self.div(x, &norm)
    }

    /// The sum over the last axis, which stays as an axis of size 1.
    pub fn sum_last(&mut self, x: &Value<f32>) -> Value<f32> {
        let axes = self.integers(&[-1]);
        self.node("ReduceSum").input(x).input(&axes).int("keepdims", 1).emit()
    }

    /// Another reduction over the last axis, which stays as an axis of size 1.
    fn reduce_last(&mut self, operator: &str, x: &Value<f32>) -> Value<f32> {
        self.reduce(operator, x, &[-1], true)
    }

    /// Before opset 18 only `ReduceSum` had its axes as an input.
    pub(super) fn reduce(&mut self, operator: &str, x: &Value<f32>, axes: &[i64], keep: bool) -> Value<f32> {
        let node = if self.arithmetic.is_int8() {
            let axes = self.integers(axes);
            self.node(operator).input(x).input(&axes)
        } else {
            self.node(operator).input(x).ints("axes", axes)
        };
        node.int("keepdims", i64::from(keep)).emit()
    }

    /// `(a - zero of a) (b - zero of b)` in integers of 32 bits.
    pub(super) fn integer_matmul<A, B>(
        &mut self,
        (a, zero_of_a): (&Value<A>, &Value<A>),
        (b, zero_of_b): (&Value<B>, &Value<B>),
    ) -> Value<i32> {
        self.node("MatMulInteger").input(a).input(b).input(zero_of_a).input(zero_of_b).emit()
    }

    pub fn matmul(&mut self, a: &Value<f32>, b: &Value<f32>) -> Value<f32> {
        self.node("MatMul").input(a).input(b).emit()
    }

    /// `x W + b`: `x` [..., in], `weight` [in, out], `bias` [out] -> [..., out].
    pub fn dense(&mut self, x: &Value<f32>, weight: &Value<f32>, bias: &Value<f32>) -> Value<f32> {
        let product = self.matmul(x, weight);
        self.add(&product, bias)
    }

    /// The sum of `rows` [batch, n, width] weighted by `weights` [batch, n] -> [batch, width].
    pub fn weighted_sum(&mut self, weights: &Value<f32>, rows: &Value<f32>) -> Value<f32> {
        let weights = self.unsqueeze(weights, &[1]);
        let sum = self.matmul(&weights, rows);
        self.squeeze(&sum, &[1])
    }

    /// The mean of each channel: [batch, channels, height, width] -> [batch, channels].
    pub fn global_average_pool(&mut self, x: &Value<f32>) -> Value<f32> {
        let pooled: Value<f32> = self.node("GlobalAveragePool").input(x).emit();
        self.node("Flatten").input(&pooled).emit()
    }

    /// The rows of a table [rows, width] at `indices` [...] -> float32 [..., width].
    pub fn gather_rows(&mut self, table: &Table, indices: &Value<i64>) -> Value<f32> {
        match table {
            Table::Float32(rows) => self.node("Gather").input(rows).input(indices).int("axis", 0).emit(),
            Table::Float16(rows) => {
                let rows: Value<half::f16> =
                    self.node("Gather").input(rows).input(indices).int("axis", 0).emit();
                self.cast(&rows)
            }
            Table::Int8(rows, scales) => {
                let rows: Value<i8> = self.node("Gather").input(rows).input(indices).int("axis", 0).emit();
                let rows = self.cast(&rows);
                self.mul(&rows, scales)
            }
        }
    }

    pub fn reshape<T>(&mut self, x: &Value<T>, shape: &[i64]) -> Value<T> {
        let shape = self.integers(shape);
        self.node("Reshape").input(x).input(&shape).emit()
    }

    pub fn transpose<T>(&mut self, x: &Value<T>, order: &[i64]) -> Value<T> {
        self.node("Transpose").input(x).ints("perm", order).emit()
    }

    pub fn unsqueeze<T>(&mut self, x: &Value<T>, axes: &[i64]) -> Value<T> {
        let axes = self.integers(axes);
        self.node("Unsqueeze").input(x).input(&axes).emit()
    }

    /// Without these dimensions, which are of size 1.
    pub fn squeeze(&mut self, x: &Value<f32>, axes: &[i64]) -> Value<f32> {
        let axes = self.integers(axes);
        self.node("Squeeze").input(x).input(&axes).emit()
    }

    /// Positions `from..to` along one axis; a negative bound counts from the end.
    pub fn slice<T>(&mut self, x: &Value<T>, axis: i64, from: i64, to: i64) -> Value<T> {
        let (from, to, axis) = (self.integers(&[from]), self.integers(&[to]), self.integers(&[axis]));
        self.node("Slice").input(x).input(&from).input(&to).input(&axis).emit()
    }

    /// `x` with so many zeros before and after it along each axis.
    pub fn padded<const AXES: usize>(
        &mut self,
        x: &Value<f32>,
        before: [i64; AXES],
        after: [i64; AXES],
    ) -> Value<f32> {
        let zeros = self.integers(&[before, after].concat());
        self.node("Pad").input(x).input(&zeros).emit()
    }

    /// Along the last axis.
    pub fn concat<T>(&mut self, parts: &[&Value<T>]) -> Value<T> {
        parts.iter().fold(self.node("Concat"), |node, part| node.input(part)).int("axis", -1).emit()
    }

    /// Cuts the last axis into pieces of these widths.
    pub fn split<const N: usize>(&mut self, x: &Value<f32>, widths: [usize; N]) -> [Value<f32>; N] {
        let widths = self.integers(&widths.map(|width| width as i64));
        self.node("Split").input(x).input(&widths).int("axis", -1).emit_array()
    }
}
