//! Any bytes, read as an ONNX file: its blocks or an error. Nothing is run: a graph may ask for any amount of work.

#![no_main]

use libfuzzer_sys::fuzz_target;
use unrolled::graph::find_blocks;
use unrolled_fuzz::one_line;

fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("file.onnx");
    std::fs::write(&path, bytes).expect("a temporary file");
    one_line(find_blocks(&path));
});
