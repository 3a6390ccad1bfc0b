//! Reading binary files, compressed or not, in bounded memory.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::{Error, Result};

/// The most bytes of pixels that one data set may hold: 1 GiB, seven times CIFAR. A file whose header announces
/// more, or that inflates to more, is refused.
pub(super) const MAX_BYTES: usize = 1 << 30;

/// What is reserved before any byte has been read: the announced size may be a lie.
const MAX_RESERVE: usize = 1 << 26;

/// Checks that `dir` is a directory, so that a mistyped path is not reported as a missing file inside it.
///
/// # Errors
/// The path does not exist, cannot be read or is no directory.
pub(super) fn directory(dir: &Path) -> Result<()> {
    match std::fs::metadata(dir).map_err(Error::io(dir))?.is_dir() {
        true => Ok(()),
        false => Err(Error::file(dir, "not a directory")),
    }
}

/// The first file there is among `names`, each as it stands or with `.gz`, in `dirs`.
pub(super) fn find(dirs: &[PathBuf], names: &[&str]) -> Option<PathBuf> {
    let candidates =
        dirs.iter().flat_map(|dir| names.iter().flat_map(move |name| [dir.join(name), dir.join(format!("{name}.gz"))]));
    candidates.into_iter().find(|path| path.is_file())
}

/// A file that is read from its beginning to its end, inflated if it is compressed with gzip.
pub(super) struct Source {
    path: PathBuf,
    reader: Box<dyn Read>,
    /// Whether compressed data ended in the middle.
    cut: bool,
}

impl Source {
    /// # Errors
    /// The file cannot be opened.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut file = BufReader::new(File::open(path).map_err(Error::io(path))?);
        // Told by content: unpacking tools leave `.gz` on files that no longer are. No format read here begins
        // with these two bytes.
        let zipped = file.fill_buf().map_err(Error::io(path))?.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn Read> = match zipped {
            true => Box::new(BufReader::new(MultiGzDecoder::new(file))),
            false => Box::new(file),
        };
        let path = path.to_owned();
        Ok(Self { path, reader, cut: false })
    }

    /// Appends the next `n` bytes, or those there are, to `out`; returns their number.
    ///
    /// # Errors
    /// The file cannot be read or its compressed data are corrupt.
    pub(super) fn some(&mut self, n: usize, out: &mut Vec<u8>) -> Result<usize> {
        out.reserve(n.min(MAX_RESERVE));
        let before = out.len();
        let outcome = self.reader.by_ref().take(n as u64).read_to_end(out);
        match outcome {
            // A gzip file that was cut off: what could be inflated is there, and the caller tells how much is missing.
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => self.cut = true,
            Err(e) if e.kind() == std::io::ErrorKind::InvalidInput || e.kind() == std::io::ErrorKind::InvalidData => {
                return Err(self.error(format!("corrupt gzip data ({e})")));
            }
            Err(e) => return Err(Error::io(&self.path)(e)),
            Ok(_) => {}
        }
        Ok(out.len() - before)
    }

    /// The next `n` bytes, which the file calls `what`.
    ///
    /// # Errors
    /// As [`Source::some`], and where fewer than `n` bytes are left.
    pub(super) fn exactly(&mut self, n: usize, what: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let found = self.some(n, &mut bytes)?;
        if found < n {
            let (found, n) = (grouped(found), grouped(n));
            return Err(self.error(format!("truncated: {found} bytes of {what} where there should be {n}")));
        }
        Ok(bytes)
    }

    /// # Errors
    /// Bytes are left after what should be the end, or compressed data lack their own end.
    pub(super) fn end(&mut self) -> Result<()> {
        match self.some(1, &mut Vec::new())? {
            0 if self.cut => Err(self.error("truncated: the gzip data have no end")),
            0 => Ok(()),
            _ => Err(self.error("more bytes than its header announces")),
        }
    }

    /// An error about this file.
    pub(super) fn error(&self, what: impl Into<String>) -> Error {
        Error::file(&self.path, what)
    }
}

/// A number with a comma at every third digit, as in `10,000`.
pub(super) fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (47_040_000, "47,040,000")] {
            assert_eq!(grouped(n), text);
        }
    }

    #[test]
    fn compression_is_told_by_content() {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in [("a", b"abc".to_vec()), ("b", gzip(b"abc")), ("c.gz", b"abc".to_vec())] {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let mut source = Source::open(&path).unwrap();
            assert_eq!(source.exactly(3, "text").unwrap(), b"abc");
            source.end().unwrap();
        }
    }

    #[test]
    fn compressed_data_without_an_end_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let bytes = gzip(b"abc");
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let mut source = Source::open(&path).unwrap();
        assert_eq!(source.exactly(3, "text").unwrap(), b"abc");
        let error = source.end().unwrap_err().to_string();
        assert!(error.ends_with("x: truncated: the gzip data have no end"));
    }

    #[test]
    fn a_path_that_is_no_directory_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        assert!(directory(&path).unwrap_err().to_string().ends_with("x: no such file or directory"));
        std::fs::write(&path, "").unwrap();
        assert!(directory(&path).unwrap_err().to_string().ends_with("x: not a directory"));
    }
}
