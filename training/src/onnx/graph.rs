//! A graph under construction: inputs, outputs, constants and metadata. Nodes are in `node`, operators in `ops`.

use std::{
    collections::{HashMap, HashSet},
    marker::PhantomData,
    rc::Rc,
};

use half::f16;
use prost::Message;

use super::{
    Arithmetic, OnnxError,
    int8::Bytes,
    node::NodeBuilder,
    proto::{
        GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
        TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
    },
    quantisation::Int8Tensor,
    tensor,
    tensor::Element,
};
use crate::weights::HostTensor;

/// An operator set and the file format that came with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    opset: i64,
    ir: i64,
}

/// The oldest with `LayerNormalization` (ONNX 1.12), and so the one that most runtimes read.
const FLOAT_VERSION: Version = Version { opset: 17, ir: 8 };
/// The oldest with `Attention` (ONNX 1.18).
const INT8_VERSION: Version = Version { opset: 23, ir: 11 };
/// Where protobuf messages end, and so files that hold their own weights.
const LARGEST_FILE: usize = i32::MAX as usize;

/// A tensor inside the graph: a handle to give to operators. `T` is the type of its elements.
#[derive(Debug)]
pub struct Value<T> {
    name: Rc<str>,
    element: PhantomData<T>,
}

impl<T> Value<T> {
    pub(super) fn named(name: &str) -> Self {
        Self { name: name.into(), element: PhantomData }
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl<T> Clone for Value<T> {
    fn clone(&self) -> Self {
        Self { name: Rc::clone(&self.name), element: PhantomData }
    }
}

/// One dimension of an input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dim {
    Fixed(usize),
    /// Free at run time; equal wherever the name is the same.
    Named(&'static str),
}

/// A table of rows as it lies in the file, for [`GraphBuilder::gather_rows`].
#[derive(Debug, Clone)]
pub enum Table {
    Float32(Value<f32>),
    Float16(Value<f16>),
    /// A scale for each column.
    Int8(Value<i8>, Value<f32>),
}

/// Collects the parts of one model.
#[derive(Debug)]
pub struct GraphBuilder {
    graph: GraphProto,
    pub(super) arithmetic: Arithmetic,
    /// What values were before they were floats, where they had 8 bits.
    pub(super) bytes: HashMap<String, Bytes>,
    metadata: Vec<StringStringEntryProto>,
    /// How often each name was asked for, to make the next one unique.
    names: HashMap<String, usize>,
    /// Constants are named after their content, so that each is stored once.
    constants: HashSet<String>,
}

impl GraphBuilder {
    /// An empty graph in this arithmetic: a [`Precision`](super::Precision), or int8.
    pub fn new(name: &str, arithmetic: impl Into<Arithmetic>) -> Self {
        let arithmetic = arithmetic.into();
        let precision = arithmetic.name();
        let mut builder = Self {
            graph: GraphProto { name: name.to_owned(), ..GraphProto::default() },
            arithmetic,
            bytes: HashMap::new(),
            metadata: Vec::new(),
            names: HashMap::new(),
            constants: HashSet::new(),
        };
        builder.metadata("precision", precision);
        builder
    }

    /// Adds an entry to the model's metadata.
    pub fn metadata(&mut self, key: &str, value: &str) {
        self.metadata.push(StringStringEntryProto { key: key.to_owned(), value: value.to_owned() });
    }

    pub fn input<T: Element>(&mut self, name: &str, shape: &[Dim]) -> Value<T> {
        self.names.insert(name.to_owned(), 1);
        self.graph.input.push(described::<T>(name, shape));
        Value::named(name)
    }

    /// Makes `value` an output of the model under this name. (The `Identity` that renames it costs nothing: runtimes
    /// remove it at load.)
    pub fn output<T: Element>(&mut self, name: &str, value: &Value<T>, shape: &[Dim]) {
        self.add_output(name, value, described::<T>(name, shape));
    }

    /// The same without a word on its dimensions.
    pub(super) fn output_of_any_shape<T: Element>(&mut self, name: &str, value: &Value<T>) {
        let mut output = described::<T>(name, &[]);
        if let Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), .. }) = &mut output.r#type
        {
            tensor.shape = None;
        }
        self.add_output(name, value, output);
    }

    fn add_output<T>(&mut self, name: &str, value: &Value<T>, output: ValueInfoProto) {
        self.names.insert(name.to_owned(), 1);
        self.graph.output.push(output);
        self.graph.node.push(NodeProto {
            op_type: "Identity".to_owned(),
            name: format!("output.{name}"),
            input: vec![value.name().to_owned()],
            output: vec![name.to_owned()],
            ..NodeProto::default()
        });
    }

    /// A trained tensor, in the graph's precision. Half-precision weights are followed by a `Cast` to float32, which
    /// runtimes fold at load.
    pub fn weight(&mut self, name: &str, tensor: &HostTensor) -> Value<f32> {
        if self.arithmetic.stores_half(tensor) {
            let half = self.half(name, tensor);
            return self.cast(&half);
        }
        self.float32(name, tensor)
    }

    /// A trained tensor [rows, columns] of which rows are looked up. It stays in the graph's precision in memory too: only
    /// the rows that a request asks for become float32.
    pub fn table(&mut self, name: &str, tensor: &HostTensor) -> Table {
        if self.arithmetic.is_int8() {
            let rounded = Int8Tensor::per_channel(tensor, 1, 0, |_| 0.0);
            let rows = self.int8(name, &rounded);
            return Table::Int8(rows, self.vector(&format!("{name}.scale"), &rounded.scales));
        }
        if self.arithmetic.stores_half(tensor) {
            return Table::Float16(self.half(name, tensor));
        }
        Table::Float32(self.float32(name, tensor))
    }

    /// A tensor that is stored as it is in every precision.
    pub(super) fn float32(&mut self, name: &str, tensor: &HostTensor) -> Value<f32> {
        self.initialiser(name, |name| tensor::float32(name, &tensor.shape, &tensor.data))
    }

    fn half(&mut self, name: &str, tensor: &HostTensor) -> Value<f16> {
        self.initialiser(name, |name| tensor::float16(name, &tensor.shape, &tensor.data))
    }

    pub(super) fn int8(&mut self, name: &str, rounded: &Int8Tensor) -> Value<i8> {
        self.initialiser(name, |name| tensor::int8(name, &rounded.shape, &rounded.values))
    }

    pub(super) fn int32(&mut self, name: &str, values: &[i32]) -> Value<i32> {
        self.initialiser(name, |name| tensor::int32(name, &[values.len()], values))
    }

    pub(super) fn byte(&mut self, name: &str, value: u8) -> Value<u8> {
        self.initialiser(name, |name| tensor::uint8(name, &[], &[value]))
    }

    /// A float32 tensor of one dimension that belongs to this graph's arithmetic, not to the trained weights.
    pub(super) fn vector(&mut self, name: &str, values: &[f32]) -> Value<f32> {
        self.initialiser(name, |name| tensor::float32(name, &[values.len()], values))
    }

    fn initialiser<T>(&mut self, name: &str, write: impl FnOnce(&str) -> TensorProto) -> Value<T> {
        let name = self.unique(name);
        self.graph.initializer.push(write(&name));
        Value::named(&name)
    }

    /// A constant by a name that says what it holds, so that it is there once.
    fn constant<T>(&mut self, name: String, write: impl FnOnce(&str) -> TensorProto) -> Value<T> {
        if self.constants.insert(name.clone()) {
            self.graph.initializer.push(write(&name));
        }
        Value::named(&name)
    }

    /// A float32 constant of one dimension.
    pub fn floats(&mut self, values: &[f32]) -> Value<f32> {
        self.constant(format!("constant.f32{values:?}"), |name| {
            tensor::float32(name, &[values.len()], values)
        })
    }

    /// An int8 constant of one dimension, the same value so many times.
    pub(super) fn int8_repeated(&mut self, value: i8, count: usize) -> Value<i8> {
        self.constant(format!("constant.i8.{value}x{count}"), |name| {
            tensor::int8(name, &[count], &vec![value; count])
        })
    }

    /// An uint8 constant of one dimension: so many ones.
    pub(super) fn uint8_ones(&mut self, count: usize) -> Value<u8> {
        self.constant(format!("constant.u8.1x{count}"), |name| tensor::uint8(name, &[count], &vec![1; count]))
    }

    /// A float32 constant [channels, 1, 1], to be broadcast over maps.
    pub fn channels(&mut self, values: &[f32]) -> Value<f32> {
        self.constant(format!("constant.channels{values:?}"), |name| {
            tensor::float32(name, &[values.len(), 1, 1], values)
        })
    }

    /// A float32 constant without dimensions.
    pub fn scalar(&mut self, value: f32) -> Value<f32> {
        self.constant(format!("constant.f32.{value:?}"), |name| tensor::float32(name, &[], &[value]))
    }

    /// An int64 constant of one dimension: axes, shapes, bounds.
    pub fn integers(&mut self, values: &[i64]) -> Value<i64> {
        self.constant(format!("constant.i64{values:?}"), |name| tensor::int64(name, &[values.len()], values))
    }

    /// Starts a node; it becomes part of the graph when it is told what it emits.
    pub fn node(&mut self, operator: &str) -> NodeBuilder<'_> {
        NodeBuilder::new(self, operator)
    }

    pub(super) fn push(&mut self, node: NodeProto) {
        self.graph.node.push(node);
    }

    /// `name`, or `name` with a number where it is taken.
    pub(super) fn unique(&mut self, name: &str) -> String {
        let mut candidate = name.to_owned();
        while self.names.contains_key(&candidate) {
            let uses = self.names.entry(name.to_owned()).or_default();
            *uses += 1;
            candidate = format!("{name}_{uses}");
        }
        self.names.insert(candidate.clone(), 1);
        candidate
    }

    /// The bytes of the finished `.onnx` file.
    pub fn finish(self) -> Result<Vec<u8>, OnnxError> {
        let version = if self.arithmetic.is_int8() { INT8_VERSION } else { FLOAT_VERSION };
        let model = ModelProto {
            ir_version: version.ir,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: version.opset }],
            producer_name: env!("CARGO_PKG_NAME").to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            metadata_props: self.metadata,
            graph: Some(self.graph),
            ..ModelProto::default()
        };
        let bytes = model.encoded_len();
        if bytes > LARGEST_FILE {
            return Err(OnnxError::TooLarge { bytes });
        }
        Ok(model.encode_to_vec())
    }
}

fn described<T: Element>(name: &str, shape: &[Dim]) -> ValueInfoProto {
    let dim = shape.iter().map(|dim| {
        let value = match *dim {
            Dim::Fixed(size) => tensor_shape_proto::dimension::Value::DimValue(size as i64),
            Dim::Named(name) => tensor_shape_proto::dimension::Value::DimParam(name.to_owned()),
        };
        tensor_shape_proto::Dimension { value: Some(value), ..Default::default() }
    });
    let tensor = type_proto::Tensor {
        elem_type: T::DATA_TYPE as i32,
        shape: Some(TensorShapeProto { dim: dim.collect() }),
    };
    let described = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: name.to_owned(), r#type: Some(described), ..Default::default() }
}
