use super::*;

fn file(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes(), data].concat()
}

/// As much memory as an array asks for.
fn boundless() -> Budget {
    Budget { left: u64::MAX, is_of_size: true }
}

#[test]
fn arrays_share_a_budget() {
    let read = |budget: &mut Budget| read_array("x", file("|u1", "(6,)", &[1; 6]).as_slice(), None, budget).map(drop);
    for (is_of_size, why) in [
        (true, "'x' would take 24 bytes, far more than a file of this size holds of any data set".to_owned()),
        (false, format!("'x' would take 24 bytes; {}", advice())),
    ] {
        let mut budget = Budget { left: 48, is_of_size };
        assert_eq!([read(&mut budget), read(&mut budget), read(&mut budget)], [Ok(()), Ok(()), Err(why)]);
    }
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
        read_array("x", file(descr, "(2,)", data).as_slice(), None, &mut boundless())
            .map(|(array, _)| array.values.into_vec().unwrap())
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
    assert_eq!(read_array("x", complete.as_slice(), None, &mut boundless()).unwrap().0.shape, [3]);
    for end in 0..complete.len() {
        assert!(read_array("x", &complete[..end], None, &mut boundless()).is_err(), "{end}");
    }
    let says = |bytes: Vec<u8>, expected: &str| {
        assert_eq!(read_array("x", bytes.as_slice(), None, &mut boundless()).unwrap_err(), expected)
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
        let values = Values::Memory((0..2 * size).map(|i| (i % 7) as f32 / 7.0).collect());
        ArrayFile {
            arrays: vec![NamedArray { name: "x".into(), shape, values, is_bytes: false }],
            labels: None,
            position_labels: None,
        }
    };
    let resize_crop = |resize, crop| ResizeCrop { resize, crop };
    let resized = array(vec![2, 6, 4]).resized(&resize_crop(Some(8), Some(5))).unwrap();
    assert_eq!((resized.arrays[0].shape.as_slice(), resized.arrays[0].values.len()), (&[2, 5, 5][..], 2 * 50));
    let second = PlanarImage { shape: [2, 6, 4], pixels: array(vec![2, 6, 4]).arrays[0].row(1).unwrap().to_vec() };
    let by_hand = second.resize(12, 8);
    assert_eq!(resized.arrays[0].row(1).unwrap(), by_hand.crop(by_hand.center_window(5, 5)).pixels);
    let error = array(vec![9]).resized(&resize_crop(Some(8), None)).unwrap_err();
    assert_eq!(error, "samples of shape [9], expected images [channels, height, width] to resize or crop");
    assert_eq!(array(vec![9]).resized(&ResizeCrop::default()).unwrap().arrays[0].shape, [9]);
}

/// An array larger than [`MAX_IN_MEMORY`], of zeros but for the last row: the file takes no room on the disk.
fn large(path: &Path, descr: &str, size: u64, last: &[u8]) -> u64 {
    use std::io::{Seek, SeekFrom, Write};
    let rows = MAX_IN_MEMORY / 4 / 2 + 1;
    let head = file(descr, &format!("({rows}, 2)"), &[]);
    let mut file = File::create(path).unwrap();
    file.write_all(&head).unwrap();
    let length = head.len() as u64 + rows * 2 * size;
    file.set_len(length).unwrap();
    file.seek(SeekFrom::Start(length - last.len() as u64)).unwrap();
    file.write_all(last).unwrap();
    rows
}

#[test]
fn rows_of_a_large_array_stay_in_its_file() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("x.npy");
    let rows = large(&path, "|u1", 1, &[51, 255]) as usize;
    let mut array = open(&path).unwrap().arrays.remove(0);
    assert!(matches!(array.values, Values::File(_)) && array.rows() == rows);
    assert_eq!(
        (array.row(0).unwrap(), array.row(rows - 1).unwrap()),
        (vec![0.0, 0.0].into(), vec![51.0, 255.0].into())
    );
    array.values.divide(255.0);
    assert_eq!(array.row(rows - 1).unwrap(), vec![0.2, 1.0]);
    // A file that is cut off while it is open is an error, and so is one that was before.
    File::options().write(true).open(&path).unwrap().set_len(1000).unwrap();
    let error = array.row(rows - 1).unwrap_err();
    assert!(error.starts_with("'array': "), "{error}");
    assert!(open(&path).unwrap_err().to_string().ends_with("'array' is cut off"));
}

#[test]
fn a_value_of_a_large_array_that_is_not_finite_is_named_by_its_row() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("x.npy");
    let rows = large(&path, "<f4", 4, &f32::NAN.to_le_bytes());
    let expected = format!("'array' holds NaN in row {}, expected finite numbers", rows - 1);
    assert!(open(&path).unwrap_err().to_string().ends_with(&expected));
}
