//! The idx format of MNIST and Fashion-MNIST.
//!
//! A file is a header of big-endian 32-bit numbers and unsigned bytes: images have the magic number 0x803, then
//! count, rows and columns; labels have the magic number 0x801, then the count.

use std::path::{Path, PathBuf};

use super::binary_reader::{self, BinaryReader, with_commas};
use super::dataset::ImageBytes;
use super::spec::{DataKind, Split};
use crate::{Error, Result};

const CLASSES: u8 = 10;

/// Reads one split from its two files in `dir`.
pub(super) fn open(kind: DataKind, dir: &Path, split: Split) -> Result<ImageBytes> {
    let prefix = match split {
        Split::Train => "train",
        Split::Test | Split::Valid => "t10k",
    };
    let images_path = find_idx_file(kind, dir, prefix, "images", 3)?;
    let labels_path = find_idx_file(kind, dir, prefix, "labels", 1)?;
    let (shape, bytes) = images(&images_path)?;
    let labels = labels(&labels_path)?;
    let count = bytes.len() / (shape[1] * shape[2]);
    if labels.len() != count {
        let (found, count) = (with_commas(labels.len()), with_commas(count));
        let images = images_path.display();
        return Err(Error::file(labels_path, format!("{found} labels, but {images} has {count} images")));
    }
    Ok(ImageBytes { shape, labels, bytes })
}

/// Returns the path of a file. It may have either of two usual names and may be compressed.
fn find_idx_file(kind: DataKind, dir: &Path, prefix: &str, what: &str, dimensions: u8) -> Result<PathBuf> {
    let dash = format!("{prefix}-{what}-idx{dimensions}-ubyte");
    let dot = format!("{prefix}-{what}.idx{dimensions}-ubyte");
    binary_reader::find_file(&[dir.to_owned()], &[&dash, &dot]).ok_or_else(|| {
        let name = kind.name();
        Error::file(dir, format!("no {dash} or {dash}.gz here; `unrolled data fetch {name}` gets it"))
    })
}

/// Returns the shape of one image and the pixels of all images of a file.
fn images(path: &Path) -> Result<([usize; 3], Vec<u8>)> {
    let mut source = BinaryReader::open(path)?;
    let [count, height, width] = header(&mut source, "images", 3)?;
    let announced = format!("{} images of {height}x{width} pixels", with_commas(count));
    if count == 0 || height == 0 || width == 0 {
        return Err(source.error(format!("its header announces {announced}, expected at least one pixel")));
    }
    let size = count.checked_mul(height).and_then(|n| n.checked_mul(width));
    let Some(size) = size.filter(|&size| size <= binary_reader::MAX_BYTES) else {
        let most = with_commas(binary_reader::MAX_BYTES);
        return Err(source.error(format!("its header announces {announced}, more than {most} bytes")));
    };
    let mut bytes = Vec::new();
    let found = source.read_up_to(size, &mut bytes)?;
    if found < size {
        let (found, size) = (with_commas(found), with_commas(size));
        return Err(source.error(format!("truncated: {found} bytes of pixels where the header announces {size}")));
    }
    source.expect_end()?;
    Ok(([1, height, width], bytes))
}

/// Returns the labels of a file.
fn labels(path: &Path) -> Result<Vec<u32>> {
    let mut source = BinaryReader::open(path)?;
    let [count] = header(&mut source, "labels", 1)?;
    let mut bytes = Vec::new();
    // A data set has no more labels than bytes of pixels.
    let found = source.read_up_to(count.min(binary_reader::MAX_BYTES), &mut bytes)?;
    if found < count {
        let (found, count) = (with_commas(found), with_commas(count));
        return Err(source.error(format!("truncated: {found} labels where the header announces {count}")));
    }
    source.expect_end()?;
    if let Some(at) = bytes.iter().position(|&label| label >= CLASSES) {
        let (label, at) = (bytes[at], with_commas(at));
        return Err(source.error(format!("label {label} of sample {at}, expected 0 to {}", CLASSES - 1)));
    }
    Ok(bytes.into_iter().map(u32::from).collect())
}

/// Checks the magic number of a header and returns the `N` sizes that follow it.
fn header<const N: usize>(source: &mut BinaryReader, what: &str, dimensions: u8) -> Result<[usize; N]> {
    let number = |bytes: Vec<u8>| bytes.iter().fold(0, |n, &byte| n << 8 | usize::from(byte));
    let magic = number(source.read_exact(4, "header")?);
    let expected = 0x800 + usize::from(dimensions);
    if magic != expected {
        return Err(source
            .error(format!("magic number {magic:#010x}, expected {expected:#010x} (idx {what} of unsigned bytes)")));
    }
    let mut sizes = [0; N];
    for size in &mut sizes {
        *size = number(source.read_exact(4, "header")?);
    }
    Ok(sizes)
}

#[cfg(test)]
pub(super) fn file(sizes: &[u32], body: &[u8]) -> Vec<u8> {
    let mut bytes = (0x800 + sizes.len() as u32).to_be_bytes().to_vec();
    bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend_from_slice(body);
    bytes
}

#[cfg(test)]
mod tests;
