//! Several files that are written in one act.
//!
//! They are written to a directory of their own beside their places. Renaming that directory is the act; then the files move to
//! their places. A process that is killed before leaves the places as they were, one that is killed after leaves the rest to
//! whoever begins next: see [`FileTransaction::begin`].

use std::io::ErrorKind::{IsADirectory, NotFound};
use std::path::{Component, Path, PathBuf};

use super::contents::{self, Chunk};
use super::lock::WriteLock;
use super::side_path::{own_side_path, own_side_paths};
use super::{create_directories, directory_of, entries, remove_if_there, sync_directory};
use crate::{Error, Result};

/// The purposes of the directory: files that are written, and files that move to their places.
pub(super) const NEW: &str = "new";
const READY: &str = "ready";
/// The directory of files within it.
const FILES: &str = "files";
/// The list of files that are to be removed, within it: their paths within the directory of the files, as JSON.
const REMOVED: &str = "removed.json";

/// Files of one directory that are written in one act. One process at a time writes those of one name.
#[derive(Debug)]
pub struct FileTransaction {
    directory: PathBuf,
    /// The files while they are written. No other process has this path, also where nothing can be locked.
    new: PathBuf,
    lock: WriteLock,
    has_recovered: bool,
}

impl FileTransaction {
    /// Begins to write files of a directory under a common name. What a killed process has left of them moves to its place where it was
    /// committed, and is removed where not. `doing` says in errors what other processes with the same name are at, such as `writing a
    /// report`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if another process writes them; [`Error::Io`] that names a file.
    pub fn begin(directory: &Path, name: &str, doing: &str) -> Result<Self> {
        Self::begin_locked(directory, name, WriteLock::take(directory, name, doing)?)
    }

    fn begin_locked(directory: &Path, name: &str, lock: WriteLock) -> Result<Self> {
        lock.remove_abandoned(directory, name, NEW)?;
        let left = own_side_paths(directory, name, READY)?;
        let new = own_side_path(directory, name, NEW);
        let transaction = Self { directory: directory.to_owned(), new, lock, has_recovered: !left.is_empty() };
        left.iter().try_for_each(|ready| transaction.finish(ready))?;
        Ok(transaction)
    }

    /// Begins the file `path` and those that come beside it, as [`FileTransaction::begin`] does.
    ///
    /// # Errors
    /// As [`FileTransaction::begin`]; [`Error::Unsupported`] for a path without a file name.
    pub fn of_file(path: &Path) -> Result<Self> {
        let name = path.file_name().ok_or_else(|| Error::unsupported(path.display(), "names no file"))?;
        Self::begin(directory_of(path), &name.to_string_lossy(), &format!("writing {}", name.to_string_lossy()))
    }

    /// Returns why nothing keeps another process from writing the same files; `None` where it is kept from it.
    pub fn why_unlocked(&self) -> Option<&str> {
        self.lock.why_unlocked()
    }

    /// Returns whether the beginning has moved files to their places that a process had left ready.
    pub fn has_recovered(&self) -> bool {
        self.has_recovered
    }

    /// Writes a file, which gets this path within the directory by [`FileTransaction::commit`]. Returns its path until then.
    ///
    /// # Errors
    /// [`Error::Io`] that names the file in its place, or a file that a chunk is copied from.
    pub fn write(&self, within: &Path, chunks: &[Chunk]) -> Result<PathBuf> {
        let path = self.new.join(FILES).join(within);
        let place = self.directory.join(within);
        create_directories(directory_of(&path)).map_err(Error::io(&place))?;
        contents::write(&path, chunks).map_err(|failed| failed.at(&place))?;
        Ok(path)
    }

    /// Moves the files to their places, and removes others.
    ///
    /// # Errors
    /// [`Error::Io`] that names a file. Nothing has changed if one cannot be replaced.
    pub fn commit(&self, removed: &[String]) -> Result<()> {
        let files = self.new.join(FILES);
        let paths = paths_in(&files)?;
        let mut places = paths.iter().map(|within| self.directory.join(within));
        if let Some(place) = places.find(|place| place.symlink_metadata().is_ok_and(|found| found.is_dir())) {
            return Err(Error::io(&place)(IsADirectory.into()));
        }
        self.create_directories_of(&paths)?;
        for within in paths {
            sync_directory(directory_of(&files.join(&within))).map_err(Error::io(&self.directory))?;
        }
        let list = serde_json::to_vec(removed).map_err(|e| Error::file(&self.directory, e.to_string()))?;
        contents::write(&self.new.join(REMOVED), &[Chunk::Bytes(list)]).map_err(|failed| failed.at(&self.directory))?;
        sync_directory(&self.new).map_err(Error::io(&self.directory))?;
        let ready = self.new.with_extension(READY);
        std::fs::rename(&self.new, &ready).map_err(Error::io(&self.directory))?;
        sync_directory(&self.directory).map_err(Error::io(&self.directory))?;
        self.finish(&ready)
    }

    /// Creates the directories of some files, or none of them.
    fn create_directories_of(&self, paths: &[PathBuf]) -> Result<()> {
        let mut created = Vec::new();
        for within in paths {
            let place = self.directory.join(within);
            match create_directories(directory_of(&place)) {
                Ok(new) => created.extend(new),
                Err(error) => {
                    let _ = created.iter().rev().try_for_each(std::fs::remove_dir);
                    return Err(Error::io(&place)(error));
                }
            }
        }
        Ok(())
    }

    /// Moves files that are ready to their places. Where nothing can be locked another process may do so at the same time: what
    /// is gone has been moved.
    fn finish(&self, ready: &Path) -> Result<()> {
        let files = ready.join(FILES);
        for within in paths_in(&files)? {
            let (file, place) = (files.join(&within), self.directory.join(&within));
            let parent = directory_of(&place);
            create_directories(parent).map_err(Error::io(&place))?;
            match std::fs::rename(&file, &place) {
                Err(e) if e.kind() == NotFound && file.symlink_metadata().is_err() => {}
                moved => moved.map_err(Error::io(&place))?,
            }
            sync_directory(parent).map_err(Error::io(&place))?;
        }
        let list = ready.join(REMOVED);
        let removed = match std::fs::read(&list) {
            Err(e) if e.kind() == NotFound && ready.symlink_metadata().is_err() => return Ok(()),
            read => read.map_err(Error::io(&list))?,
        };
        let removed: Vec<String> = serde_json::from_slice(&removed).map_err(|e| Error::file(&list, e.to_string()))?;
        for path in removed.iter().filter_map(|within| file_inside(&self.directory, within)) {
            remove_if_there(&path)?;
        }
        sync_directory(&self.directory).map_err(Error::io(&self.directory))?;
        // What is removed in part is no longer ready.
        match std::fs::rename(ready, &self.new) {
            Err(e) if e.kind() == NotFound => Ok(()),
            renamed => renamed.map_err(Error::io(&self.directory)),
        }?;
        remove_if_there(&self.new)
    }
}

impl Drop for FileTransaction {
    fn drop(&mut self) {
        // What stays is removed by whoever begins next.
        let _ = remove_if_there(&self.new);
    }
}

/// Returns the place of a file within a directory, whoever wrote its path; `None` where that leads out of the directory, or to no file.
fn file_inside(directory: &Path, within: &str) -> Option<PathBuf> {
    let is_inside = Path::new(within).components().all(|part| matches!(part, Component::Normal(_)));
    let path = directory.join(within);
    let is_file = path.symlink_metadata().is_ok_and(|found| !found.is_dir());
    // A directory on the way may be a link.
    let parent = directory_of(&path).canonicalize().ok()?;
    (is_inside && is_file && parent.starts_with(directory.canonicalize().ok()?)).then_some(path)
}

/// Returns the paths of all files below a directory, as paths within it, sorted.
fn paths_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(within) = waiting.pop() {
        for path in entries(&directory.join(&within))? {
            let within = within.join(path.file_name().unwrap_or_default());
            if path.is_dir() { waiting.push(within) } else { paths.push(within) }
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests;
