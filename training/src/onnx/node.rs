//! One node under construction: operator, inputs in order, attributes.

use super::{
    GraphBuilder, Value,
    proto::{AttributeProto, NodeProto, attribute_proto::AttributeType},
};

/// Made by [`GraphBuilder::node`].
#[must_use = "a node is part of the graph once it emits something"]
pub struct NodeBuilder<'g> {
    graph: &'g mut GraphBuilder,
    node: NodeProto,
}

impl<'g> NodeBuilder<'g> {
    pub(super) fn new(graph: &'g mut GraphBuilder, operator: &str) -> Self {
        let node =
            NodeProto { op_type: operator.to_owned(), name: graph.unique(operator), ..NodeProto::default() };
        Self { graph, node }
    }

    pub fn input<T>(mut self, value: &Value<T>) -> Self {
        self.node.input.push(value.name().to_owned());
        self
    }

    pub fn int(self, name: &str, value: i64) -> Self {
        self.attribute(name, AttributeType::Int, |attribute| attribute.i = value)
    }

    pub fn ints(self, name: &str, values: &[i64]) -> Self {
        self.attribute(name, AttributeType::Ints, |attribute| attribute.ints = values.to_vec())
    }

    pub fn float(self, name: &str, value: f32) -> Self {
        self.attribute(name, AttributeType::Float, |attribute| attribute.f = value)
    }

    pub fn string(self, name: &str, value: &str) -> Self {
        self.attribute(name, AttributeType::String, |attribute| attribute.s = value.as_bytes().to_vec())
    }

    /// Adds the node to the graph, with one output.
    pub fn emit<T>(self) -> Value<T> {
        let [value] = self.emit_array();
        value
    }

    /// Adds the node to the graph, with `N` outputs.
    pub fn emit_array<T, const N: usize>(mut self) -> [Value<T>; N] {
        let values = std::array::from_fn(|index| Value::named(&format!("{}:{index}", self.node.name)));
        self.node.output = values.iter().map(|value: &Value<T>| value.name().to_owned()).collect();
        self.graph.push(self.node);
        values
    }

    fn attribute(mut self, name: &str, kind: AttributeType, fill: impl FnOnce(&mut AttributeProto)) -> Self {
        let mut attribute =
            AttributeProto { name: name.to_owned(), r#type: kind.into(), ..AttributeProto::default() };
        fill(&mut attribute);
        self.node.attribute.push(attribute);
        self
    }
}
