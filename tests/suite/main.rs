//! All tests of the library and of the program: a file for each subject. They are one program, because many programs take long to
//! compile and to link.

mod answers;
mod at_once;
mod calls;
mod claims;
mod cluster;
mod commands;
mod convolutions;
mod counts;
mod directories;
mod examples;
mod fetch;
mod folders;
mod goldens;
#[cfg(all(feature = "wgpu", feature = "onnx"))]
mod gpu;
mod hostile;
mod interrupted;
mod iteration;
mod kernels;
mod killed;
mod language;
mod layers;
mod limits;
mod measures;
mod memory;
#[cfg(feature = "mpi")]
mod mpi;
mod mutations;
mod onnx;
mod onnx_forms;
mod onnx_slim;
mod open;
mod overflow;
mod parity;
mod patches;
mod ranks;
mod reference;
mod resume;
mod runs;
mod sgd;
mod shards;
mod slim;
mod small_graphs;
mod unchanged;

// What several subjects share.
mod common;
mod draws;
mod npz;
mod proto;
