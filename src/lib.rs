//! Highway and Residual networks as unrolled iterative estimation (Greff, Srivastava and Schmidhuber, ICLR 2017).

mod atomic_file;
pub mod data;
pub mod device;
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
mod text;
pub mod train;

pub use atomic_file::{Chunk, FileContents, check_writable, write_atomic, write_atomic_checked};
pub use error::{Error, Result};
