//! Copies arrays from one safetensors file to another, one buffer at a time, and compares what was written.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::weights::{ArrayEntry, WeightFile};
use crate::{Error, Result};

/// Bytes that are in memory at once.
const BUFFER: usize = 1 << 20;

/// Called with the number of bytes that were read.
pub(super) type OnRead<'a> = &'a mut dyn FnMut(u64) -> Result<()>;

/// Writes some arrays of a file under new names, in the same order, and verifies the new file by its checksums.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`] that names the file at fault.
pub(super) fn copy_arrays(
    source: &WeightFile,
    arrays: &[(ArrayEntry, String)],
    out: &Path,
    on_read: OnRead,
) -> Result<()> {
    let header = header(source, arrays).map_err(|e| Error::file(out, e.to_string()))?;
    let file = File::create_new(out).map_err(Error::io(out))?;
    let mut writer = BufWriter::with_capacity(BUFFER, file);
    writer.write_all(&header).map_err(Error::io(out))?;
    let mut reader = File::open(&source.path).map_err(Error::io(&source.path))?;
    let mut checksums = Vec::new();
    for (array, _) in arrays {
        reader.seek(SeekFrom::Start(array.offset)).map_err(Error::io(&source.path))?;
        let write = &mut |bytes: &[u8]| writer.write_all(bytes).map_err(Error::io(out));
        checksums.push(read(&mut reader, &source.path, &array.name, array.length, write, on_read)?);
    }
    let file = writer.into_inner().map_err(|e| Error::io(out)(e.into_error()))?;
    file.sync_all().map_err(Error::io(out))?;
    verify(out, arrays, &checksums, on_read)
}

/// Returns the length of the header and the header: the texts of the source, and the arrays one after the other.
fn header(source: &WeightFile, arrays: &[(ArrayEntry, String)]) -> serde_json::Result<Vec<u8>> {
    let mut entries = Map::new();
    if !source.metadata.is_empty() {
        entries.insert("__metadata__".to_owned(), json!(source.metadata));
    }
    let mut end = 0;
    for (array, name) in arrays {
        let begin = end;
        end += array.length;
        entries.insert(name.clone(), json!({"dtype": array.dtype, "shape": array.shape, "data_offsets": [begin, end]}));
    }
    let mut text = serde_json::to_vec(&Value::Object(entries))?;
    // The values begin at a multiple of eight bytes, as the format asks for.
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.append(&mut text);
    Ok(bytes)
}

/// Reads so many bytes in pieces, and returns their checksum.
fn read(
    reader: &mut impl Read,
    path: &Path,
    name: &str,
    length: u64,
    each: &mut dyn FnMut(&[u8]) -> Result<()>,
    on_read: OnRead,
) -> Result<u32> {
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0; BUFFER.min(usize::try_from(length).unwrap_or(BUFFER))];
    let mut left = length;
    while left > 0 {
        let piece = &mut buffer[..usize::try_from(left).map_or(BUFFER, |left| left.min(BUFFER))];
        reader.read_exact(piece).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => Error::file(path, format!("ends within {name}")),
            _ => Error::io(path)(e),
        })?;
        hasher.update(piece);
        each(piece)?;
        left -= piece.len() as u64;
        on_read(piece.len() as u64)?;
    }
    Ok(hasher.finalize())
}

/// Opens a file that was written, and checks that its arrays are those that were meant, with the bytes that were copied.
fn verify(path: &Path, arrays: &[(ArrayEntry, String)], checksums: &[u32], on_read: OnRead) -> Result<()> {
    let written = WeightFile::open(path)?;
    let wrong = |what: String| Err(Error::file(path, what));
    if written.arrays.len() != arrays.len() {
        return wrong(format!("{} arrays were written, {} are in it", arrays.len(), written.arrays.len()));
    }
    let file = File::open(path).map_err(Error::io(path))?;
    let mut reader = BufReader::new(file);
    for array in &written.arrays {
        let meant = arrays.iter().zip(checksums).find(|((_, name), _)| *name == array.name);
        let Some(((source, name), checksum)) = meant else {
            return wrong(format!("{} should not be in it", array.name));
        };
        if (&source.dtype, &source.shape, source.length) != (&array.dtype, &array.shape, array.length) {
            return wrong(format!("{name} has another type or shape than before"));
        }
        reader.seek(SeekFrom::Start(array.offset)).map_err(Error::io(path))?;
        if read(&mut reader, path, name, array.length, &mut |_| Ok(()), on_read)? != *checksum {
            return wrong(format!("{name} has other bytes than were written; is the disk in order?"));
        }
    }
    Ok(())
}
