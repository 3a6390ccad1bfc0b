//! Named networks, built from the parts of [`crate::nn`].
//!
//! They are deep MLPs, ResNets for small images and in the ImageNet layout, the Highway networks of the paper and of related
//! work, and a character-aware language model. Each of them may have any wiring.
//!
//! A [`ModelConfig`] describes a network, [`Model::new`] builds it, and [`to_bytes`] and [`from_bytes`] convert it to and from
//! the bytes of a model file.

mod char_lm;
mod config;
mod epoch;
mod file;
mod head;
mod kind;
mod layers;
mod layers_config;
mod metadata;
#[allow(clippy::module_inception)]
mod model;
mod name;
mod resolve;
mod slimmed;
mod stem;
mod validate;

pub use char_lm::CharLmSize;
pub use config::{ModelConfig, Width};
pub use epoch::{Epoch, EvaluatedSplit};
pub(crate) use file::METADATA_KEY;
pub use file::{ModelFile, NamedArray, from_bytes, to_bytes};
pub use kind::{ModelFamily, ModelKind};
pub use metadata::{Metadata, check_classes};
pub use model::Model;
pub use stem::StemKind;
