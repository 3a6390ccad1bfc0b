//! Atomic writes: a file has either its old content or all of the new one.
//!
//! A file is written under a temporary name in its own directory, flushed to the disk and then renamed.

mod contents;
mod lock;
mod output_file;
mod side_path;
mod temporary;
mod transaction;

use std::fs::File;
use std::io::ErrorKind::{AlreadyExists, NotADirectory};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

pub use contents::{Chunk, FileContents};
pub use lock::WriteLock;
pub use output_file::{IfExists, OutputFile, OutputPath};
pub(crate) use side_path::{is_lock, is_temporary};
pub use transaction::FileTransaction;

use self::side_path::own_side_path;
use self::temporary::{TemporaryFile, remove_if_abandoned};
use crate::{Error, Result};

/// Writes a file atomically: whoever opens `path` finds the old bytes or all of the new ones, never a part of them.
///
/// Missing parent directories are created.
///
/// # Errors
/// [`Error::Io`] that names `path`, whichever step failed.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic_with(path, |file| file.write_all(bytes))
}

/// Writes a file atomically, as [`write_atomic`] does, by a function: what it writes is never in memory as a whole.
///
/// # Errors
/// [`Error::Io`] that names `path`, whichever step failed.
pub(crate) fn write_atomic_with(path: &Path, write: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<()> {
    let mut temporary = TemporaryFile::create(path).map_err(Error::io(path))?;
    write(&mut temporary.file).map_err(Error::io(path))?;
    temporary.persist(path).map_err(Error::io(path))?;
    sync_directory(directory_of(path)).map_err(Error::io(path))
}

/// Writes a file and its companion in one act, if they pass a check, and returns the result of the check.
///
/// Both files are written to a directory of their own first, under their own names. `check` gets the path of the first one
/// there. Only if it succeeds do they move to their places. The companion never replaces a file.
///
/// # Errors
/// [`Error::Io`] that names the path at fault, the error of the check, or those of [`FileTransaction::begin`]; [`Error::File`] for a
/// file that is there and is not to be replaced.
pub fn write_atomic_checked<'a, T>(
    place: impl Into<OutputPath<'a>>,
    contents: &FileContents,
    check: impl FnOnce(&Path) -> Result<T>,
) -> Result<T> {
    let OutputPath { path, if_exists } = place.into();
    let transaction = FileTransaction::of_file(path)?;
    let mut files = vec![(PathBuf::from(path.file_name().unwrap_or_default()), &contents.chunks)];
    files.extend(contents.companion.iter().map(|(name, chunks)| (PathBuf::from(name), chunks)));
    let new = files.iter().map(|(within, chunks)| transaction.write(within, chunks)).collect::<Result<Vec<_>>>()?;
    let checked = check(&new[0])?;
    let places = files.iter().map(|(within, _)| directory_of(path).join(within)).collect::<Vec<_>>();
    if if_exists == IfExists::KeepIfEqual && path.symlink_metadata().is_ok() {
        for (place, new) in places.iter().zip(&new) {
            if place.symlink_metadata().is_err() {
                let name = path.file_name().unwrap_or_default().display();
                let what = format!("missing, but {name} is there, which needs it; remove that, or name another file");
                return Err(Error::file(place, what));
            }
            if !has_same_bytes(place, new).map_err(Error::io(place))? {
                return Err(Error::file(place, "is there already, with other content; name another file"));
            }
        }
        return Ok(checked);
    }
    if let Some(companion) = places[1..].iter().find(|place| place.symlink_metadata().is_ok()) {
        return Err(Error::file(companion, "is there already; remove it, or name another file"));
    }
    transaction.commit(&[])?;
    Ok(checked)
}

/// Returns whether two files are there and have the same bytes.
fn has_same_bytes(one: &Path, other: &Path) -> std::io::Result<bool> {
    if !(one.is_file() && other.is_file()) || one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let [mut one, mut other] = [File::open(one)?, File::open(other)?];
    let mut chunks = [const { Vec::new() }; 2];
    loop {
        for (file, chunk) in [&mut one, &mut other].into_iter().zip(&mut chunks) {
            chunk.clear();
            file.take(1 << 20).read_to_end(chunk)?;
        }
        if chunks[0] != chunks[1] || chunks[0].is_empty() {
            return Ok(chunks[0] == chunks[1]);
        }
    }
}

/// Makes a directory atomically: `fill` gets an empty directory beside `path`, which takes that name when it succeeds.
///
/// # Errors
/// [`Error::File`] where something has that name already; [`Error::Io`] that names `path`, or the error of `fill`.
pub(crate) fn make_directory_atomic<T>(path: &Path, fill: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let is_taken = || path.symlink_metadata().is_ok();
    let taken = || Error::file(path, "is there already; name another directory");
    if is_taken() {
        return Err(taken());
    }
    let directory = directory_of(path);
    let name = path.file_name().ok_or_else(|| Error::unsupported(path.display(), "names no directory"))?;
    let key = name.to_string_lossy();
    let lock = WriteLock::take(directory, &key, &format!("writing {key}"))?;
    lock.remove_abandoned(directory, &key, transaction::NEW)?;
    let new = own_side_path(directory, &key, transaction::NEW);
    std::fs::create_dir(&new).map_err(Error::io(path))?;
    let _removed = RemovedOnDrop(&new);
    let filled = fill(&new)?;
    sync_directories(&new)?;
    // Renaming replaces an empty directory.
    if is_taken() {
        return Err(taken());
    }
    std::fs::rename(&new, path).map_err(Error::io(path))?;
    sync_directory(directory).map_err(Error::io(path))?;
    Ok(filled)
}

/// Checks that files can be written to a directory, which need not exist yet. To be called before long work whose
/// results go there.
///
/// # Errors
/// [`Error::Io`] that names the directory; [`Error::File`] that names a link to nothing.
pub fn check_writable(directory: &Path) -> Result<()> {
    let is_dangling = |path: &&Path| path.symlink_metadata().is_ok() && !path.exists();
    if let Some(link) = directory.ancestors().find(is_dangling) {
        return Err(Error::file(link, "a link to nothing; make the directory that it names, or name another one"));
    }
    let existing = directory.ancestors().find(|path| *path == Path::new("") || path.exists());
    let existing = existing.filter(|path| *path != Path::new("")).unwrap_or(Path::new("."));
    TemporaryFile::create(&existing.join("writable")).map_err(Error::io(directory))?;
    Ok(())
}

/// A directory that is removed, if it is still there.
struct RemovedOnDrop<'a>(&'a Path);

impl Drop for RemovedOnDrop<'_> {
    fn drop(&mut self) {
        let _ = remove_if_there(self.0);
    }
}

/// Removes a file or a directory with all that is in it, if it is there.
pub(crate) fn remove_if_there(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path)(e)),
        _ => Ok(()),
    }
}

/// Returns the paths in a directory; none if it does not exist.
///
/// # Errors
/// [`Error::Io`] that names the directory.
pub fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = match directory.read_dir() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(Error::io(directory))?,
    };
    entries.map(|entry| Ok(entry.map_err(Error::io(directory))?.path())).collect()
}

/// Removes the temporary files that killed processes have left in a directory.
pub(crate) fn remove_temporary_files(directory: &Path) -> Result<()> {
    entries(directory)?.iter().filter(|path| is_temporary(path)).for_each(|path| remove_if_abandoned(path));
    Ok(())
}

/// Creates a directory and those that it is in, and flushes their entries to the disk. Returns those that were missing, the
/// outermost first.
fn create_directories(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let is_missing = |path: &&Path| **path != *Path::new("") && !path.exists();
    let mut missing: Vec<PathBuf> = directory.ancestors().take_while(is_missing).map(Path::to_owned).collect();
    missing.reverse();
    std::fs::create_dir_all(directory).map_err(|e| match e.kind() {
        // Something else has the name of the directory.
        AlreadyExists => NotADirectory.into(),
        _ => e,
    })?;
    missing.iter().try_for_each(|created| sync_directory(directory_of(created)))?;
    Ok(missing)
}

/// Returns the directory that a path is in: `.` for a name alone.
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}

/// Flushes a directory to the disk. A rename is stored in the directory, so that a power cut may undo it before that.
#[cfg(unix)]
fn sync_directory(directory: &Path) -> std::io::Result<()> {
    match std::fs::File::open(directory).and_then(|opened| opened.sync_all()) {
        // Some network file systems do not support this. The bytes of the file are on the disk all the same.
        Err(refused) if refused.kind() == std::io::ErrorKind::InvalidInput => Ok(()),
        // A directory may be writable but not readable.
        Err(refused) if refused.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}

/// Flushes a directory and all directories in it to the disk.
fn sync_directories(directory: &Path) -> Result<()> {
    for path in entries(directory)?.iter().filter(|path| path.is_dir()) {
        sync_directories(path)?;
    }
    sync_directory(directory).map_err(Error::io(directory))
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
