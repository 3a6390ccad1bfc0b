//! Checks archives before anything is unpacked: a small file must not unpack to a huge one, and the zip reader has to find
//! all entries.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use super::pytorch::is_absurd;
use crate::{Error, Result};

/// Bytes of the end record of a zip archive, which PyTorch writes without a comment.
const END: u64 = 22;
/// Bytes of the two zip64 records that PyTorch writes between the directory and the end record.
const ZIP64_RECORDS: u64 = 76;
/// Bytes of the fixed part of a directory entry.
const ENTRY: usize = 46;
/// Bytes of a block of a tar archive. A header is one block.
const TAR_BLOCK: usize = 512;

/// Refuses archives that unpack to far more than they hold, and returns a repaired copy of an archive that the reader would
/// misread.
///
/// The `zip` crate, which `pytorch-reader` uses, assumes that the directory ends right before the end record. Where the first
/// entry of the directory is as long as the zip64 records (so for every file saved under a name of 21 letters), it finds the
/// second entry there and loses the first. The copy declares a directory that includes the zip64 records, which all readers
/// understand alike.
///
/// # Errors
/// [`Error::File`] for a damaged or hostile archive, [`Error::Io`] where the file cannot be read or copied.
pub(super) fn examine(path: &Path) -> Result<Option<NamedTempFile>> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let length = file.metadata().map_err(Error::io(path))?.len();
    let mut head = Vec::new();
    Read::by_ref(&mut file).take(TAR_BLOCK as u64).read_to_end(&mut head).map_err(Error::io(path))?;
    // Larger archives have other records, and cannot be small files that unpack to huge ones.
    if head.starts_with(b"PK") && length < u64::from(u32::MAX) {
        let damaged = |e: Damage| e.into_error(path);
        let directory = Directory::find(&mut file, length).map_err(damaged)?;
        let second = directory.entries(&mut file, length).map_err(damaged)?;
        if directory.gap == ZIP64_RECORDS && second == ZIP64_RECORDS {
            return directory.repaired(&mut file).map(Some).map_err(Error::io(path));
        }
    } else if head.get(257..262) == Some(b"ustar") && is_sparse(file).map_err(Error::io(path))? {
        return Err(Error::file(path, "a sparse tar archive, which PyTorch does not write"));
    }
    Ok(None)
}

/// Returns the names of the entries of a zip archive; none of a damaged one.
pub(super) fn entry_names(path: &Path) -> Vec<String> {
    let read = || {
        let copy = examine(path).ok()?;
        let file = File::open(copy.as_ref().map_or(path, |copy| copy.path())).ok()?;
        let archive = zip::ZipArchive::new(BufReader::new(file)).ok()?;
        Some(archive.file_names().flatten().map(|name| name.into_owned()).collect())
    };
    read().unwrap_or_default()
}

/// What is wrong with an archive.
enum Damage {
    Io(std::io::Error),
    What(String),
}

impl From<std::io::Error> for Damage {
    fn from(e: std::io::Error) -> Self {
        Self::Io(e)
    }
}

impl Damage {
    fn into_error(self, path: &Path) -> Error {
        match self {
            Self::Io(e) if e.kind() != std::io::ErrorKind::UnexpectedEof => Error::io(path)(e),
            Self::Io(_) => Error::file(path, "not a whole zip archive: its directory ends early"),
            Self::What(what) => Error::file(path, format!("not a whole zip archive: {what}")),
        }
    }
}

/// The directory of a zip archive.
struct Directory {
    start: u64,
    size: u32,
    /// Bytes between the directory and the end record.
    gap: u64,
    count: u16,
    end: u64,
}

impl Directory {
    /// Finds the directory by the end record.
    fn find(file: &mut File, length: u64) -> std::result::Result<Self, Damage> {
        let none = || Damage::What("no end of a directory at its end".into());
        let end = length.checked_sub(END).ok_or_else(none)?;
        let mut record = [0; END as usize];
        file.seek(SeekFrom::Start(end))?;
        file.read_exact(&mut record)?;
        if !record.starts_with(b"PK\x05\x06") {
            return Err(none());
        }
        let (count, size, start) = (short(&record, 10), long(&record, 12), u64::from(long(&record, 16)));
        let gap = end.checked_sub(start + u64::from(size));
        let gap = gap.ok_or_else(|| Damage::What("its directory lies behind its end".into()))?;
        Ok(Self { start, size, gap, count, end })
    }

    /// Checks the sum of the sizes that the entries declare; returns the offset of the second entry in the directory.
    fn entries(&self, file: &mut File, length: u64) -> std::result::Result<u64, Damage> {
        file.seek(SeekFrom::Start(self.start))?;
        let mut reader = BufReader::new(&mut *file);
        let mut unpacked = 0_u128;
        let mut second = 0;
        for number in 0..self.count {
            let mut entry = [0; ENTRY];
            reader.read_exact(&mut entry)?;
            if !entry.starts_with(b"PK\x01\x02") {
                return Err(Damage::What("its directory is damaged".into()));
            }
            unpacked += u128::from(long(&entry, 24));
            let rest = [28, 30, 32].map(|at| i64::from(short(&entry, at))).iter().sum::<i64>();
            reader.seek_relative(rest)?;
            if number == 0 {
                second = ENTRY as u64 + rest.unsigned_abs();
            }
        }
        if is_absurd(unpacked, length) {
            return Err(Damage::What(format!("{length} bytes that unpack to {unpacked}")));
        }
        Ok(second)
    }

    /// Returns a copy of the archive whose directory includes the zip64 records.
    fn repaired(&self, file: &mut File) -> std::io::Result<NamedTempFile> {
        let mut copy = NamedTempFile::new()?;
        file.rewind()?;
        std::io::copy(file, copy.as_file_mut())?;
        copy.as_file_mut().seek(SeekFrom::Start(self.end + 12))?;
        copy.write_all(&(self.size + ZIP64_RECORDS as u32).to_le_bytes())?;
        copy.flush()?;
        Ok(copy)
    }
}

/// Reads a little-endian u16.
fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// Reads a little-endian u32.
fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Returns whether a tar archive has a sparse entry, which can unpack to any size.
fn is_sparse(mut file: File) -> std::io::Result<bool> {
    file.rewind()?;
    let mut reader = BufReader::new(file);
    let mut block = [0; TAR_BLOCK];
    loop {
        match reader.read_exact(&mut block) {
            Ok(()) if block[257..262] == *b"ustar" && block[156] == b'S' => return Ok(true),
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(e) => return Err(e),
        }
    }
}
