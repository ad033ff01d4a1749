//! A model in ONNX Runtime, with tensors as shapes and vectors.

use std::{collections::HashMap, env, path::PathBuf, sync::OnceLock};

use ort::{
    environment::Environment,
    session::{Session, SessionInputValue},
    value::{PrimitiveTensorElementType, Tensor},
};

/// A float32 output: shape and values in C order.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

impl Output {
    /// Slices along the first axis.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.data.chunks_exact(self.shape[1..].iter().product())
    }
}

pub struct Runtime(Session);

impl Runtime {
    pub fn load(model: &[u8]) -> Self {
        Self(session(model))
    }

    pub fn run(&mut self, inputs: Vec<(&str, SessionInputValue<'_>)>) -> HashMap<String, Output> {
        self.try_run(inputs).expect("the model fails")
    }

    pub fn try_run(
        &mut self,
        inputs: Vec<(&str, SessionInputValue<'_>)>,
    ) -> ort::Result<HashMap<String, Output>> {
        let outputs = self.0.run(inputs)?;
        outputs
            .iter()
            .map(|(name, value)| {
                let (shape, data) = value.try_extract_tensor::<f32>()?;
                let shape = shape.iter().map(|&dim| dim as usize).collect();
                Ok((name.to_owned(), Output { shape, data: data.to_vec() }))
            })
            .collect()
    }

    /// Names, element types and shapes of inputs and outputs, as ONNX Runtime spells them.
    pub fn signature(&self) -> Vec<String> {
        let ends = self.0.inputs().iter().chain(self.0.outputs());
        ends.map(|end| format!("{}: {}", end.name(), end.dtype())).collect()
    }

    /// An entry of the model's metadata.
    pub fn metadata(&self, key: &str) -> Option<String> {
        self.0.metadata().unwrap().custom(key)
    }
}

/// The model, open.
pub fn session(model: &[u8]) -> Session {
    let session = Session::builder(environment()).and_then(|mut builder| builder.commit_from_memory(model));
    session.expect("ONNX Runtime refuses the model")
}

/// How often ONNX Runtime runs each operator for these inputs, as it has optimised the model.
pub fn operators(model: &[u8], inputs: Vec<(&str, SessionInputValue<'_>)>) -> HashMap<String, usize> {
    let folder = tempfile::tempdir().unwrap();
    let session = Session::builder(environment())
        .and_then(|builder| Ok(builder.with_profiling(folder.path().join("profile"))?))
        .and_then(|mut builder| builder.commit_from_memory(model));
    let mut session = session.expect("ONNX Runtime refuses the model");
    session.run(inputs).expect("the model fails");
    let profile = std::fs::read(session.end_profiling().unwrap()).unwrap();
    let events: Vec<serde_json::Value> = serde_json::from_slice(&profile).unwrap();
    let mut counts = HashMap::new();
    for event in events {
        let is_run = event["name"].as_str().is_some_and(|name| name.ends_with("_kernel_time"));
        if let (true, Some(operator)) = (is_run, event["args"]["op_name"].as_str()) {
            *counts.entry(operator.to_owned()).or_default() += 1;
        }
    }
    counts
}

/// An input tensor. (Tensors are ONNX Runtime's too, so the library must be loaded before the first of them.)
pub fn tensor<T: PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static>(
    shape: &[usize],
    data: &[T],
) -> SessionInputValue<'static> {
    environment();
    Tensor::from_array((shape.to_vec(), data.to_vec())).unwrap().into()
}

fn environment() -> &'static Environment {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let library = env::var_os("ORT_DYLIB_PATH").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.cache/onnxruntime/libonnxruntime.so")),
            PathBuf::from,
        );
        let builder = ort::init_from(&library)
            .unwrap_or_else(|error| panic!("{error}: run `make setup`, or set ORT_DYLIB_PATH"));
        builder.build().unwrap()
    })
}

/// Asserts that two slices agree to 1e-3, relative or absolute, whichever is larger: the tolerance of the references.
#[track_caller]
pub fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let tolerance = 1e-3 * expected.abs().max(1.0);
        assert!((found - expected).abs() <= tolerance, "element {index}: {found}, expected {expected}");
    }
}
