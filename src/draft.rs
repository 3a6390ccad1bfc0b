//! What is going to be written: pieces of memory and of other files, so that no large file is ever held whole.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Error, Result};

/// A file to be written, and maybe one beside it that it refers to.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// What it is made of.
    pub pieces: Vec<Piece>,
    /// Name and pieces of the file beside it.
    pub beside: Option<(OsString, Vec<Piece>)>,
}

/// A run of bytes.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Bytes of its own.
    Bytes(Vec<u8>),
    /// Some of the bytes of a file that was read.
    Part(Arc<Vec<u8>>, Range<usize>),
    /// Some of the bytes of a file that was not.
    File {
        /// The file.
        path: PathBuf,
        /// Where they begin.
        offset: u64,
        /// How many they are.
        length: u64,
    },
    /// So many zeros.
    Zeros(u64),
}

impl From<Vec<u8>> for Draft {
    fn from(bytes: Vec<u8>) -> Self {
        Self { pieces: vec![Piece::Bytes(bytes)], beside: None }
    }
}

impl Draft {
    /// Bytes of both files.
    pub fn length(&self) -> u64 {
        let beside = self.beside.iter().flat_map(|(_, pieces)| pieces);
        self.pieces.iter().chain(beside).map(Piece::length).sum()
    }
}

impl Piece {
    /// How many bytes it is.
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Part(_, range) => range.len() as u64,
            Self::File { length, .. } | Self::Zeros(length) => *length,
        }
    }
}

/// Why a file could not be written: the system's reason, or another file's fault.
pub(crate) enum Failed {
    Writing(std::io::Error),
    Reading(Error),
}

impl Failed {
    /// The error, which names the file that was to be written.
    pub(crate) fn at(self, path: &Path) -> Error {
        match self {
            Self::Writing(error) => Error::io(path)(error),
            Self::Reading(error) => error,
        }
    }
}

/// Writes a new file and makes sure that it is on the disk.
pub(crate) fn write(path: &Path, pieces: &[Piece]) -> std::result::Result<(), Failed> {
    let mut file = File::create_new(path).map_err(Failed::Writing)?;
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => file.write_all(bytes).map_err(Failed::Writing)?,
            Piece::Part(bytes, range) => file.write_all(&bytes[range.clone()]).map_err(Failed::Writing)?,
            Piece::Zeros(length) => {
                std::io::copy(&mut std::io::repeat(0).take(*length), &mut file).map_err(Failed::Writing)?;
            }
            Piece::File { path, offset, length } => {
                let source = opened(path, *offset).map_err(Failed::Reading)?;
                let copied = std::io::copy(&mut source.take(*length), &mut file).map_err(Failed::Writing)?;
                if copied < *length {
                    let what = format!("ends after {copied} of {length} bytes from {offset} on");
                    return Err(Failed::Reading(Error::file(path, what)));
                }
            }
        }
    }
    file.sync_all().map_err(Failed::Writing)
}

fn opened(path: &Path, offset: u64) -> Result<File> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    file.seek(SeekFrom::Start(offset)).map_err(Error::io(path))?;
    Ok(file)
}
