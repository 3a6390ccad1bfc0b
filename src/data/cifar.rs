//! The binary format of CIFAR-10 and CIFAR-100: records of one label byte (CIFAR-100: the coarse and the fine
//! label) and 32x32 pixels in three planes, red, green, blue, with no header.

use std::path::{Path, PathBuf};

use super::binary_reader::{self, BinaryReader, with_commas};
use super::class_names::{self, to_strings};
use super::dataset::ImageBytes;
use super::spec::{DataKind, Split};
use crate::{Error, Result};

const PIXELS: usize = 3 * 32 * 32;

const TRAIN_10: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];

/// The differences between the two formats.
struct CifarFormat {
    kind: DataKind,
    /// The number of classes of each label byte of a record. The last label is the one that is used.
    classes: &'static [usize],
    /// The directory in the archive.
    archive_dir: &'static str,
}

const CIFAR_10: CifarFormat =
    CifarFormat { kind: DataKind::Cifar10, classes: &[10], archive_dir: "cifar-10-batches-bin" };

const CIFAR_100: CifarFormat =
    CifarFormat { kind: DataKind::Cifar100, classes: &[20, 100], archive_dir: "cifar-100-binary" };

/// Reads one split of CIFAR-10.
pub(super) fn open_10(dir: &Path, split: Split) -> Result<ImageBytes> {
    match split {
        Split::Train => open(&CIFAR_10, dir, &TRAIN_10),
        Split::Test | Split::Valid => open(&CIFAR_10, dir, &["test_batch.bin"]),
    }
}

/// Reads one split of CIFAR-100, with the fine labels.
pub(super) fn open_100(dir: &Path, split: Split) -> Result<ImageBytes> {
    match split {
        Split::Train => open(&CIFAR_100, dir, &["train.bin"]),
        Split::Test | Split::Valid => open(&CIFAR_100, dir, &["test.bin"]),
    }
}

/// Returns the names of the fine classes: those of the list in the directory, or the built-in ones.
pub(super) fn class_names_100(dir: &Path) -> Result<Vec<String>> {
    let Some(path) = binary_reader::find_file(&search_dirs(&CIFAR_100, dir), &["fine_label_names.txt"]) else {
        return Ok(to_strings(&class_names::CIFAR_100));
    };
    let mut bytes = Vec::new();
    // A hundred names need a few kilobytes. A longer file is no list of them.
    BinaryReader::open(&path)?.read_up_to(1 << 16, &mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let classes: Vec<String> = lines.map(str::to_owned).collect();
    match classes.len() {
        100 => Ok(classes),
        n => Err(Error::file(path, format!("{n} names of classes, expected 100, one a line"))),
    }
}

fn search_dirs(format: &CifarFormat, dir: &Path) -> [PathBuf; 2] {
    [dir.to_owned(), dir.join(format.archive_dir)]
}

fn open(format: &CifarFormat, dir: &Path, files: &[&str]) -> Result<ImageBytes> {
    let mut images = ImageBytes { shape: [3, 32, 32], labels: Vec::new(), bytes: Vec::new() };
    for file in files {
        let path = binary_reader::find_file(&search_dirs(format, dir), &[file]).ok_or_else(|| {
            let (archive, name) = (format.archive_dir, format.kind.name());
            let remedy = match dir.join("train").is_dir() || dir.join("test").is_dir() {
                true => format!("pictures in folders are read as folder:{}", dir.display()),
                false => format!("`unrolled data fetch {name}` gets it"),
            };
            Error::file(dir, format!("no {file} or {file}.gz here or in {archive}; {remedy}"))
        })?;
        append(format, &path, &mut images)?;
    }
    Ok(images)
}

/// Appends the records of one file.
fn append(format: &CifarFormat, path: &Path, images: &mut ImageBytes) -> Result<()> {
    let mut source = BinaryReader::open(path)?;
    let size = format.classes.len() + PIXELS;
    let mut record = Vec::with_capacity(size);
    let mut number = 0;
    loop {
        record.clear();
        let found = source.read_up_to(size, &mut record)?;
        match found {
            0 if number == 0 => return Err(source.error("empty, expected at least one image")),
            0 => return source.expect_end(),
            _ if found < size => {
                let (number, size) = (with_commas(number), with_commas(size));
                return Err(
                    source.error(format!("truncated: record {number} has {} of {size} bytes", with_commas(found)))
                );
            }
            _ if images.bytes.len() + PIXELS > binary_reader::MAX_BYTES => {
                let most = with_commas(binary_reader::MAX_BYTES);
                return Err(source.error(format!("more than {most} bytes of pixels")));
            }
            _ => {}
        }
        let (labels, pixels) = record.split_at(format.classes.len());
        images.labels.push(label(format, &source, number, labels)?);
        images.bytes.extend_from_slice(pixels);
        number += 1;
    }
}

/// Returns the label of a record. All labels are checked: an impossible coarse label means a file of another format.
fn label(format: &CifarFormat, source: &BinaryReader, number: usize, labels: &[u8]) -> Result<u32> {
    for (&label, &classes) in labels.iter().zip(format.classes) {
        if usize::from(label) >= classes {
            let (number, last, name) = (with_commas(number), classes - 1, format.kind.name());
            let what = format!("label {label} of record {number}, expected 0 to {last}; is this {name}?");
            return Err(source.error(what));
        }
    }
    Ok(labels.last().map_or(0, |&label| label.into()))
}

#[cfg(test)]
mod tests;
