//! Whether a model file has the inputs and outputs that the manifest promises.

use ort::{
    session::Session,
    value::{Outlet, TensorElementType},
};

use crate::artefacts::{ImageInput, Manifest, ModelEntry};

/// Compares names, element types and fixed dimensions with the artefact contract. Symbolic dimensions are -1 here.
pub(super) fn check_signature(
    session: &Session,
    manifest: &Manifest,
    entry: &ModelEntry,
) -> Result<(), String> {
    use TensorElementType::{Float32, Int64, Uint8};
    if let Some(ImageInput { height, width, .. }) = entry.image {
        check_outlet(session.inputs(), "image", Uint8, &[-1, i64::from(height), i64::from(width), 3])?;
    }
    if entry.text.is_some() {
        check_outlet(session.inputs(), "input_ids", Int64, &[-1, -1])?;
        check_outlet(session.inputs(), "attention_mask", Int64, &[-1, -1])?;
        check_outlet(session.outputs(), "log_price", Float32, &[-1, 3])?;
    }
    let width = |columns: usize| columns as i64;
    check_outlet(session.outputs(), "logits", Float32, &[-1, width(manifest.categories.len())])?;
    check_outlet(
        session.outputs(),
        "subcategory_logits",
        Float32,
        &[-1, width(manifest.subcategories.len())],
    )?;
    check_outlet(session.outputs(), "embedding", Float32, &[-1, width(manifest.embedding_width)])
}

fn check_outlet(outlets: &[Outlet], name: &str, ty: TensorElementType, shape: &[i64]) -> Result<(), String> {
    let Some(outlet) = outlets.iter().find(|outlet| outlet.name() == name) else {
        return Err(format!("it has no input or output {name:?}"));
    };
    let found = outlet.dtype();
    // A dimension that the file leaves open takes any size, so also the one that is wanted.
    let fits = |found: &[i64]| {
        found.len() == shape.len()
            && found.iter().zip(shape).all(|(found, wanted)| *found == -1 || found == wanted)
    };
    if found.tensor_type() == Some(ty) && found.tensor_shape().is_some_and(|found| fits(found)) {
        return Ok(());
    }
    Err(format!("{name:?} is {found}, expected {ty} {shape:?} (-1 is any size)"))
}
