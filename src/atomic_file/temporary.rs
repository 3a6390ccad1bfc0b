//! A file under a temporary name, which is renamed when all of it is written.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::lock::{TRIES, is_same};
use super::side_path::{TEMPORARY, own_side_path, own_side_paths};
use super::{create_directories, directory_of};

/// A file beside the place that it is for: renaming is atomic only within one file system. It is removed where it does not get there.
///
/// Its process locks it, so that others know it from what a killed process has left.
pub(super) struct TemporaryFile {
    pub(super) file: File,
    path: PathBuf,
}

impl TemporaryFile {
    /// Creates a file for a place, and removes those for the same place whose processes were killed.
    pub(super) fn create(place: &Path) -> std::io::Result<Self> {
        let directory = directory_of(place);
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        create_directories(directory)?;
        // What cannot be listed or removed does no harm.
        own_side_paths(directory, &name, TEMPORARY)
            .unwrap_or_default()
            .iter()
            .for_each(|path| remove_if_abandoned(path));
        for _ in 0..TRIES {
            let path = own_side_path(directory, &name, TEMPORARY);
            let file = match File::options().read(true).write(true).create_new(true).open(&path) {
                // Another process came by the same name.
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => continue,
                created => created?,
            };
            // Where there are no locks, nobody takes the file for one that was left.
            let is_being_removed = matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock));
            // Between creating and locking it, another process may have taken it for one that was left.
            if !is_being_removed && is_same(&file, &path) {
                return Ok(Self { file, path });
            }
        }
        Err(std::io::ErrorKind::ResourceBusy.into())
    }

    /// Flushes the file to the disk, and gives it its name.
    pub(super) fn persist(self, place: &Path) -> std::io::Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.path, place)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // Once the file is in its place nothing has this name.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Removes a temporary file whose process does not exist any more.
pub(super) fn remove_if_abandoned(path: &Path) {
    // Opening a pipe would wait for its other end.
    if !path.symlink_metadata().is_ok_and(|found| found.is_file()) {
        return;
    }
    let Ok(file) = File::options().write(true).open(path) else { return };
    if file.try_lock().is_ok() && is_same(&file, path) {
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atomic_file::tests::names;
    use crate::atomic_file::write_atomic;

    #[test]
    fn the_next_write_removes_what_killed_processes_left_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("plan.toml");
        let of_living = TemporaryFile::create(&place).unwrap();
        let left = own_side_path(dir.path(), "plan.toml", TEMPORARY);
        let of_another = own_side_path(dir.path(), "other.toml", TEMPORARY);
        [&left, &of_another].iter().for_each(|path| std::fs::write(path, "half").unwrap());
        write_atomic(&place, b"whole").unwrap();
        assert!(!left.exists() && of_another.exists() && of_living.path.exists(), "{:?}", names(dir.path()));
        of_living.persist(&place).unwrap();
        assert_eq!(names(dir.path()), [of_another.file_name().unwrap().to_str().unwrap(), "plan.toml"]);
    }

    #[test]
    fn the_name_of_a_file_may_be_as_long_as_the_file_system_allows() {
        let dir = tempfile::tempdir().unwrap();
        let name = "n".repeat(255);
        write_atomic(&dir.path().join(&name), b"").unwrap();
        assert_eq!(names(dir.path()), [name]);
    }

    #[test]
    fn many_threads_write_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("plan.toml");
        let work = || (0..100).for_each(|_| write_atomic(&place, b"whole").unwrap());
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
        assert_eq!(names(dir.path()), ["plan.toml"]);
        assert_eq!(std::fs::read(&place).unwrap(), b"whole");
    }
}
