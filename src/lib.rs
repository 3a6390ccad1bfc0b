//! Highway and Residual networks as unrolled iterative estimation (Greff, Srivastava and Schmidhuber, ICLR 2017).
//!
//! The crate trains such networks, measures how the blocks of any network with skip connections refine one estimate, and
//! removes the blocks that a network can do without.
//!
//! | to | begin with |
//! |---|---|
//! | open a network that was trained here, by PyTorch, or is an ONNX file | [`open::AnyNetwork`], [`open::OpenOptions`] |
//! | choose samples | [`measure::EvalSet`] |
//! | measure | [`measure::Measure`], [`measure::merge()`] |
//! | remove blocks for good | [`slim::Slim`] |
//! | remove layers of a Transformers folder | [`checkpoint_folder::CheckpointFolder`] |
//! | train | [`train::Experiment`], [`train::Trainer`] |
//! | draw a report | [`measure::report()`], [`report`] |
//! | add a network or a measurement of your own | [`nn::Network`], [`measure::Measurement`] |
//!
//! `use unrolled::prelude::*` brings in what most programs need; `examples/` has programs that run.

mod atomic_file;
pub mod checkpoint_folder;
pub mod data;
pub mod device;
mod error;
mod float_json;
#[cfg(feature = "onnx")]
pub mod graph;
pub mod kernel;
mod limits;
pub mod measure;
pub mod model;
pub mod nn;
pub mod open;
mod picture;
pub mod prelude;
pub mod random;
pub mod ranks;
pub mod report;
pub mod slim;
mod text;
pub mod train;
mod visible;

pub use atomic_file::{
    Chunk, FileContents, FileTransaction, IfExists, OutputFile, OutputPath, WriteLock, check_writable, directory_of,
    entries, write_atomic, write_atomic_checked,
};
pub use error::{Error, Result, is_panic_caught, panic_text, reason};
pub use visible::{visible, visible_line};
