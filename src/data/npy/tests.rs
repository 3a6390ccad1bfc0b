use super::*;

fn file(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes(), data].concat()
}

#[test]
fn a_value_that_is_not_finite_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("x.npy");
    let floats: Vec<u8> = [0.5_f32, 1.0, f32::NAN, 2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(&path, file("<f4", "(2, 2)", &floats)).unwrap();
    let error = open(&path).unwrap_err().to_string();
    assert!(error.ends_with("'array' holds NaN in row 1, expected finite numbers"), "{error}");
}

#[test]
fn every_element_type_becomes_f32() {
    let read = |descr, data: &[u8]| {
        read_array("x", file(descr, "(2,)", data).as_slice(), &mut u64::MAX.clone()).map(|(array, _)| array.values)
    };
    assert_eq!(read("<i8", &[1, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]), Ok(vec![1.0, -1.0]));
    assert_eq!(read("|u1", &[3, 255]), Ok(vec![3.0, 255.0]));
    assert_eq!(read("|i1", &[3, 255]), Ok(vec![3.0, -1.0]));
    assert_eq!(read("|b1", &[0, 1]), Ok(vec![0.0, 1.0]));
    let floats: Vec<u8> = [0.5_f64, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(read("<f8", &floats), Ok(vec![0.5, -2.0]));
    assert_eq!(read("<i4", &[1, 0, 0, 1, 0, 0, 0, 0]), Err("'x' holds numbers of <i4 that f32 does not hold".into()));
}

#[test]
fn a_truncated_or_inconsistent_file_is_refused() {
    let complete = file("<f4", "(2, 3)", &[0; 24]);
    assert_eq!(read_array("x", complete.as_slice(), &mut u64::MAX.clone()).unwrap().0.shape, [3]);
    for end in 0..complete.len() {
        assert!(read_array("x", &complete[..end], &mut u64::MAX.clone()).is_err(), "{end}");
    }
    let says = |bytes: Vec<u8>, expected: &str| {
        assert_eq!(read_array("x", bytes.as_slice(), &mut u64::MAX.clone()).unwrap_err(), expected)
    };
    says(file("<f4", "(2, 4)", &[0; 24]), "'x': other than the 32 bytes that its shape [2, 4] needs");
    says(file("<U4", "(2,)", &[0; 8]), "'x' holds <U4, which is not read; save it as float32");
    says(file("<f2", "(2,)", &[0; 4]), "'x' holds <f2, which is not read; save it as float32");
    says(
        file("<f4", "(9999999999, 9999999999)", &[]),
        "'x' holds <f4 of shape [9999999999, 9999999999], expected numbers",
    );
    says(file("<f4", "()", &[0; 4]), "'x' is a single number");
}

#[test]
fn an_array_that_declares_far_more_than_it_has_is_refused_unread() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("x.npz");
    let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
    archive.start_file("x.npy", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut archive, &file("|u1", "(1000, 4800000)", &[])).unwrap();
    archive.finish().unwrap();
    let error = open(&path).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "x.npz: 'x' would take 19,200,000,000 bytes, far more than a file of this size holds of any data set"
        ),
        "{error}"
    );
}

#[test]
fn arrays_that_are_images_are_resized_and_cropped() {
    let array = |shape: Vec<usize>| {
        let size: usize = shape.iter().product();
        let values = (0..2 * size).map(|i| (i % 7) as f32 / 7.0).collect();
        ArrayFile {
            arrays: vec![NamedArray { name: "x".into(), shape, values, is_bytes: false }],
            labels: None,
            position_labels: None,
        }
    };
    let resize_crop = |resize, crop| ResizeCrop { resize, crop };
    let resized = array(vec![2, 6, 4]).resized(&resize_crop(Some(8), Some(5))).unwrap();
    assert_eq!((resized.arrays[0].shape.as_slice(), resized.arrays[0].values.len()), (&[2, 5, 5][..], 2 * 50));
    let second = PlanarImage { shape: [2, 6, 4], pixels: array(vec![2, 6, 4]).arrays[0].row(1).to_vec() };
    let by_hand = second.resize(12, 8);
    assert_eq!(resized.arrays[0].row(1), by_hand.crop(by_hand.center_window(5, 5)).pixels);
    let error = array(vec![9]).resized(&resize_crop(Some(8), None)).unwrap_err();
    assert_eq!(error, "samples of shape [9], expected images [channels, height, width] to resize or crop");
    assert_eq!(array(vec![9]).resized(&ResizeCrop::default()).unwrap().arrays[0].shape, [9]);
}
