//! Any bytes, opened as a PyTorch or safetensors file: a network or an error, never a panic or unbounded memory.

#![no_main]

use libfuzzer_sys::fuzz_target;
use unrolled::open::OpenOptions;

fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("file");
    std::fs::write(&path, bytes).expect("a temporary file");
    for partial in [false, true] {
        if let Err(error) = OpenOptions::new().partial(partial).open_model(&path) {
            assert!(!error.to_string().contains('\n'), "an error of more than one line: {error}");
        }
    }
});
