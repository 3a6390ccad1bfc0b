//! Arrays in files as NumPy writes them.

use std::io::Write;
use std::path::Path;

/// An array of floats: shape and values.
pub(crate) type Array = (Vec<usize>, Vec<f32>);

/// A `.npy` array of floats.
pub(crate) fn npy((shape, values): &Array) -> Vec<u8> {
    let sides: String = shape.iter().map(|side| format!("{side}, ")).collect();
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sides}), }}\n");
    let length = (header.len() as u16).to_le_bytes();
    let data = values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), &data].concat()
}

/// A `.npz` file of named arrays.
pub(crate) fn write<'a>(path: &Path, arrays: impl Iterator<Item = (&'a str, Array)>) {
    let mut archive = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    for (name, array) in arrays {
        archive.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(&npy(&array)).unwrap();
    }
    archive.finish().unwrap();
}
