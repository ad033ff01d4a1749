//! What the models read: photo bytes become a uint8 tensor, listing text becomes token ids.
//!
//! The server and `marketrank-train` both go through here, so that a model serves on exactly what it was trained on.

mod jpeg;
mod letterbox;
mod photo;
mod text;

pub use letterbox::{Letterbox, PhotoArea, PhotoTensor};
pub use photo::{Detail, PhotoError, PhotoLimits, decode_photo, thumbnail};
pub use text::{TextEncoder, TextEncoderError, Tokens};
