//! The artefact folder (`models/`): the manifest and the files it vouches for.

mod manifest;

pub use manifest::{
    FORMAT, FileEntry, ImageInput, Manifest, Metrics, ModelEntry, Models, Subcategory, TextInput,
};
