//! Arrays of numbers from `.npy` and `.npz` files: samples that are no images.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::{Error, Result};

/// Whole numbers up to this are exact in f32.
const MOST_EXACT: f64 = 16_777_216.0;
/// No header is longer.
const MOST_HEADER: usize = 1 << 16;
/// The array of labels.
const LABELS: &str = "labels";

/// Arrays with a row a sample, and labels where there are any.
#[derive(Debug)]
pub(super) struct Arrays {
    pub(super) arrays: Vec<Array>,
    pub(super) labels: Option<Vec<u32>>,
}

/// An array with a row a sample.
#[derive(Debug)]
pub(super) struct Array {
    pub(super) name: String,
    /// The shape of a row.
    pub(super) shape: Vec<usize>,
    /// Row-major.
    pub(super) values: Vec<f32>,
}

impl Array {
    pub(super) fn row(&self, index: usize) -> &[f32] {
        let size = self.shape.iter().product::<usize>();
        &self.values[index * size..(index + 1) * size]
    }
}

/// Reads a `.npy` file, or the arrays of a `.npz` file; one named `labels` are the labels.
pub(super) fn open(path: &Path) -> Result<Arrays> {
    let file = File::open(path).map_err(Error::io(path))?;
    let wrong = |what: String| Error::file(path, what);
    let mut read = Vec::new();
    if path.extension().is_some_and(|e| e == "npz") {
        let zip = |e: zip::result::ZipError| wrong(format!("not a whole .npz file: {e}"));
        let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(zip)?;
        for index in 0..archive.len() {
            let member = archive.by_index(index).map_err(zip)?;
            let name = member.name().map_err(zip)?.trim_end_matches(".npy").to_owned();
            read.push(npy(&name, member).map_err(wrong)?);
        }
    } else {
        read.push(npy("array", BufReader::new(file)).map_err(wrong)?);
    }
    let labels = read.iter().position(|(array, _)| array.name == LABELS && array.shape.is_empty());
    let labels = labels.map(|place| read.remove(place));
    if let Some((array, _)) = read.iter().find(|(array, _)| array.name == LABELS) {
        return Err(wrong(format!("'labels' has {:?} values a row, expected one number", array.shape)));
    }
    let Some((first, rows)) = read.first() else { return Err(wrong("no array of samples in it".into())) };
    let counts = read.iter().chain(&labels).map(|(array, count)| (&array.name, *count));
    if let Some((name, count)) = counts.clone().find(|(_, count)| count != rows) {
        return Err(wrong(format!("'{name}' has {count} rows, '{}' has {rows}", first.name)));
    }
    if *rows == 0 || first.values.is_empty() {
        return Err(wrong(format!("'{}' has no samples", first.name)));
    }
    for (array, rows) in &read {
        if let Some(place) = array.values.iter().position(|value| !value.is_finite()) {
            let (row, value) = (place / (array.values.len() / rows).max(1), array.values[place]);
            return Err(wrong(format!("'{}' holds {value} in row {row}, expected finite numbers", array.name)));
        }
    }
    let whole = |&v: &f32| {
        if v >= 0.0 && v.fract() == 0.0 {
            Ok(v as u32)
        } else {
            Err(wrong(format!("label {v}, expected a number from 0")))
        }
    };
    let labels = labels.map(|(array, _)| array.values.iter().map(whole).collect()).transpose()?;
    Ok(Arrays { arrays: read.into_iter().map(|(array, _)| array).collect(), labels })
}

/// Reads one array, and the number of its rows. The error says what is wrong with it.
fn npy(name: &str, mut file: impl Read) -> std::result::Result<(Array, usize), String> {
    let cut = |_| format!("'{name}' is cut off");
    let mut magic = [0; 8];
    file.read_exact(&mut magic).map_err(cut)?;
    if !magic.starts_with(b"\x93NUMPY") {
        return Err(format!("'{name}' is no .npy array"));
    }
    let mut length = [0; 4];
    file.read_exact(&mut length[..if magic[6] == 1 { 2 } else { 4 }]).map_err(cut)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MOST_HEADER {
        return Err(format!("'{name}': a header of {length} bytes"));
    }
    let mut header = vec![0; length];
    file.read_exact(&mut header).map_err(cut)?;
    let header = String::from_utf8_lossy(&header).into_owned();
    let after = |key: &str| header.split_once(key).map(|(_, rest)| rest.trim_start_matches([':', ' ']));
    if after("'fortran_order'").is_none_or(|rest| !rest.starts_with("False")) {
        return Err(format!("'{name}' is stored by columns; save numpy.ascontiguousarray of it"));
    }
    let sides = after("'shape'").and_then(|rest| rest.strip_prefix('(')?.split_once(')'));
    let sides = sides.map(|(sides, _)| sides.split(',').map(str::trim).filter(|side| !side.is_empty()));
    let sides: Option<Vec<usize>> = sides.and_then(|sides| sides.map(|side| side.parse().ok()).collect());
    let sides = sides.ok_or_else(|| format!("'{name}': its shape cannot be read"))?;
    let kind = after("'descr'").and_then(|rest| rest.strip_prefix('\'')?.split_once('\'')).map_or("", |(kind, _)| kind);
    let size: usize =
        kind.get(2..).and_then(|size| size.parse().ok()).filter(|size| [1, 2, 4, 8].contains(size)).unwrap_or(0);
    let Some((&rows, shape)) = sides.split_first() else { return Err(format!("'{name}' is a single number")) };
    let bytes = sides.iter().try_fold(size, |n, &side| n.checked_mul(side));
    let bytes = bytes
        .filter(|_| size > 0)
        .ok_or_else(|| format!("'{name}' holds {kind} of shape {sides:?}, expected numbers"))?;
    let mut data = Vec::new();
    file.take(bytes as u64 + 1).read_to_end(&mut data).map_err(cut)?;
    if data.len() != bytes {
        return Err(format!("'{name}': other than the {bytes} bytes that its shape {sides:?} needs"));
    }
    let number = |bytes: &[u8]| {
        number(kind, bytes).ok_or_else(|| format!("'{name}' holds numbers of {kind} that f32 does not hold"))
    };
    if !KINDS.contains(&kind) {
        return Err(format!("'{name}' holds {kind}, which is not read; save it as float32"));
    }
    let values = data.chunks_exact(size).map(number).collect::<std::result::Result<_, _>>()?;
    Ok((Array { name: name.to_owned(), shape: shape.to_vec(), values }, rows))
}

/// Types that are read, of one to eight bytes each, in the order of this machine's and numpy's usual bytes.
const KINDS: [&str; 13] = ["<f4", "<f8", "<i2", "<i4", "<i8", "|i1", "<i1", "<u2", "<u4", "<u8", "|u1", "<u1", "|b1"];

/// A number of one of numpy's types.
fn number(kind: &str, bytes: &[u8]) -> Option<f32> {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    let whole = u64::from_le_bytes(wide);
    let unused = 64 - 8 * bytes.len() as u32;
    let signed = (whole << unused).cast_signed() >> unused;
    let exact = |value: f64| (value.abs() <= MOST_EXACT).then_some(value as f32);
    match kind.get(..2)? {
        "<f" if bytes.len() == 4 => Some(f32::from_bits(whole as u32)),
        "<f" if bytes.len() == 8 => Some(f64::from_bits(whole) as f32),
        "<i" | "|i" => exact(signed as f64),
        "<u" | "|u" | "|b" => exact(whole as f64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        [b"\x93NUMPY\x01\x00".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes(), data].concat()
    }

    #[test]
    fn what_is_not_finite_is_named() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("x.npy");
        let floats: Vec<u8> = [0.5_f32, 1.0, f32::NAN, 2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        std::fs::write(&path, file("<f4", "(2, 2)", &floats)).unwrap();
        let error = open(&path).unwrap_err().to_string();
        assert!(error.ends_with("'array' holds NaN in row 1, expected finite numbers"), "{error}");
    }

    #[test]
    fn numbers_of_all_sorts_become_f32() {
        let read = |descr, data: &[u8]| npy("x", file(descr, "(2,)", data).as_slice()).map(|(array, _)| array.values);
        assert_eq!(read("<i8", &[1, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]), Ok(vec![1.0, -1.0]));
        assert_eq!(read("|u1", &[3, 255]), Ok(vec![3.0, 255.0]));
        assert_eq!(read("|i1", &[3, 255]), Ok(vec![3.0, -1.0]));
        assert_eq!(read("|b1", &[0, 1]), Ok(vec![0.0, 1.0]));
        let floats: Vec<u8> = [0.5_f64, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(read("<f8", &floats), Ok(vec![0.5, -2.0]));
        assert_eq!(
            read("<i4", &[1, 0, 0, 1, 0, 0, 0, 0]),
            Err("'x' holds numbers of <i4 that f32 does not hold".into())
        );
    }

    #[test]
    fn what_is_cut_off_or_lies_is_named() {
        let whole = file("<f4", "(2, 3)", &[0; 24]);
        assert_eq!(npy("x", whole.as_slice()).unwrap().0.shape, [3]);
        for end in 0..whole.len() {
            assert!(npy("x", &whole[..end]).is_err(), "{end}");
        }
        let says = |bytes: Vec<u8>, expected: &str| assert_eq!(npy("x", bytes.as_slice()).unwrap_err(), expected);
        says(file("<f4", "(2, 4)", &[0; 24]), "'x': other than the 32 bytes that its shape [2, 4] needs");
        says(file("<U4", "(2,)", &[0; 8]), "'x' holds <U4, which is not read; save it as float32");
        says(file("<f2", "(2,)", &[0; 4]), "'x' holds <f2, which is not read; save it as float32");
        says(
            file("<f4", "(9999999999, 9999999999)", &[]),
            "'x' holds <f4 of shape [9999999999, 9999999999], expected numbers",
        );
        says(file("<f4", "()", &[0; 4]), "'x' is a single number");
    }
}
