//! Any bytes as the members of a `.npz` file, whose archive is whole: what NumPy wrote is read, and not only what `zip` is.

#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use unrolled::data::{DataSpec, Dataset, ResizeCrop, Split};
use unrolled_fuzz::one_line;

fuzz_target!(|bytes: &[u8]| {
    let Some((&cut, bytes)) = bytes.split_first() else { return };
    let root = tempfile::tempdir().expect("a temporary directory");
    let file = std::fs::File::create(root.path().join("x.npz")).expect("a temporary file");
    let mut archive = zip::ZipWriter::new(file);
    let (first, labels) = bytes.split_at(usize::from(cut) * bytes.len() / 255);
    for (name, content) in [("x.npy", first), ("labels.npy", labels)] {
        if name == "x.npy" || !content.is_empty() {
            archive.start_file(name, zip::write::SimpleFileOptions::default()).expect("a member");
            archive.write_all(content).expect("a member");
        }
    }
    archive.finish().expect("an archive");
    let spec = "arrays:x.npz".parse::<DataSpec>().expect("a data set").relative_to(root.path());
    one_line(Dataset::open(&spec, Split::Test, &ResizeCrop::default()).and_then(|data| {
        let mut sample = vec![0.0; data.shape().iter().product()];
        data.sample(0, &mut sample)
    }));
});
