//! A checksum of a graph: of its outline, and of the file that it would be written to.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::network::GraphNetwork;
use crate::nn::Network;
use crate::{Chunk, Result};

/// Bytes that are read at once.
const BUFFER: usize = 1 << 16;

impl GraphNetwork {
    /// Returns the CRC-32 of the outline and of all bytes of the file and of its external data.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub(super) fn checksum(&self) -> Result<u32> {
        let mut sum = crc32fast::Hasher::new();
        sum.update(format!("{:?}", self.outline()).as_bytes());
        let contents = self.draft("graph")?;
        let external = contents.companion.iter().flat_map(|(_, chunks)| chunks);
        contents.chunks.iter().chain(external).try_for_each(|chunk| add(&mut sum, chunk))?;
        Ok(sum.finalize())
    }
}

/// Adds the bytes of a chunk to a checksum.
fn add(sum: &mut crc32fast::Hasher, chunk: &Chunk) -> Result<()> {
    match chunk {
        Chunk::Bytes(bytes) => sum.update(bytes),
        Chunk::Slice(bytes, range) => sum.update(&bytes[range.clone()]),
        Chunk::Zeros(length) => sum.update(&length.to_le_bytes()),
        Chunk::FileRange { path, offset, length } => {
            let mut file = File::open(path).map_err(crate::Error::io(path))?;
            file.seek(SeekFrom::Start(*offset)).map_err(crate::Error::io(path))?;
            let mut rest = file.take(*length);
            let mut buffer = vec![0; BUFFER];
            loop {
                match rest.read(&mut buffer).map_err(crate::Error::io(path))? {
                    0 => break,
                    count => sum.update(&buffer[..count]),
                }
            }
        }
    }
    Ok(())
}
