//! The contents of a file that is to be written, as chunks of memory and of other files, so that a large file is never
//! held in memory as a whole.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Error, Result};

/// The contents of a file to be written, and of a companion file in the same directory that it refers to.
#[derive(Clone, Debug, Default)]
pub struct FileContents {
    /// The bytes of the file.
    pub chunks: Vec<Chunk>,
    /// The name and the bytes of the companion file, such as the external data of an ONNX file.
    pub companion: Option<(OsString, Vec<Chunk>)>,
}

/// A contiguous range of the bytes of a file to be written.
#[derive(Clone, Debug)]
pub enum Chunk {
    /// Bytes in memory.
    Bytes(Vec<u8>),
    /// A range of shared bytes in memory.
    Slice(Arc<Vec<u8>>, Range<usize>),
    /// A range of another file, which is copied when the chunk is written.
    FileRange {
        /// The other file.
        path: PathBuf,
        /// The first byte of the range.
        offset: u64,
        /// The length of the range in bytes.
        length: u64,
    },
    /// This many zero bytes.
    Zeros(u64),
}

impl From<Vec<u8>> for FileContents {
    fn from(bytes: Vec<u8>) -> Self {
        Self { chunks: vec![Chunk::Bytes(bytes)], companion: None }
    }
}

impl FileContents {
    /// Returns the bytes of the file and its companion together.
    pub fn length(&self) -> u64 {
        let companion = self.companion.iter().flat_map(|(_, chunks)| chunks);
        self.chunks.iter().chain(companion).map(Chunk::length).sum()
    }
}

impl Chunk {
    /// Returns the length in bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Slice(_, range) => range.len() as u64,
            Self::FileRange { length, .. } | Self::Zeros(length) => *length,
        }
    }
}

/// Why a file could not be written.
pub(super) enum WriteError {
    /// The file itself cannot be written.
    Write(std::io::Error),
    /// A file that a chunk is copied from cannot be read.
    Source(Error),
}

impl WriteError {
    /// Returns the error with `path` as the file that could not be written.
    pub(super) fn at(self, path: &Path) -> Error {
        match self {
            Self::Write(error) => Error::io(path)(error),
            Self::Source(error) => error,
        }
    }
}

/// Creates the file `path`, writes the chunks to it and flushes it to the disk.
pub(super) fn write(path: &Path, chunks: &[Chunk]) -> std::result::Result<(), WriteError> {
    let mut file = File::create_new(path).map_err(WriteError::Write)?;
    for chunk in chunks {
        match chunk {
            Chunk::Bytes(bytes) => file.write_all(bytes).map_err(WriteError::Write)?,
            Chunk::Slice(bytes, range) => file.write_all(&bytes[range.clone()]).map_err(WriteError::Write)?,
            Chunk::Zeros(length) => {
                std::io::copy(&mut std::io::repeat(0).take(*length), &mut file).map_err(WriteError::Write)?;
            }
            Chunk::FileRange { path, offset, length } => {
                let file_range = open_at(path, *offset).map_err(WriteError::Source)?.take(*length);
                let mut source = SourceReader { reader: file_range, has_failed: false };
                let copied = std::io::copy(&mut source, &mut file).map_err(|error| match source.has_failed {
                    true => WriteError::Source(Error::io(path)(error)),
                    false => WriteError::Write(error),
                })?;
                if copied < *length {
                    let what = format!("ends after {copied} of {length} bytes from {offset} on");
                    return Err(WriteError::Source(Error::file(path, what)));
                }
            }
        }
    }
    file.sync_all().map_err(WriteError::Write)
}

/// A reader that knows whether it was reading that failed.
struct SourceReader<R> {
    reader: R,
    has_failed: bool,
}

impl<R: Read> Read for SourceReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buffer);
        self.has_failed = read.is_err();
        read
    }
}

fn open_at(path: &Path, offset: u64) -> Result<File> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    file.seek(SeekFrom::Start(offset)).map_err(Error::io(path))?;
    Ok(file)
}
