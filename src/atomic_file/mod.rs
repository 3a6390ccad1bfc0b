//! Atomic writes: a file has either its old content or all of the new one.
//!
//! A file is written under a temporary name in its own directory, flushed to the disk and then renamed.

mod contents;
mod lock;
mod stage;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

pub use contents::{Chunk, FileContents};
pub use lock::WriteLock;
pub use stage::Stage;

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
    let directory = directory_of(path);
    let file = write_temporary(directory, write).map_err(Error::io(path))?;
    file.persist(path).map_err(|failed| failed.error).map_err(Error::io(path))?;
    sync_directory(directory).map_err(Error::io(path))
}

/// Writes a file and its companion in one act, if they pass a check, and returns the result of the check.
///
/// Both files are written to a directory of their own first, under their own names. `check` gets the path of the first one
/// there. Only if it succeeds do they move to their places. The companion never replaces a file.
///
/// # Errors
/// [`Error::Io`] that names the path at fault, the error of the check, or those of [`Stage::begin`].
pub fn write_atomic_checked<T>(
    path: &Path,
    contents: &FileContents,
    check: impl FnOnce(&Path) -> Result<T>,
) -> Result<T> {
    let stage = Stage::of_file(path)?;
    let name = path.file_name().unwrap_or_default();
    if let Some((companion, chunks)) = &contents.companion {
        stage.write(Path::new(companion), chunks)?;
    }
    let checked = check(&stage.write(Path::new(name), &contents.chunks)?)?;
    if let Some((companion, _)) = &contents.companion {
        let place = directory_of(path).join(companion);
        if place.symlink_metadata().is_ok() {
            return Err(Error::file(place, "is there already; remove it, or name another file"));
        }
    }
    stage.commit(&[])?;
    Ok(checked)
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
    let _lock = WriteLock::take(directory, &key, &format!("writing {key}"))?;
    let new = hidden(directory, &key, "new");
    // That of a process that was killed.
    remove_if_there(&new)?;
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
    tempfile::Builder::new()
        .prefix(PREFIX)
        .suffix(SUFFIX)
        .tempfile_in(existing)
        .map_err(|e| Error::io(directory)(e))?;
    Ok(())
}

/// Returns whether a path is a temporary file or directory of this module. A process that was killed leaves them behind.
pub(crate) fn is_temporary(path: &Path) -> bool {
    path.file_name().is_some_and(|name| {
        let name = name.as_encoded_bytes();
        name.starts_with(PREFIX.as_bytes()) && name.ends_with(SUFFIX.as_bytes())
    })
}

/// Returns whether a path is the lock of what is written in its directory.
pub(crate) fn is_lock(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "lock")
        && path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()))
}

/// Temporary names begin and end so. Directories of earlier versions hold such files too.
const PREFIX: &str = ".whole-";
const SUFFIX: &str = ".tmp";

/// Returns the path of what has a purpose for the files of a name in a directory, such as their lock.
fn hidden(directory: &Path, name: &str, purpose: &str) -> PathBuf {
    directory.join(format!("{PREFIX}{name}.{purpose}"))
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
pub(crate) fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = match directory.read_dir() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(Error::io(directory))?,
    };
    entries.map(|entry| Ok(entry.map_err(Error::io(directory))?.path())).collect()
}

/// Removes the temporary files that a killed process has left in a directory. To be called by the only process that writes
/// there.
pub(crate) fn remove_temporary_files(directory: &Path) -> Result<()> {
    entries(directory)?.iter().filter(|path| is_temporary(path)).try_for_each(|path| remove_if_there(path))
}

/// Creates a directory and those that it is in, and flushes their entries to the disk. Returns those that were missing, the
/// outermost first.
fn create_directories(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let is_missing = |path: &&Path| **path != *Path::new("") && !path.exists();
    let mut missing: Vec<PathBuf> = directory.ancestors().take_while(is_missing).map(Path::to_owned).collect();
    missing.reverse();
    std::fs::create_dir_all(directory)?;
    missing.iter().try_for_each(|created| sync_directory(directory_of(created)))?;
    Ok(missing)
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}

/// Writes a temporary file beside its destination: renaming is atomic only within one file system.
fn write_temporary(
    directory: &Path,
    write: impl FnOnce(&mut File) -> std::io::Result<()>,
) -> std::io::Result<tempfile::NamedTempFile> {
    create_directories(directory)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    // The default mode of temporary files, 0600, would hide a report from other users. The umask still applies.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(directory)?;
    write(file.as_file_mut())?;
    file.as_file().sync_all()?;
    Ok(file)
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
