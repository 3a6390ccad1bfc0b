use proptest::prelude::*;

use super::*;

/// Opens a directory with these two files. The error message is without the directory.
fn outcome(images: &[u8], labels: &[u8]) -> std::result::Result<ImageBytes, String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("t10k-images-idx3-ubyte"), images).unwrap();
    std::fs::write(dir.path().join("t10k-labels-idx1-ubyte.gz"), labels).unwrap();
    let prefix = format!("{}/", dir.path().display());
    open(DataKind::Mnist, dir.path(), Split::Test).map_err(|e| e.to_string().replace(&prefix, ""))
}

#[test]
fn valid_files_are_read_compressed_or_not() {
    let images = file(&[2, 2, 3], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255]);
    let labels = file(&[2], &[9, 0]);
    for (images, labels) in
        [(images.clone(), labels.clone()), (binary_reader::gzip(&images), binary_reader::gzip(&labels))]
    {
        let packed = outcome(&images, &labels).unwrap();
        assert_eq!(packed.shape, [1, 2, 3]);
        assert_eq!(packed.labels, [9, 0]);
        assert_eq!(packed.bytes[10..], [11, 255]);
    }
}

#[test]
fn invalid_files_are_refused_with_what_was_expected() {
    let (images, labels) = (file(&[2, 2, 2], &[0; 8]), file(&[2], &[0, 1]));
    let too_long = [labels.clone(), vec![0]].concat();
    let compressed = binary_reader::gzip(&file(&[1000, 28, 28], &[7; 784_000]));
    for (images, labels, message) in [
        (&images[..15], &labels[..], "t10k-images-idx3-ubyte: truncated: 3 bytes of header where there should be 4"),
        (&images[..23], &labels, "t10k-images-idx3-ubyte: truncated: 7 bytes of pixels where the header announces 8"),
        (
            &labels,
            &labels,
            "t10k-images-idx3-ubyte: magic number 0x00000801, expected 0x00000803 (idx images of unsigned bytes)",
        ),
        (
            &file(&[0, 2, 2], &[]),
            &labels,
            "t10k-images-idx3-ubyte: its header announces 0 images of 2x2 pixels, expected at least one pixel",
        ),
        (
            &file(&[u32::MAX; 3], &[]),
            &labels,
            "t10k-images-idx3-ubyte: its header announces 4,294,967,295 images of 4294967295x4294967295 pixels, more than 1,073,741,824 bytes",
        ),
        (
            &file(&[3, 1, 1], &[0; 3]),
            &labels,
            "t10k-labels-idx1-ubyte.gz: 2 labels, but t10k-images-idx3-ubyte has 3 images",
        ),
        (&images, &labels[..9], "t10k-labels-idx1-ubyte.gz: truncated: 1 labels where the header announces 2"),
        (
            &images,
            &file(&[u32::MAX], &[1]),
            "t10k-labels-idx1-ubyte.gz: truncated: 1 labels where the header announces 4,294,967,295",
        ),
        (&images, &too_long, "t10k-labels-idx1-ubyte.gz: more bytes than its header announces"),
        (&images, &file(&[2], &[3, 10]), "t10k-labels-idx1-ubyte.gz: label 10 of sample 1, expected 0 to 9"),
        (&compressed[..10], &labels, "t10k-images-idx3-ubyte: truncated: 0 bytes of header where there should be 4"),
    ] {
        assert_eq!(outcome(images, labels).unwrap_err(), message);
    }
    let error = outcome(&compressed[..compressed.len() / 2], &labels).unwrap_err();
    assert!(error.contains("pixels where the header announces 784,000"), "{error}");
}

#[test]
fn a_missing_file_is_named_with_the_command_that_fetches_it() {
    let dir = tempfile::tempdir().unwrap();
    let error = open(DataKind::FashionMnist, dir.path(), Split::Train).unwrap_err().to_string();
    let expected = "no train-images-idx3-ubyte or train-images-idx3-ubyte.gz here; \
                    `unrolled data fetch fashion-mnist` gets it";
    assert_eq!(error, format!("{}: {expected}", dir.path().display()));
    std::fs::write(dir.path().join("train-images.idx3-ubyte.gz"), file(&[1, 1, 1], &[0])).unwrap();
    std::fs::write(dir.path().join("train-labels.idx1-ubyte"), file(&[1], &[0])).unwrap();
    assert!(open(DataKind::FashionMnist, dir.path(), Split::Train).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_files_end_in_an_error_or_a_valid_data_set(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
        zipped in any::<bool>(),
        which in any::<bool>(),
    ) {
        let plain = [file(&[3, 4, 5], &[8; 60]), file(&[3], &[1, 2, 3])];
        let mut files = if zipped { plain.map(|bytes| binary_reader::gzip(&bytes)) } else { plain };
        let target = &mut files[usize::from(which)];
        flips.iter().for_each(|(at, byte)| *at.get_mut(target.as_mut_slice()) = *byte);
        target.truncate(end.index(target.len() + 1));
        if let Ok(packed) = outcome(&files[0], &files[1]) {
            prop_assert_eq!(packed.bytes.len(), packed.labels.len() * packed.shape.iter().product::<usize>());
            prop_assert!(packed.labels.iter().all(|&label| label < 10));
        }
    }
}
