//! Any bytes, opened as a PyTorch or safetensors file: a network or an error, never a panic or unbounded memory.

#![no_main]

use burn::tensor::Device;
use libfuzzer_sys::fuzz_target;
use unrolled::open::{OpenOptions, open};

fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("file");
    std::fs::write(&path, bytes).expect("a temporary file");
    for partial in [false, true] {
        let options = OpenOptions { partial, ..OpenOptions::default() };
        if let Err(error) = open(&path, &options, &Device::flex()) {
            assert!(!error.to_string().contains('\n'), "an error of more than one line: {error}");
        }
    }
});
