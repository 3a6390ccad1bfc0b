//! Networks that are graphs in ONNX files.
//!
//! `wire`, `raw` and `proto` read what a file says of its nodes, `region` what depends on what, `line` finds the blocks and
//! `merge` how each is wired; `build` cuts the graph there, `assemble` makes stages of the blocks, `engine` runs its
//! parts, and `network` is the line of stem, stages and head that they make, which `samples` go through.
//!
//! Where blocks are left out for good, `slim` says what comes in their places, `edit` what else goes, and `write` copies
//! the rest of the file as it is; `external` moves arrays beside it to a new file.

mod assemble;
mod build;
mod cost;
mod edit;
mod engine;
mod external;
mod line;
mod merge;
mod network;
mod proto;
mod raw;
mod region;
mod samples;
mod slim;
mod wire;
mod write;

pub use build::blocks;
pub use network::{Activation, GraphNetwork, Input};

/// What was asked for, or in one line why it cannot be; whoever knows the path of the file adds it.
type Said<T> = std::result::Result<T, String>;
