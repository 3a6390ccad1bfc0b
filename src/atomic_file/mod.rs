//! Atomic writes: a file has either its old content or all of the new one.
//!
//! A file is written under a temporary name in its own directory, flushed to the disk and then renamed.

mod contents;

use std::fs::File;
use std::io::Write;
use std::path::Path;

pub use contents::{Chunk, FileContents};

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

/// Writes a file and its companion atomically, if they pass a check, and returns the result of the check.
///
/// Both files are written to a temporary directory first, under their own names. `check` gets the path of the first one
/// there. Only if it succeeds do they move to their places. The companion moves first and never replaces a file; if the
/// other file cannot follow, the companion is removed again.
///
/// # Errors
/// [`Error::Io`] that names the path at fault, or the error of the check.
pub fn write_atomic_checked<T>(
    path: &Path,
    contents: &FileContents,
    check: impl FnOnce(&Path) -> Result<T>,
) -> Result<T> {
    let directory = directory_of(path);
    let temporary = temporary_directory(directory).map_err(Error::io(path))?;
    let name = path.file_name().ok_or_else(|| Error::unsupported(path.display(), "names no file"))?;
    let new = temporary.path().join(name);
    contents::write(&new, &contents.chunks).map_err(|failed| failed.at(path))?;
    let companion = contents.companion.as_ref();
    let companion = companion.map(|(name, chunks)| (temporary.path().join(name), directory.join(name), chunks));
    if let Some((new, path, chunks)) = &companion {
        contents::write(new, chunks).map_err(|failed| failed.at(path))?;
    }
    let checked = check(&new)?;
    if let Some((new, path, _)) = &companion {
        let file = tempfile::TempPath::try_from_path(new).map_err(Error::io(path))?;
        file.persist_noclobber(path).map_err(|failed| failed.error).map_err(Error::io(path))?;
    }
    if let Err(error) = std::fs::rename(&new, path) {
        let removed = companion.map_or(Ok(()), |(_, path, _)| std::fs::remove_file(path));
        return Err(Error::io(path)(removed.err().unwrap_or(error)));
    }
    sync_directory(directory).map_err(Error::io(path))?;
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
    let temporary = temporary_directory(directory).map_err(Error::io(path))?;
    let name = path.file_name().ok_or_else(|| Error::unsupported(path.display(), "names no directory"))?;
    // Its parent is open to its owner alone; the directory itself has the mode of any other.
    let new = temporary.path().join(name);
    std::fs::create_dir(&new).map_err(Error::io(path))?;
    let filled = fill(&new)?;
    sync_directory(&new).map_err(Error::io(path))?;
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

/// Temporary names begin and end so. Directories of earlier versions hold such files too.
const PREFIX: &str = ".whole-";
const SUFFIX: &str = ".tmp";

fn temporary_directory(directory: &Path) -> std::io::Result<tempfile::TempDir> {
    std::fs::create_dir_all(directory)?;
    tempfile::Builder::new().prefix(PREFIX).suffix(SUFFIX).tempdir_in(directory)
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}

/// Writes a temporary file beside its destination: renaming is atomic only within one file system.
fn write_temporary(
    directory: &Path,
    write: impl FnOnce(&mut File) -> std::io::Result<()>,
) -> std::io::Result<tempfile::NamedTempFile> {
    std::fs::create_dir_all(directory)?;
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

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
