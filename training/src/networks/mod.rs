//! The backbones: published networks in burn, loaded from and written back to state dicts under their published names.
//!
//! Each has `new` (random weights), `load` (published ones), `features` (what heads are trained on), `forward` and
//! `state_dict`, the inverse of `load`.

pub mod bert;
pub mod device;
pub mod efficientnet;
mod published;
pub mod resnet50;
pub mod upper_blocks;

pub use bert::{Bert, BertConfig, mean_pool};
pub use efficientnet::EfficientNetLite2;
pub use resnet50::ResNet50;
pub use upper_blocks::UpperBlocks;
