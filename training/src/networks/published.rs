//! Between burn's modules and published state dicts.
//!
//! The path of a parameter in a burn module, field by field, is its published name once three things are seen to:
//! fields that Rust cannot or should not spell as published, the scale and shift of normalisations, which burn calls
//! gamma and beta, and the matrices of linear layers, which PyTorch keeps as `[output, input]` and burn the other way.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

use crate::weights::{HostTensor, StateDict, StateDictError};

/// From the name of a field to the published name of that part, possibly of several levels. A field that is named as
/// published maps to itself.
pub(super) type PublishedField = fn(&str) -> &str;

/// Puts published weights in the place of a network's own.
///
/// # Errors
/// On the first tensor that is missing or of another shape. Tensors that the network has no use for are ignored.
pub(super) fn load<M: Module>(
    network: M,
    weights: &StateDict,
    field: PublishedField,
) -> Result<M, StateDictError> {
    let mut loader = Loader { weights, place: Place::new(field), fault: None };
    let network = network.map(&mut loader);
    loader.fault.map_or(Ok(network), Err)
}

/// The weights of a network under their published names.
pub(super) fn state_dict<M: Module>(network: &M, field: PublishedField) -> StateDict {
    let mut collector = Collector { weights: StateDict::default(), place: Place::new(field) };
    // Leaving training mode is what folds the last batch into the running statistics.
    network.valid().visit(&mut collector);
    collector.weights
}

/// Where in the module tree a walk is.
struct Place {
    field: PublishedField,
    /// Field names from the root, each with the kind of module it is a field of.
    path: Vec<(String, String)>,
}

impl Place {
    fn new(field: PublishedField) -> Self {
        Self { field, path: Vec::new() }
    }

    fn enter(&mut self, field: &str, container: &str) {
        self.path.push((field.to_owned(), container.to_owned()));
    }

    fn leave(&mut self) {
        self.path.pop();
    }

    fn published_name(&self) -> String {
        let parts = self.path.iter().map(|(field, container)| match (container.as_str(), field.as_str()) {
            ("Struct:BatchNorm" | "Struct:LayerNorm", "gamma") => "weight",
            ("Struct:BatchNorm" | "Struct:LayerNorm", "beta") => "bias",
            (_, field) => (self.field)(field),
        });
        parts.collect::<Vec<_>>().join(".")
    }

    fn is_linear_weight(&self) -> bool {
        self.path.last().is_some_and(|(field, container)| container == "Struct:Linear" && field == "weight")
    }
}

struct Loader<'a> {
    weights: &'a StateDict,
    place: Place,
    fault: Option<StateDictError>,
}

impl Loader<'_> {
    /// The published values for a parameter of this shape.
    fn find(&self, mut shape: Vec<usize>) -> Result<TensorData, StateDictError> {
        let name = self.place.published_name();
        if !self.place.is_linear_weight() {
            let tensor = self.weights.get_shaped(&name, &shape)?;
            return Ok(TensorData::new(tensor.data.clone(), shape));
        }
        shape.reverse();
        let tensor = self.weights.get_shaped(&name, &shape)?;
        let values = transpose(&tensor.data, shape.last().copied().unwrap_or(1));
        shape.reverse();
        Ok(TensorData::new(values, shape))
    }
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, field: &str, container: &str) {
        self.place.enter(field, container);
    }

    fn exit_module(&mut self, _field: &str, _container: &str) {
        self.place.leave();
    }

    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.fault.is_some() {
            return parameter;
        }
        match self.find(parameter.lazy_shape().to_vec()) {
            Ok(values) => {
                let tensor = Tensor::from_data(values, &parameter.lazy_device());
                let id = parameter.id;
                parameter.transform_for_load(tensor, id)
            }
            Err(fault) => {
                self.fault = Some(fault);
                parameter
            }
        }
    }
}

struct Collector {
    weights: StateDict,
    place: Place,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, field: &str, container: &str) {
        self.place.enter(field, container);
    }

    fn exit_module(&mut self, _field: &str, _container: &str) {
        self.place.leave();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let tensor = parameter.val();
        let mut shape = tensor.dims().to_vec();
        let mut data: Vec<f32> = tensor.into_data().iter().collect();
        if self.place.is_linear_weight() {
            data = transpose(&data, shape.last().copied().unwrap_or(1));
            shape.reverse();
        }
        self.weights.insert(self.place.published_name(), HostTensor { shape, data });
    }
}

/// A matrix of rows of this width, with rows and columns exchanged.
fn transpose(matrix: &[f32], width: usize) -> Vec<f32> {
    (0..width).flat_map(|column| matrix.iter().skip(column).step_by(width).copied()).collect()
}
