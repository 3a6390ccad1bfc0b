//! A way around one misreading of zip archives.
//!
//! PyTorch writes two records of 76 bytes in all between an archive's directory and its end. The `zip` crate that
//! `pytorch-reader` uses takes the directory to lie right before the end, and where the first entry of the directory
//! happens to be 76 bytes long (any file saved under a name of 21 letters), it finds an entry there and loses the
//! first. Such an archive is copied with a length that says the same to every reader.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::{Error, Result};

/// The record at the very end of an archive without a comment.
const END: usize = 22;
/// The two records that PyTorch writes before it.
const BETWEEN: u64 = 76;

/// A copy of an archive that would be misread; `None` for every other file.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read or copied.
pub(super) fn mended(path: &Path) -> Result<Option<NamedTempFile>> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let Some((at, size)) = misread(&mut file).map_err(Error::io(path))? else { return Ok(None) };
    copy(&mut file, at, size).map(Some).map_err(Error::io(path))
}

/// Where the length of the directory stands and what it should be, where the archive would be misread.
fn misread(file: &mut File) -> std::io::Result<Option<(u64, u32)>> {
    let Some(end) = file.metadata()?.len().checked_sub(END as u64) else { return Ok(None) };
    let mut record = [0; END];
    file.seek(SeekFrom::Start(end))?;
    file.read_exact(&mut record)?;
    let number = |at: usize| u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]]);
    let (size, start) = (number(12), number(16));
    let second = u64::from(start) + BETWEEN;
    if !record.starts_with(b"PK\x05\x06") || second + u64::from(size) != end {
        return Ok(None);
    }
    let mut magic = [0; 4];
    file.seek(SeekFrom::Start(second))?;
    file.read_exact(&mut magic)?;
    Ok((magic == *b"PK\x01\x02").then_some((end + 12, size.saturating_add(BETWEEN as u32))))
}

fn copy(file: &mut File, at: u64, size: u32) -> std::io::Result<NamedTempFile> {
    let mut copy = NamedTempFile::new()?;
    file.rewind()?;
    std::io::copy(file, copy.as_file_mut())?;
    copy.as_file_mut().seek(SeekFrom::Start(at))?;
    copy.write_all(&size.to_le_bytes())?;
    copy.flush()?;
    Ok(copy)
}
