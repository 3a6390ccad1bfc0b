//! Files that are there whole or not at all.

use std::io::Write;
use std::path::Path;

use crate::draft::{self, Draft};
use crate::{Error, Result};

/// Writes a file in one step: whoever opens `path` finds the old bytes or all of the new ones, never a part.
///
/// Missing parent directories are created. Errors name `path` itself, whichever step failed.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let directory = directory_of(path);
    let file = begin(directory, bytes).map_err(Error::io(path))?;
    file.persist(path).map_err(|failed| failed.error).map_err(Error::io(path))?;
    sync_directory(directory).map_err(Error::io(path))
}

/// Writes a file in one step, and the one beside it that it refers to, but both are looked at under their names in a
/// directory of their own first: they get their place only if the check passes.
///
/// The file beside comes first and replaces nothing; where the other cannot follow it goes again.
///
/// # Errors
/// [`Error::Io`] that names the path at fault; those of the check.
pub fn write_checked<T>(path: &Path, draft: &Draft, check: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let directory = directory_of(path);
    let folder = folder(directory).map_err(Error::io(path))?;
    let name = path.file_name().ok_or_else(|| Error::Usage(format!("{}: names no file", path.display())))?;
    let inside = folder.path().join(name);
    draft::write(&inside, &draft.pieces).map_err(|failed| failed.at(path))?;
    let beside = draft.beside.as_ref().map(|(name, pieces)| (folder.path().join(name), directory.join(name), pieces));
    if let Some((inside, path, pieces)) = &beside {
        draft::write(inside, pieces).map_err(|failed| failed.at(path))?;
    }
    let checked = check(&inside)?;
    if let Some((inside, path, _)) = &beside {
        let file = tempfile::TempPath::try_from_path(inside).map_err(Error::io(path))?;
        file.persist_noclobber(path).map_err(|failed| failed.error).map_err(Error::io(path))?;
    }
    if let Err(error) = std::fs::rename(&inside, path) {
        let gone = beside.map_or(Ok(()), |(_, path, _)| std::fs::remove_file(path));
        return Err(Error::io(path)(gone.err().unwrap_or(error)));
    }
    sync_directory(directory).map_err(Error::io(path))?;
    Ok(checked)
}

fn folder(directory: &Path) -> std::io::Result<tempfile::TempDir> {
    std::fs::create_dir_all(directory)?;
    tempfile::Builder::new().prefix(PREFIX).suffix(SUFFIX).tempdir_in(directory)
}

/// How a file is called while it is being written.
const PREFIX: &str = ".whole-";
const SUFFIX: &str = ".tmp";

/// Whether a path is a file, or a directory of them, that a killed process had begun to write.
pub(crate) fn is_unfinished(path: &Path) -> bool {
    path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(PREFIX) && n.ends_with(SUFFIX))
}

/// Checks that files can be written to a directory, which need not exist yet, before long work is done for them.
///
/// # Errors
/// [`Error::Io`] that names the directory.
pub fn check_writable(directory: &Path) -> Result<()> {
    let existing = directory.ancestors().find(|path| *path == Path::new("") || path.exists());
    let existing = existing.filter(|path| *path != Path::new("")).unwrap_or(Path::new("."));
    tempfile::Builder::new()
        .prefix(PREFIX)
        .suffix(SUFFIX)
        .tempfile_in(existing)
        .map_err(|e| Error::io(directory)(e))?;
    Ok(())
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}

/// Renaming is atomic only within one file system, so the temporary file lies beside its destination.
fn begin(directory: &Path, bytes: &[u8]) -> std::io::Result<tempfile::NamedTempFile> {
    std::fs::create_dir_all(directory)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    // The default of temporary files, 0600, would hide a report from everyone else; the umask still applies to this.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// The rename itself lies in the directory: without this a power cut may undo it.
#[cfg(unix)]
fn sync_directory(directory: &Path) -> std::io::Result<()> {
    match std::fs::File::open(directory).and_then(|opened| opened.sync_all()) {
        // Some network file systems cannot do this; the file's own bytes are safe all the same.
        Err(refused) if refused.kind() == std::io::ErrorKind::InvalidInput => Ok(()),
        // A directory may be open to writing but closed to reading.
        Err(refused) if refused.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Piece;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn parents_are_made_and_old_content_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/report.html");
        write_whole(&path, b"old, and longer").unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(names(path.parent().unwrap()), ["report.html"]);
    }

    #[test]
    fn a_failure_names_the_final_path_and_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let taken = root.path().join("taken");
        std::fs::create_dir(&taken).unwrap();
        std::fs::write(taken.join("inside"), b"").unwrap();
        let error = write_whole(&taken, b"bytes").unwrap_err();
        assert!(error.to_string().starts_with(&format!("{}: ", taken.display())), "{error}");
        assert_eq!(names(root.path()), ["taken"]);

        let beneath_a_file = taken.join("inside/report.html");
        let error = write_whole(&beneath_a_file, b"bytes").unwrap_err();
        assert!(error.to_string().starts_with(&format!("{}: ", beneath_a_file.display())), "{error}");
    }

    #[test]
    fn what_fails_its_check_leaves_the_old_content() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("slim.safetensors");
        write_whole(&path, b"old").unwrap();
        let new = Draft::from(b"new".to_vec());
        let refused = write_checked(&path, &new, |beside| {
            assert_eq!(std::fs::read(beside).unwrap(), b"new");
            Err::<(), _>(Error::Usage("no".into()))
        });
        assert_eq!(refused.unwrap_err().to_string(), "no");
        assert_eq!(
            (std::fs::read(&path).unwrap().as_slice(), names(root.path())),
            (&b"old"[..], vec!["slim.safetensors".to_owned()])
        );
        assert_eq!(write_checked(&path, &new, |_| Ok(7)).unwrap(), 7);
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(names(root.path()), ["slim.safetensors"]);
    }

    #[test]
    fn a_file_beside_comes_with_it_and_replaces_nothing() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("slim.onnx");
        let source = root.path().join("source");
        std::fs::write(&source, b"0123456789").unwrap();
        let pieces = vec![Piece::Zeros(2), Piece::File { path: source.clone(), offset: 3, length: 4 }];
        let draft =
            Draft { pieces: vec![Piece::Bytes(b"new".to_vec())], beside: Some(("slim.onnx.data".into(), pieces)) };
        assert_eq!(draft.length(), 9);
        let refused = write_checked(&path, &draft, |inside| {
            let beside = inside.with_file_name("slim.onnx.data");
            assert_eq!(std::fs::read(beside).unwrap(), b"\0\x003456");
            Err::<(), _>(Error::Usage("no".into()))
        });
        assert_eq!((refused.unwrap_err().to_string().as_str(), names(root.path())), ("no", vec!["source".to_owned()]));
        write_checked(&path, &draft, |_| Ok(())).unwrap();
        assert_eq!(names(root.path()), ["slim.onnx", "slim.onnx.data", "source"]);
        let again = write_checked(&path, &draft, |_| Ok(())).unwrap_err().to_string();
        assert!(again.starts_with(&format!("{}: ", root.path().join("slim.onnx.data").display())), "{again}");
        // Where the file itself cannot take its place, what came beside it goes again.
        let taken = root.path().join("taken");
        std::fs::create_dir_all(taken.join("inside")).unwrap();
        let other = Draft { pieces: vec![Piece::Bytes(Vec::new())], beside: Some(("other.data".into(), Vec::new())) };
        write_checked(&taken, &other, |_| Ok(())).unwrap_err();
        assert_eq!(names(root.path()), ["slim.onnx", "slim.onnx.data", "source", "taken"]);
        // A source that ends too early is named.
        let short = vec![Piece::File { path: source.clone(), offset: 8, length: 4 }];
        let short = Draft { pieces: short, beside: None };
        let error = write_checked(&root.path().join("x"), &short, |_| Ok(())).unwrap_err().to_string();
        assert_eq!(error, format!("{}: ends after 2 of 4 bytes from 8 on", source.display()));
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_what_the_umask_lets_them() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let (whole, plain) = (root.path().join("whole"), root.path().join("plain"));
        write_whole(&whole, b"").unwrap();
        std::fs::write(&plain, b"").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&whole), mode(&plain));
    }
}
