//! Any text, read as the blocks of a graph, which is opened with them and slimmed by its first block.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use unrolled::graph::GraphNetwork;
use unrolled::nn::{Network, Route};
use unrolled::open::read_boundaries;
use unrolled_fuzz::one_line;

fuzz_target!(|text: &str| {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("cut.toml");
    std::fs::write(&path, text).expect("a temporary file");
    let Some(boundaries) = one_line(read_boundaries(&path)) else { return };
    let graph = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/onnx/post.onnx"));
    let Some(network) = one_line(GraphNetwork::open(graph, Some(&boundaries), &[])) else { return };
    let Some(route) = one_line(Route::parse("-", network.outline())) else { return };
    if let Some(slim) = one_line(network.slimmed(&route)) {
        one_line(slim.draft("slim.onnx"));
    }
});
