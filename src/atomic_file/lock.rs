//! Locks, which keep two processes from writing to the same place at once.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::side_path::{LOCK, own_side_paths, side_path};
use super::{create_directories, remove_if_there};
use crate::{Error, Result};

/// Attempts to lock a file that other processes keep removing.
pub(super) const TRIES: usize = 1000;

/// The content of a locked file.
const HELD: &[u8] = b"locked\n";

/// How long to wait for a lock: a process that was killed has it until the system has taken back its memory.
const WAIT: Duration = Duration::from_secs(1);

/// A lock on something in a directory that one process at a time writes. The system releases it when the process ends,
/// however it ends.
///
/// What is locked is a file of its own, which is never renamed: whoever replaces a file replaces a lock on it too. The file is
/// removed with the lock.
#[derive(Debug)]
pub struct WriteLock {
    /// The locked file.
    file: File,
    path: PathBuf,
    /// The directories that were created for it, the outermost first.
    created: Vec<PathBuf>,
    /// Why the file system could not lock it.
    why_unlocked: Option<String>,
    /// Whether the file was there before.
    was_left: bool,
    /// Whether the file stays.
    keeps_file: bool,
}

impl WriteLock {
    /// Locks what `name` stands for in a directory, which is created if it is missing. `doing` says in the error what the other
    /// process is at, such as `training in this directory`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if another process has the lock for longer than a second; [`Error::Io`] if the directory cannot be
    /// written.
    pub fn take(directory: &Path, name: &str, doing: &str) -> Result<Self> {
        let path = side_path(directory, name, LOCK);
        let is_locked = || Error::unsupported(directory.display(), format!("another process is {doing}"));
        let (mut created, deadline) = (Vec::new(), Instant::now() + WAIT);
        for _ in 0..TRIES {
            created.extend(create_directories(directory).map_err(Error::io(directory))?);
            let new = File::options().create_new(true).write(true).open(&path);
            let is_there = new.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::AlreadyExists);
            let file = match if is_there { File::options().write(true).open(&path) } else { new } {
                // A process that ends removes the file, and an empty directory that it has created.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                opened => opened.map_err(Error::io(directory))?,
            };
            let Some(why_unlocked) = outcome(file.try_lock()) else {
                if Instant::now() > deadline {
                    return Err(is_locked());
                }
                std::thread::sleep(WAIT / 100);
                continue;
            };
            // The process that had the lock before may have removed the file after it was opened here.
            if is_same(&file, &path) {
                // A new file is empty until the process that made it holds the lock: an empty one is no sign of work that failed.
                let was_left = is_there && file.metadata().is_ok_and(|metadata| metadata.len() > 0);
                let _ = (&file).write_all(HELD);
                return Ok(Self { file, path, created, why_unlocked, was_left, keeps_file: false });
            }
        }
        Err(is_locked())
    }

    /// Releases the lock where this is dropped as the system does when a process is killed: its file stays.
    pub(super) fn keep_file(&mut self) {
        self.keeps_file = true;
    }

    /// Takes a lock as on a file system that has none.
    #[cfg(test)]
    pub(super) fn without_locks(directory: &Path, name: &str) -> Self {
        let path = side_path(directory, name, LOCK);
        let file = File::create(&path).unwrap();
        let why_unlocked = Some("unsupported".to_owned());
        Self { file, path, created: Vec::new(), why_unlocked, was_left: false, keeps_file: false }
    }

    /// Returns why nothing is locked: the file system has no locks. A single process is safe there too.
    pub fn why_unlocked(&self) -> Option<&str> {
        self.why_unlocked.as_deref()
    }

    /// Returns whether the lock's file was there: the process that had the lock was killed, or its work failed. Where nothing can be
    /// locked, it may also be that of a process that runs.
    pub fn was_left(&self) -> bool {
        self.was_left
    }

    /// Removes what killed processes have left of a name and a purpose. Where nothing is locked, what is there may belong to one
    /// that runs, and stays.
    pub(super) fn remove_abandoned(&self, directory: &Path, name: &str, purpose: &str) -> Result<()> {
        match self.why_unlocked {
            Some(_) => Ok(()),
            None => own_side_paths(directory, name, purpose)?.iter().try_for_each(|path| remove_if_there(path)),
        }
    }
}

impl Drop for WriteLock {
    fn drop(&mut self) {
        if self.keeps_file {
            return;
        }
        // Before the lock is released: another process may have taken it by then. A file that stays does no harm.
        let _ = std::fs::remove_file(&self.path);
        // Directories in which nothing was written.
        let _ = self.created.iter().rev().try_for_each(std::fs::remove_dir);
        let _ = self.file.unlock();
    }
}

/// Returns why an attempt to lock locked nothing, if so; `None` if another process has the lock.
fn outcome(attempt: std::result::Result<(), TryLockError>) -> Option<Option<String>> {
    match attempt {
        Ok(()) => Some(None),
        Err(TryLockError::WouldBlock) => None,
        Err(TryLockError::Error(error)) => Some(Some(crate::error::reason(&error))),
    }
}

/// Returns whether a path leads to an open file.
#[cfg(unix)]
pub(super) fn is_same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    matches!((file.metadata().map(place), path.metadata().map(place)), (Ok(one), Ok(other)) if one == other)
}

/// An open file keeps its path there.
#[cfg(not(unix))]
pub(super) fn is_same(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_a_lock_at_a_time_and_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        let take = || WriteLock::take(&dir, "run", "training in this directory");
        let lock = take().unwrap();
        assert_eq!(lock.why_unlocked(), None);
        let refused = take().unwrap_err().to_string();
        assert_eq!(refused, format!("{}: another process is training in this directory", dir.display()));
        // Another name is another lock.
        WriteLock::take(&dir, "report", "writing").unwrap();
        drop(lock);
        assert!(!root.path().join("a").exists());
        let lock = take().unwrap();
        std::fs::write(dir.join("config.toml"), "mine").unwrap();
        drop(lock);
        assert_eq!(dir.read_dir().unwrap().count(), 1);
        // What a killed process leaves holds nothing.
        std::fs::write(side_path(&dir, "run", LOCK), HELD).unwrap();
        assert!(take().unwrap().was_left() && !take().unwrap().was_left());
    }

    /// A file that is removed and made again between opening and locking would be locked twice.
    #[test]
    fn many_threads_never_hold_a_lock_together() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("run");
        let (holders, taken) = (std::sync::atomic::AtomicUsize::new(0), std::sync::atomic::AtomicUsize::new(0));
        let order = std::sync::atomic::Ordering::SeqCst;
        let work = || {
            for _ in 0..100 {
                let Ok(lock) = WriteLock::take(&dir, "run", "training") else { continue };
                assert_eq!(holders.fetch_add(1, order), 0);
                std::thread::yield_now();
                holders.fetch_sub(1, order);
                drop(lock);
                taken.fetch_add(1, order);
            }
        };
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
        assert!(taken.into_inner() > 100);
    }

    /// A process that was killed has its lock for some time yet.
    #[test]
    fn a_lock_that_is_soon_released_is_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let lock = WriteLock::take(root.path(), "run", "training").unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| WriteLock::take(root.path(), "run", "training").map(drop));
            std::thread::sleep(WAIT / 5);
            drop(lock);
            waiting.join().unwrap().unwrap();
        });
    }

    #[test]
    fn a_file_system_without_locks_says_so() {
        assert_eq!(outcome(Ok(())), Some(None));
        assert_eq!(outcome(Err(TryLockError::WouldBlock)), None);
        let none = TryLockError::Error(std::io::ErrorKind::Unsupported.into());
        assert_eq!(outcome(Err(none)), Some(Some("unsupported".to_owned())));
    }
}
