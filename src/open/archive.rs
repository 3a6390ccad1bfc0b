//! What is asked of an archive before anything is unpacked: that a small file does not unpack to a huge one, and that
//! its reader will find what is in it.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use super::pytorch::is_absurd;
use crate::{Error, Result};

/// The record at the very end of a zip archive, which PyTorch writes without a comment.
const END: u64 = 22;
/// The two records that PyTorch writes between an archive's directory and that one.
const BETWEEN: u64 = 76;
/// The fixed part of an entry of the directory.
const ENTRY: usize = 46;
/// A block of a tar archive; headers fill one.
const BLOCK: usize = 512;

/// Refuses what unpacks to absurdly more than there is; returns a copy of an archive that would be misread.
///
/// The `zip` crate that `pytorch-reader` uses takes a directory to lie right before the archive's end. Where the first
/// entry of PyTorch's is as long as what lies between (so for every file saved under a name of 21 letters), it finds an
/// entry there too and loses the first. The copy has a length that says the same to every reader.
///
/// # Errors
/// [`Error::File`] for a damaged or hostile archive, [`Error::Io`] where the file cannot be read or copied.
pub(super) fn examine(path: &Path) -> Result<Option<NamedTempFile>> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let length = file.metadata().map_err(Error::io(path))?.len();
    let mut begins = Vec::new();
    Read::by_ref(&mut file).take(BLOCK as u64).read_to_end(&mut begins).map_err(Error::io(path))?;
    // Beyond this an archive has other records, and no small file is so large.
    if begins.starts_with(b"PK") && length < u64::from(u32::MAX) {
        let damaged = |e: Damage| e.into_error(path);
        let directory = Directory::find(&mut file, length).map_err(damaged)?;
        let second = directory.entries(&mut file, length).map_err(damaged)?;
        if directory.gap == BETWEEN && second == BETWEEN {
            return directory.mended(&mut file).map(Some).map_err(Error::io(path));
        }
    } else if begins.get(257..262) == Some(b"ustar") && is_sparse(file).map_err(Error::io(path))? {
        return Err(Error::file(path, "a sparse tar archive, which PyTorch does not write"));
    }
    Ok(None)
}

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

/// Where the directory of a zip archive lies.
struct Directory {
    start: u64,
    size: u32,
    /// Bytes between it and the record at the end.
    gap: u64,
    count: u16,
    end: u64,
}

impl Directory {
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

    /// Adds up what the entries declare to unpack to; returns where the second one begins, from the directory's start.
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

    fn mended(&self, file: &mut File) -> std::io::Result<NamedTempFile> {
        let mut copy = NamedTempFile::new()?;
        file.rewind()?;
        std::io::copy(file, copy.as_file_mut())?;
        copy.as_file_mut().seek(SeekFrom::Start(self.end + 12))?;
        copy.write_all(&(self.size + BETWEEN as u32).to_le_bytes())?;
        copy.flush()?;
        Ok(copy)
    }
}

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Whether an entry of a tar archive declares holes, which unpack to any size.
fn is_sparse(mut file: File) -> std::io::Result<bool> {
    file.rewind()?;
    let mut reader = BufReader::new(file);
    let mut block = [0; BLOCK];
    loop {
        match reader.read_exact(&mut block) {
            Ok(()) if block[257..262] == *b"ustar" && block[156] == b'S' => return Ok(true),
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(e) => return Err(e),
        }
    }
}
