//! The binary format of CIFAR-10 and CIFAR-100: records of one label byte (CIFAR-100: the coarse and the fine
//! label) and 32x32 pixels in three planes, red, green, blue, with no header.

use std::path::{Path, PathBuf};

use super::dataset::Packed;
use super::names;
use super::read::{self, Source, grouped};
use super::spec::{Kind, Split};
use crate::{Error, Result};

const PIXELS: usize = 3 * 32 * 32;

const TRAIN_10: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];

/// What distinguishes the two formats.
struct Format {
    kind: Kind,
    /// How many classes each label byte of a record knows; the last byte is the label that is used.
    classes: &'static [usize],
    /// The directory that the archive unpacks to.
    archive: &'static str,
}

const CIFAR_10: Format = Format { kind: Kind::Cifar10, classes: &[10], archive: "cifar-10-batches-bin" };

const CIFAR_100: Format = Format { kind: Kind::Cifar100, classes: &[20, 100], archive: "cifar-100-binary" };

/// The samples of one split of CIFAR-10.
pub(super) fn open_10(dir: &Path, split: Split) -> Result<Packed> {
    match split {
        Split::Train => open(&CIFAR_10, dir, &TRAIN_10),
        Split::Test | Split::Valid => open(&CIFAR_10, dir, &["test_batch.bin"]),
    }
}

/// The samples of one split of CIFAR-100, with the fine labels.
pub(super) fn open_100(dir: &Path, split: Split) -> Result<Packed> {
    match split {
        Split::Train => open(&CIFAR_100, dir, &["train.bin"]),
        Split::Test | Split::Valid => open(&CIFAR_100, dir, &["test.bin"]),
    }
}

/// The names of the fine classes: those of the list beside the data, or the built-in ones.
pub(super) fn names_100(dir: &Path) -> Result<Vec<String>> {
    let Some(path) = read::find(&places(&CIFAR_100, dir), &["fine_label_names.txt"]) else {
        return Ok(names::owned(&names::CIFAR_100));
    };
    let mut bytes = Vec::new();
    // A hundred names need some kilobytes: what is longer is another file.
    Source::open(&path)?.some(1 << 16, &mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let classes: Vec<String> = lines.map(str::to_owned).collect();
    match classes.len() {
        100 => Ok(classes),
        n => Err(Error::file(path, format!("{n} names of classes, expected 100, one a line"))),
    }
}

fn places(format: &Format, dir: &Path) -> [PathBuf; 2] {
    [dir.to_owned(), dir.join(format.archive)]
}

fn open(format: &Format, dir: &Path, files: &[&str]) -> Result<Packed> {
    let mut packed = Packed { shape: [3, 32, 32], labels: Vec::new(), bytes: Vec::new() };
    for file in files {
        let path = read::find(&places(format, dir), &[file]).ok_or_else(|| {
            let (archive, name) = (format.archive, format.kind.name());
            Error::file(
                dir,
                format!("no {file} or {file}.gz here or in {archive}; `unrolled data fetch {name}` gets it"),
            )
        })?;
        append(format, &path, &mut packed)?;
    }
    Ok(packed)
}

/// Appends the records of one file.
fn append(format: &Format, path: &Path, packed: &mut Packed) -> Result<()> {
    let mut source = Source::open(path)?;
    let size = format.classes.len() + PIXELS;
    let mut record = Vec::with_capacity(size);
    let mut at = 0;
    loop {
        record.clear();
        let found = source.some(size, &mut record)?;
        match found {
            0 if at == 0 => return Err(source.error("empty, expected at least one image")),
            0 => return source.end(),
            _ if found < size => {
                let (at, size) = (grouped(at), grouped(size));
                return Err(source.error(format!("truncated: record {at} has {} of {size} bytes", grouped(found))));
            }
            _ if packed.bytes.len() + PIXELS > read::MAX_BYTES => {
                let most = grouped(read::MAX_BYTES);
                return Err(source.error(format!("more than {most} bytes of pixels")));
            }
            _ => {}
        }
        let (labels, pixels) = record.split_at(format.classes.len());
        packed.labels.push(label(format, &source, at, labels)?);
        packed.bytes.extend_from_slice(pixels);
        at += 1;
    }
}

/// The label of a record; the coarse one is looked at because a wrong one betrays a file of another format.
fn label(format: &Format, source: &Source, at: usize, labels: &[u8]) -> Result<u32> {
    for (&label, &classes) in labels.iter().zip(format.classes) {
        if usize::from(label) >= classes {
            let (at, last, name) = (grouped(at), classes - 1, format.kind.name());
            let what = format!("label {label} of record {at}, expected 0 to {last}; is this {name}?");
            return Err(source.error(what));
        }
    }
    Ok(labels.last().map_or(0, |&label| label.into()))
}

#[cfg(test)]
mod tests;
