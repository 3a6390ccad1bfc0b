//! Samples from NumPy files, `.npy` and `.npz`.

mod values;

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;

pub(super) use values::Values;
use values::{FileValues, Place};

use super::Dataset;
use super::binary_reader::{MAX_BYTES, with_commas};
use super::dataset::{ResizeCrop, format_size};
use super::planar_image::PlanarImage;
use crate::error::caught_in;
use crate::limits::{advice, file_memory};
use crate::{Error, Result};

/// The largest integer up to which f32 holds every integer.
const MAX_EXACT_INTEGER: f64 = 16_777_216.0;
/// Arrays of more than [`MAX_BYTES`] in all may take so many times the bytes of their file. Deflate reaches 1000 for zeros.
const MAX_RATIO: u64 = 100;
/// The most bytes of an array in memory. The rows of a larger one are read from its file when they are asked for.
const MAX_IN_MEMORY: u64 = 256 << 20;
/// The most bytes of a header.
const MAX_HEADER: usize = 1 << 16;
/// The label of a position that does not count, as PyTorch's losses have it.
const IGNORED: f32 = -100.0;
/// The name of the array that holds the labels.
const LABELS: &str = "labels";

/// The content of a file: arrays with one row per sample, and labels if it has any.
#[derive(Debug)]
pub(super) struct ArrayFile {
    pub(super) arrays: Vec<NamedArray>,
    pub(super) labels: Option<Vec<u32>>,
    /// The labels at the positions of each row, where the array has several a row.
    pub(super) position_labels: Option<Vec<Arc<[u32]>>>,
}

impl ArrayFile {
    /// Returns the samples that some arrays hold, each given with the number of its rows. The array named `labels` holds the
    /// labels: one a row, or one for each position of a row, of which -100 does not count. The error says what is wrong.
    pub(super) fn new(mut arrays: Vec<(NamedArray, usize)>) -> std::result::Result<Self, String> {
        let labels = arrays.iter().position(|(array, _)| array.name == LABELS).map(|place| arrays.remove(place));
        let Some((first, rows)) = arrays.first() else { return Err("no array of samples in it".into()) };
        let counts = arrays.iter().chain(&labels).map(|(array, count)| (&array.name, *count));
        if let Some((name, count)) = counts.clone().find(|(_, count)| count != rows) {
            return Err(format!("'{name}' has {count} rows, '{}' has {rows}", first.name));
        }
        if *rows == 0 || first.values.is_empty() {
            return Err(format!("'{}' has no samples", first.name));
        }
        for (array, rows) in &arrays {
            let mut seen = 0;
            for chunk in array.values.chunks() {
                let chunk = chunk?;
                if let Some(place) = chunk.iter().position(|value| !value.is_finite()) {
                    let (row, value) = ((seen + place) / (array.values.len() / rows).max(1), chunk[place]);
                    return Err(format!("'{}' holds {value} in row {row}, expected finite numbers", array.name));
                }
                seen += chunk.len();
            }
        }
        let mut file = ArrayFile {
            arrays: arrays.into_iter().map(|(array, _)| array).collect(),
            labels: None,
            position_labels: None,
        };
        if let Some((array, _)) = labels {
            let positions = array.shape.iter().product::<usize>();
            let numbers = array.values.into_vec()?.into_iter().map(|value| label(value, positions > 1));
            let numbers: Vec<u32> = numbers.collect::<std::result::Result<_, _>>()?;
            match positions {
                0 => return Err("'labels' has no values".into()),
                1 => file.labels = Some(numbers),
                _ => file.position_labels = Some(numbers.chunks_exact(positions).map(Arc::from).collect()),
            }
        }
        Ok(file)
    }

    /// Returns the file with its images resized and cropped. The error says what is wrong with the file.
    pub(super) fn resized(mut self, resize_crop: &ResizeCrop) -> std::result::Result<Self, String> {
        if resize_crop.is_identity() {
            return Ok(self);
        }
        let [array] = self.arrays.as_mut_slice() else {
            return Err("several arrays a sample, so that nothing says which is an image to resize or crop".into());
        };
        let &[channels, height, width] = array.shape.as_slice() else {
            let shape = &array.shape;
            return Err(format!(
                "samples of shape {shape:?}, expected images [channels, height, width] to resize or crop"
            ));
        };
        let sizes = resize_crop.sizes([height, width])?;
        let [new_height, new_width] = sizes.cropped;
        let (whole, mut values) = (std::mem::take(&mut array.values).into_vec()?, Vec::new());
        let total = (whole.len() / (height * width)).checked_mul(new_height * new_width);
        let fits = total.is_some_and(|total| values.try_reserve_exact(total).is_ok());
        if !fits {
            return Err(format!("images of {} pixels do not fit into memory", format_size(sizes.cropped)));
        }
        for row in whole.chunks_exact(channels * height * width) {
            let image = PlanarImage { shape: [channels, height, width], pixels: row.to_vec() };
            values.extend(resize_crop.apply(image, &sizes).pixels);
        }
        array.shape = vec![channels, new_height, new_width];
        array.values = Values::Memory(values);
        Ok(self)
    }
}

/// An array with one row per sample.
#[derive(Debug)]
pub(super) struct NamedArray {
    pub(super) name: String,
    /// The shape of one row.
    pub(super) shape: Vec<usize>,
    /// The rows one after another, each in row-major order.
    pub(super) values: Values,
    /// Whether the values are unsigned bytes in the file.
    pub(super) is_bytes: bool,
}

impl NamedArray {
    /// Returns a row. The error says why it cannot be read.
    pub(super) fn row(&self, index: usize) -> std::result::Result<Cow<'_, [f32]>, String> {
        let size = self.shape.iter().product::<usize>();
        self.values.part(index * size..(index + 1) * size)
    }

    /// The number of rows.
    pub(super) fn rows(&self) -> usize {
        self.values.len() / self.shape.iter().product::<usize>().max(1)
    }
}

/// Reads a `.npy` file or all arrays of a `.npz` file. An array named `labels` holds the labels: one a row, or
/// one for each position of a row, of which -100 does not count.
pub(super) fn open(path: &Path) -> Result<ArrayFile> {
    caught_in(path, || open_file(path))
}

fn open_file(path: &Path) -> Result<ArrayFile> {
    let file = File::open(path).map_err(Error::io(path))?;
    let wrong = |what: String| Error::file(path, what);
    let mut arrays = Vec::new();
    let length = file.metadata().map_err(Error::io(path))?.len();
    let most = file_memory()?;
    let of_size = length.saturating_mul(MAX_RATIO).max(MAX_BYTES as u64);
    let mut budget = Budget { left: of_size.min(most), is_of_size: of_size <= most };
    if path.extension().is_some_and(|e| e == "npz") {
        let zip = |e: zip::result::ZipError| wrong(format!("not a whole .npz file: {e}"));
        let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(zip)?;
        for index in 0..archive.len() {
            let member = archive.by_index(index).map_err(zip)?;
            let name = member.name().map_err(zip)?.trim_end_matches(".npy").to_owned();
            // What is not compressed lies in the archive as in a file of its own.
            let is_stored = member.compression() == zip::CompressionMethod::Stored;
            let place = member.data_start().filter(|_| is_stored).map(|start| Place { path, start });
            arrays.push(read_array(&name, member, place, &mut budget).map_err(wrong)?);
        }
    } else {
        let place = Some(Place { path, start: 0 });
        arrays.push(read_array("array", BufReader::new(file), place, &mut budget).map_err(wrong)?);
    }
    ArrayFile::new(arrays).map_err(wrong)
}

/// Returns the label that a number is.
fn label(value: f32, can_be_ignored: bool) -> std::result::Result<u32, String> {
    match value {
        IGNORED if can_be_ignored => Ok(Dataset::IGNORED),
        value if value >= 0.0 && value.fract() == 0.0 => Ok(value as u32),
        value if can_be_ignored => Err(format!("label {value}, expected a number from 0, or -100 for none")),
        value => Err(format!("label {value}, expected a number from 0")),
    }
}

/// The memory that the arrays of a file may take, in bytes.
struct Budget {
    left: u64,
    /// Whether the size of the file bounds it, and not what any file may take.
    is_of_size: bool,
}

impl Budget {
    /// Takes the memory for an array.
    fn take(&mut self, name: &str, needed: u64) -> std::result::Result<(), String> {
        self.left = self.left.checked_sub(needed).ok_or_else(|| {
            let why = match self.is_of_size {
                true => ", far more than a file of this size holds of any data set".into(),
                false => format!("; {}", advice()),
            };
            format!("'{name}' would take {} bytes{why}", with_commas(needed as usize))
        })?;
        Ok(())
    }
}

/// Reads one array and the number of its rows. `budget` is what this and all further arrays of the file may take. The values of a large array stay in the file at `place`. The error message says what is wrong with the file.
fn read_array(
    name: &str,
    mut file: impl Read,
    place: Option<Place>,
    budget: &mut Budget,
) -> std::result::Result<(NamedArray, usize), String> {
    let (header, header_length) = read_header(name, &mut file)?;
    let (element_type, shape) = parse_header(name, &header)?;
    let size = element_type.get(2..).and_then(|size| size.parse().ok());
    let size: usize = size.filter(|size| [1, 2, 4, 8].contains(size)).unwrap_or(0);
    let Some((&rows, row_shape)) = shape.split_first() else { return Err(format!("'{name}' is a single number")) };
    let bytes = shape.iter().try_fold(size, |n, &side| n.checked_mul(side)).filter(|_| size > 0);
    let bytes = bytes.ok_or_else(|| format!("'{name}' holds {element_type} of shape {shape:?}, expected numbers"))?;
    if !ELEMENT_TYPES.contains(&element_type) {
        return Err(format!("'{name}' holds {element_type}, which is not read; save it as float32"));
    }
    let element = Element { name: name.to_owned(), element_type: element_type.to_owned(), size };
    let is_bytes = element_type.ends_with("u1");
    let array = |values| (NamedArray { name: name.to_owned(), shape: row_shape.to_vec(), values, is_bytes }, rows);
    // Values become f32.
    let needed = (bytes / size).saturating_mul(size_of::<f32>()) as u64;
    if let Some(place) = place.filter(|_| needed > MAX_IN_MEMORY) {
        let place = Place { start: place.start + header_length as u64, ..place };
        return FileValues::new(place, element, bytes / size).map(|values| array(Values::File(values)));
    }
    budget.take(name, needed)?;
    let no_memory = || format!("'{name}': {} bytes do not fit into memory", with_commas(bytes));
    let mut data = Vec::new();
    file.take(bytes as u64 + 1).read_to_end(&mut data).map_err(|e| match e.kind() {
        std::io::ErrorKind::OutOfMemory => no_memory(),
        _ => truncated(name),
    })?;
    if data.len() != bytes {
        return Err(format!("'{name}': other than the {bytes} bytes that its shape {shape:?} needs"));
    }
    let mut values = Vec::new();
    values.try_reserve_exact(data.len() / size).map_err(|_| no_memory())?;
    element.add_values(&data, &mut values)?;
    Ok(array(Values::Memory(values)))
}

/// An element type, and the array that has it.
#[derive(Debug)]
struct Element {
    name: String,
    element_type: String,
    /// Bytes.
    size: usize,
}

impl Element {
    /// Adds the values of some elements. The error says what f32 cannot hold.
    fn add_values(&self, bytes: &[u8], to: &mut Vec<f32>) -> std::result::Result<(), String> {
        let Self { name, element_type, size } = self;
        for element in bytes.chunks_exact(*size) {
            let inexact = || format!("'{name}' holds numbers of {element_type} that f32 does not hold");
            to.push(element_value(element_type, element).ok_or_else(inexact)?);
        }
        Ok(())
    }
}

/// Reads the text of a header, a Python dictionary, and returns it with the number of bytes that were read.
fn read_header(name: &str, file: &mut impl Read) -> std::result::Result<(String, usize), String> {
    let mut magic = [0; 8];
    file.read_exact(&mut magic).map_err(|_| truncated(name))?;
    if !magic.starts_with(b"\x93NUMPY") {
        return Err(format!("'{name}' is no .npy array"));
    }
    let mut length = [0; 4];
    let digits = if magic[6] == 1 { 2 } else { 4 };
    file.read_exact(&mut length[..digits]).map_err(|_| truncated(name))?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_HEADER {
        return Err(format!("'{name}': a header of {length} bytes"));
    }
    let mut header = vec![0; length];
    file.read_exact(&mut header).map_err(|_| truncated(name))?;
    Ok((String::from_utf8_lossy(&header).into_owned(), magic.len() + digits + length))
}

/// Returns the element type and the shape that a header states.
fn parse_header<'h>(name: &str, header: &'h str) -> std::result::Result<(&'h str, Vec<usize>), String> {
    let after = |key: &str| header.split_once(key).map(|(_, rest)| rest.trim_start_matches([':', ' ']));
    if after("'fortran_order'").is_none_or(|rest| !rest.starts_with("False")) {
        return Err(format!("'{name}' is stored by columns; save numpy.ascontiguousarray of it"));
    }
    let sides = after("'shape'").and_then(|rest| rest.strip_prefix('(')?.split_once(')'));
    let sides = sides.map(|(sides, _)| sides.split(',').map(str::trim).filter(|side| !side.is_empty()));
    let shape: Option<Vec<usize>> = sides.and_then(|sides| sides.map(|side| side.parse().ok()).collect());
    let shape = shape.ok_or_else(|| format!("'{name}': its shape cannot be read"))?;
    let element_type = after("'descr'").and_then(|rest| rest.strip_prefix('\'')?.split_once('\''));
    Ok((element_type.map_or("", |(element_type, _)| element_type), shape))
}

fn truncated(name: &str) -> String {
    format!("'{name}' is cut off")
}

/// The element types that are read, all little-endian.
const ELEMENT_TYPES: [&str; 13] =
    ["<f4", "<f8", "<i2", "<i4", "<i8", "|i1", "<i1", "<u2", "<u4", "<u8", "|u1", "<u1", "|b1"];

/// Returns the value of an element of a NumPy type; `None` for an integer that f32 cannot hold exactly.
fn element_value(element_type: &str, bytes: &[u8]) -> Option<f32> {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    let bits = u64::from_le_bytes(wide);
    let unused = 64 - 8 * bytes.len() as u32;
    let signed = (bits << unused).cast_signed() >> unused;
    let exact = |value: f64| (value.abs() <= MAX_EXACT_INTEGER).then_some(value as f32);
    match element_type.get(..2)? {
        "<f" if bytes.len() == 4 => Some(f32::from_bits(bits as u32)),
        "<f" if bytes.len() == 8 => Some(f64::from_bits(bits) as f32),
        "<i" | "|i" => exact(signed as f64),
        "<u" | "|u" | "|b" => exact(bits as f64),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
