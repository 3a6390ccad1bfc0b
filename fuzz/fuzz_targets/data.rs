//! Any bytes, read as a data set; the first byte says of which format.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use unrolled::Result;
use unrolled::data::{Dataset, DataSpec, Split, ResizeCrop};
use unrolled_fuzz::one_line;

/// The file that is written, and the data set that it is then.
const FORMATS: [(&str, &str); 6] = [
    ("x.npy", "arrays:x.npy"),
    ("x.npz", "arrays:x.npz"),
    ("class/x.png", "folder:."),
    ("test_batch.bin", "cifar10:."),
    ("t10k-images-idx3-ubyte", "mnist:."),
    ("test.bin", "cifar100:."),
];

/// Opens it, and reads its first sample.
fn read(root: &Path, spec: &str) -> Result<()> {
    let spec: DataSpec = spec.parse::<DataSpec>()?.relative_to(root);
    let view = ResizeCrop { resize: spec.to_string().starts_with("folder").then_some(8), ..ResizeCrop::default() };
    let data = Dataset::open(&spec, Split::Test, &view)?;
    let mut sample = vec![0.0; data.shape().iter().product()];
    data.sample(0, &mut sample)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&format, bytes)) = bytes.split_first() else { return };
    let (name, spec) = FORMATS[format as usize % FORMATS.len()];
    let root = tempfile::tempdir().expect("a temporary directory");
    let path = root.path().join(name);
    std::fs::create_dir_all(path.parent().expect("a directory")).expect("a temporary directory");
    std::fs::write(&path, bytes).expect("a temporary file");
    // The labels of two images.
    if spec.starts_with("mnist") {
        let labels = [0, 0, 8, 1, 0, 0, 0, 2, 3, 4];
        std::fs::write(root.path().join("t10k-labels-idx1-ubyte"), labels).expect("a temporary file");
    }
    one_line(read(root.path(), spec));
});
