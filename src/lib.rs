//! Highway and Residual networks as unrolled iterative estimation (Greff, Srivastava and Schmidhuber, ICLR 2017).

pub mod data;
pub mod device;
mod draft;
mod error;
mod float_json;
#[cfg(feature = "onnx")]
pub mod graph;
pub mod kernel;
pub mod measure;
pub mod model;
pub mod nn;
pub mod open;
mod picture;
pub mod random;
pub mod report;
pub mod slim;
pub mod train;
mod whole;

pub use draft::{Draft, Piece};
pub use error::{Error, Result};
pub use whole::{check_writable, write_checked, write_whole};
