//! Reads binary files, compressed with gzip or not, in bounded memory.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::{Error, Result};

/// The most bytes of pixels of a data set: 1 GiB, seven times CIFAR. A file that announces or inflates to more is refused.
pub(super) const MAX_BYTES: usize = 1 << 30;

/// The most bytes that are reserved before any byte has been read: the announced size may be wrong.
const MAX_RESERVE: usize = 1 << 26;

/// Checks that `dir` is a directory, so that a mistyped path is not reported as a missing file in it.
///
/// # Errors
/// [`Error::Io`] if the path does not exist or cannot be read; [`Error::File`] if it is no directory.
pub(super) fn check_directory(dir: &Path) -> Result<()> {
    match std::fs::metadata(dir).map_err(Error::io(dir))?.is_dir() {
        true => Ok(()),
        false => Err(Error::file(dir, "not a directory")),
    }
}

/// Returns the first file that exists of `names`, with or without `.gz`, in `dirs`.
pub(super) fn find_file(dirs: &[PathBuf], names: &[&str]) -> Option<PathBuf> {
    let candidates =
        dirs.iter().flat_map(|dir| names.iter().flat_map(move |name| [dir.join(name), dir.join(format!("{name}.gz"))]));
    candidates.into_iter().find(|path| path.is_file())
}

/// A file that is read from begin to end, and inflated if it is compressed with gzip.
pub(super) struct BinaryReader {
    path: PathBuf,
    reader: Box<dyn Read>,
    /// Whether the compressed data ended too early.
    is_truncated: bool,
}

impl BinaryReader {
    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be opened.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut file = BufReader::new(File::open(path).map_err(Error::io(path))?);
        // The content decides, because some tools leave `.gz` on unpacked files. No format that is read here begins with
        // these two bytes.
        let zipped = file.fill_buf().map_err(Error::io(path))?.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn Read> = match zipped {
            true => Box::new(BufReader::new(MultiGzDecoder::new(file))),
            false => Box::new(file),
        };
        let path = path.to_owned();
        Ok(Self { path, reader, is_truncated: false })
    }

    /// Appends the next `n` bytes, or all that are left, to `out` and returns their number.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::File`] if its compressed data are corrupt.
    pub(super) fn read_up_to(&mut self, n: usize, out: &mut Vec<u8>) -> Result<usize> {
        out.reserve(n.min(MAX_RESERVE));
        let before = out.len();
        let outcome = self.reader.by_ref().take(n as u64).read_to_end(out);
        match outcome {
            // `out` has the bytes that could be inflated. The caller reports how many are missing.
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => self.is_truncated = true,
            Err(e) if e.kind() == std::io::ErrorKind::InvalidInput || e.kind() == std::io::ErrorKind::InvalidData => {
                return Err(self.error(format!("corrupt gzip data ({e})")));
            }
            Err(e) => return Err(Error::io(&self.path)(e)),
            Ok(_) => {}
        }
        Ok(out.len() - before)
    }

    /// Returns the next `n` bytes. `what` names them in the error.
    ///
    /// # Errors
    /// As [`BinaryReader::read_up_to`], and [`Error::File`] if fewer than `n` bytes are left.
    pub(super) fn read_exact(&mut self, n: usize, what: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let found = self.read_up_to(n, &mut bytes)?;
        if found < n {
            let (found, n) = (with_commas(found), with_commas(n));
            return Err(self.error(format!("truncated: {found} bytes of {what} where there should be {n}")));
        }
        Ok(bytes)
    }

    /// Checks that the file ends here.
    ///
    /// # Errors
    /// [`Error::File`] if bytes are left, or if the compressed data have no end.
    pub(super) fn expect_end(&mut self) -> Result<()> {
        match self.read_up_to(1, &mut Vec::new())? {
            0 if self.is_truncated => Err(self.error("truncated: the gzip data have no end")),
            0 => Ok(()),
            _ => Err(self.error("more bytes than its header announces")),
        }
    }

    /// Returns an error about this file.
    pub(super) fn error(&self, what: impl Into<String>) -> Error {
        Error::file(&self.path, what)
    }
}

/// Returns a number with a comma before every third digit from the right, as in `10,000`.
pub(super) fn with_commas(n: usize) -> String {
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
    fn numbers_have_thousands_separators() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (47_040_000, "47,040,000")] {
            assert_eq!(with_commas(n), text);
        }
    }

    #[test]
    fn compression_is_detected_by_content() {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in [("a", b"abc".to_vec()), ("b", gzip(b"abc")), ("c.gz", b"abc".to_vec())] {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let mut source = BinaryReader::open(&path).unwrap();
            assert_eq!(source.read_exact(3, "text").unwrap(), b"abc");
            source.expect_end().unwrap();
        }
    }

    #[test]
    fn truncated_gzip_data_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let bytes = gzip(b"abc");
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let mut source = BinaryReader::open(&path).unwrap();
        assert_eq!(source.read_exact(3, "text").unwrap(), b"abc");
        let error = source.expect_end().unwrap_err().to_string();
        assert!(error.ends_with("x: truncated: the gzip data have no end"));
    }

    #[test]
    fn a_path_that_is_no_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        assert!(check_directory(&path).unwrap_err().to_string().ends_with("x: no such file or directory"));
        std::fs::write(&path, "").unwrap();
        assert!(check_directory(&path).unwrap_err().to_string().ends_with("x: not a directory"));
    }
}
