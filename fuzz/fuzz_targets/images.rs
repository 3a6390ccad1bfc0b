//! Any bytes, read as an image among others: the first byte says with which extension.

#![no_main]

use libfuzzer_sys::fuzz_target;
use unrolled::data::{DataSpec, Dataset, ResizeCrop, Split};
use unrolled_fuzz::one_line;

fuzz_target!(|bytes: &[u8]| {
    let Some((&extension, bytes)) = bytes.split_first() else { return };
    let root = tempfile::tempdir().expect("a temporary directory");
    let class = root.path().join("class");
    std::fs::create_dir(&class).expect("a temporary directory");
    let name = if extension % 2 == 0 { "x.png" } else { "x.jpg" };
    std::fs::write(class.join(name), bytes).expect("a temporary file");
    let view = ResizeCrop { resize: Some(8), ..ResizeCrop::default() };
    let spec = "folder:.".parse::<DataSpec>().expect("a data set").relative_to(root.path());
    one_line(Dataset::open(&spec, Split::Test, &view).and_then(|data| {
        let mut sample = vec![0.0; data.shape().iter().product()];
        data.sample(0, &mut sample)
    }));
});
