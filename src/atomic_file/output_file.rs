//! A file that is the result of long work: what may happen to one that is there already, and who may write it.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::directory_of;
use super::lock::WriteLock;
use super::transaction::FileTransaction;
use crate::{Error, Result};

/// What happens to a file that is there already when another is written to its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IfExists {
    /// It is replaced.
    #[default]
    Replace,
    /// It stays where it has the bytes that would be written, and is an error otherwise.
    KeepIfEqual,
}

/// Where a file is written, and what happens to one that is there.
#[derive(Clone, Copy, Debug)]
pub struct OutputPath<'a> {
    /// The path of the file.
    pub path: &'a Path,
    /// What happens to a file of that path.
    pub if_exists: IfExists,
}

impl<'a, P: AsRef<Path> + ?Sized> From<&'a P> for OutputPath<'a> {
    fn from(path: &'a P) -> Self {
        Self { path: path.as_ref(), if_exists: IfExists::Replace }
    }
}

/// A file that one process at a time works on, from before its first check until this is dropped.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    lock: WriteLock,
    was_interrupted: bool,
    /// When the file was written that was there before.
    written_before: Option<SystemTime>,
}

impl OutputFile {
    /// Reserves a file, and finishes what a process was writing there when it was killed.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if another process has reserved it, and for a path without a file name; [`Error::Io`] that names a
    /// file.
    pub fn reserve(path: &Path) -> Result<Self> {
        let name = path.file_name().ok_or_else(|| Error::unsupported(path.display(), "names no file"))?;
        let name = name.to_string_lossy();
        let lock = WriteLock::take(directory_of(path), &format!("{name}.output"), &format!("writing {name}"))?;
        let has_recovered = FileTransaction::of_file(path)?.has_recovered();
        let was_interrupted = lock.was_left() || has_recovered;
        Ok(Self { path: path.to_owned(), written_before: written(path), was_interrupted, lock })
    }

    /// Marks the work on the file as finished. Where it is not and the file is there, its lock stays and tells the next process.
    pub fn complete(mut self) {
        self.was_interrupted = false;
        self.written_before = written(&self.path);
    }

    /// Returns whether an earlier process has not ended its work on the file. What is there then may be its result: see
    /// [`IfExists::KeepIfEqual`].
    pub fn was_interrupted(&self) -> bool {
        self.was_interrupted
    }

    /// Returns why nothing keeps another process from writing the file; `None` where it is kept from it.
    pub fn why_unlocked(&self) -> Option<&str> {
        self.lock.why_unlocked()
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        let now = written(&self.path);
        if now.is_some() && (self.was_interrupted || now != self.written_before) {
            self.lock.keep_file();
        }
    }
}

/// Returns when a file was written; `None` where there is none.
fn written(path: &Path) -> Option<SystemTime> {
    path.symlink_metadata().and_then(|found| found.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atomic_file::tests::names;
    use crate::atomic_file::{FileContents, write_atomic_checked};

    #[test]
    fn one_process_at_a_time_works_on_a_file_and_the_next_knows_whether_it_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slim.onnx");
        let first = OutputFile::reserve(&path).unwrap();
        assert!(!first.was_interrupted());
        let refused = OutputFile::reserve(&path).unwrap_err().to_string();
        assert!(refused.ends_with("another process is writing slim.onnx"), "{refused}");
        // An error before anything is written leaves nothing.
        drop(first);
        assert_eq!(names(dir.path()), [""; 0]);
        // One after it leaves a mark, until the work is complete.
        let second = OutputFile::reserve(&path).unwrap();
        std::fs::write(&path, "slim").unwrap();
        drop(second);
        for _ in 0..2 {
            assert!(OutputFile::reserve(&path).unwrap().was_interrupted());
        }
        OutputFile::reserve(&path).unwrap().complete();
        assert!(!OutputFile::reserve(&path).unwrap().was_interrupted());
        assert_eq!(names(dir.path()), ["slim.onnx"]);
    }

    /// Locks have the name of what they lock, as far as it goes.
    #[test]
    fn a_file_may_have_a_long_name() {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|end| dir.path().join("n".repeat(249) + end + ".onnx"));
        let reserved = paths.each_ref().map(|path| OutputFile::reserve(path).unwrap());
        for (path, file) in paths.iter().zip(reserved) {
            write_atomic_checked(path, &FileContents::from(b"slim".to_vec()), |_| Ok(())).unwrap();
            file.complete();
        }
        assert_eq!(names(dir.path()), paths.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()));
    }

    #[test]
    fn a_file_that_must_be_equal_stays_with_its_companion() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slim.onnx");
        let contents = |text: &str| FileContents {
            companion: Some(("slim.onnx.data".into(), FileContents::from(b"data".to_vec()).chunks)),
            ..FileContents::from(text.as_bytes().to_vec())
        };
        let write = |text: &str| {
            let place = OutputPath { path: &path, if_exists: IfExists::KeepIfEqual };
            write_atomic_checked(place, &contents(text), |_| Ok(())).map_err(|e| e.to_string())
        };
        write("new").unwrap();
        write("new").unwrap();
        for (file, content) in [("slim.onnx", "old"), ("slim.onnx.data", "Data"), ("slim.onnx.data", "longer")] {
            std::fs::write(dir.path().join(file), content).unwrap();
            let message = format!("{file}: is there already, with other content; name another file");
            assert!(write("new").unwrap_err().ends_with(&message));
            assert_eq!(std::fs::read(dir.path().join(file)).unwrap(), content.as_bytes());
            write_new(&dir);
        }
        std::fs::remove_file(dir.path().join("slim.onnx.data")).unwrap();
        let message =
            "slim.onnx.data: missing, but slim.onnx is there, which needs it; remove that, or name another file";
        assert!(write("new").unwrap_err().ends_with(message));

        fn write_new(dir: &tempfile::TempDir) {
            std::fs::write(dir.path().join("slim.onnx"), "new").unwrap();
            std::fs::write(dir.path().join("slim.onnx.data"), "data").unwrap();
        }
    }
}
