//! Any bytes, opened as a PyTorch or safetensors file: a network or an error, never a panic or unbounded memory.

#![no_main]

use libfuzzer_sys::fuzz_target;
use unrolled::open::OpenOptions;
use unrolled_fuzz::one_line;

fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("file");
    std::fs::write(&path, bytes).expect("a temporary file");
    for partial in [false, true] {
        one_line(OpenOptions::new().partial(partial).open_model(&path));
    }
});
