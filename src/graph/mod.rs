//! Networks that are graphs in ONNX files.
//!
//! `wire` and `proto` read what a file says of its nodes, `region` what depends on what, `line` finds the blocks and
//! `merge` how each is wired; `build` cuts the graph there, `assemble` makes stages of
//! the blocks, `engine` runs its parts, and `network` is the line of stem,
//! stages and head that they make.

mod assemble;
mod build;
mod cost;
mod engine;
mod line;
mod merge;
mod network;
mod proto;
mod region;
mod wire;

pub use build::blocks;
pub use network::{Flowing, GraphNetwork, Input};

/// What was asked for, or in one line why it cannot be; whoever knows the path of the file adds it.
type Said<T> = std::result::Result<T, String>;
