//! Unpacks known members of a `.tar.gz` archive.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::binary_reader::MAX_BYTES;
use crate::{Error, Result};

/// Unpacks `members` of `archive` to the same paths below `dir`. Members that exist already are compared with the archive.
///
/// Only the paths of `members` are written: the paths in the archive are compared with them and not used otherwise. A
/// member gets its name when it is complete, so that a file of that name is never a part of one.
///
/// # Errors
/// [`Error::File`] if the archive is corrupt, or a member is missing, no plain file or too large, or a file of its name has
/// other content, which is not changed: it may be a file of the user. [`Error::Io`] if a file cannot be read or written.
pub(super) fn unpack(archive: &Path, members: &[&str], dir: &Path) -> Result<()> {
    let mut missing = members.to_vec();
    let corrupt = |e: io::Error| Error::file(archive, format!("corrupt archive ({e})"));
    let file = File::open(archive).map_err(Error::io(archive))?;
    let mut tar = tar::Archive::new(MultiGzDecoder::new(io::BufReader::new(file)));
    for entry in tar.entries().map_err(corrupt)? {
        let entry = entry.map_err(corrupt)?;
        let path = entry.path_bytes().into_owned();
        let path = path.strip_prefix(b"./").unwrap_or(&path);
        let Some(at) = missing.iter().position(|member| member.as_bytes() == path) else {
            continue;
        };
        if !entry.header().entry_type().is_file() || entry.size() > MAX_BYTES as u64 {
            let what = format!("{} is not a plain file of at most {MAX_BYTES} bytes", missing[at]);
            return Err(Error::file(archive, what));
        }
        let size = entry.size();
        let path = dir.join(missing.swap_remove(at));
        match path.try_exists().map_err(Error::io(&path))? {
            true => compare(entry, size, &path, archive)?,
            false => write(entry, size, &path, archive)?,
        }
        if missing.is_empty() {
            return Ok(());
        }
    }
    match missing.first() {
        Some(member) => Err(Error::file(archive, format!("has no {member}"))),
        None => Ok(()),
    }
}

/// Calls `use_part` with the next `remaining` bytes of a member, part by part.
fn read(
    mut entry: impl Read,
    mut remaining: u64,
    archive: &Path,
    mut use_part: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut buffer = vec![0; 1 << 16];
    while remaining > 0 {
        let n = match entry.read(&mut buffer) {
            Ok(0) => return Err(Error::file(archive, "corrupt archive (truncated)")),
            Ok(n) => n,
            Err(e) => return Err(Error::file(archive, format!("corrupt archive ({e})"))),
        };
        remaining = remaining.saturating_sub(n as u64);
        use_part(&buffer[..n])?;
    }
    Ok(())
}

/// Checks that a file holds the `size` bytes of a member.
fn compare(entry: impl Read, size: u64, path: &Path, archive: &Path) -> Result<()> {
    let differs = || {
        let archive = archive.file_name().unwrap_or_default().to_string_lossy();
        Error::file(path, format!("is there already, and is not what {archive} holds; move it away"))
    };
    let mut file = File::open(path).map_err(Error::io(path))?;
    let found = file.metadata().map_err(Error::io(path))?;
    if !found.is_file() || found.len() != size {
        return Err(differs());
    }
    let mut other = vec![0; 1 << 16];
    read(entry, size, archive, |part| {
        file.read_exact(&mut other[..part.len()]).map_err(Error::io(path))?;
        if part == &other[..part.len()] { Ok(()) } else { Err(differs()) }
    })
}

/// Writes the next `size` bytes of a member to a file.
fn write(entry: impl Read, size: u64, path: &Path, archive: &Path) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::io(parent))?;
    }
    let part = path.with_added_extension("part");
    let mut out = File::create(&part).map_err(Error::io(&part))?;
    read(entry, size, archive, |bytes| out.write_all(bytes).map_err(Error::io(&part)))?;
    complete(&part, path)
}

/// Gives a file that is complete its name, once its bytes are on the disk: after a power cut there is no part of a file under
/// that name.
pub(super) fn complete(part: &Path, path: &Path) -> Result<()> {
    let file = File::options().write(true).open(part).map_err(Error::io(part))?;
    file.sync_all().map_err(Error::io(part))?;
    fs::rename(part, path).map_err(Error::io(path))?;
    // Where a directory cannot be flushed, a power cut may undo the renaming, and the next call repeats it.
    if let Some(Ok(directory)) = path.parent().map(File::open) {
        let _ = directory.sync_all();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an archive. The content of each member is its name, but members named `link` are links.
    fn archive(members: &[&str]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for member in members {
            let mut header = tar::Header::new_gnu();
            // The setter of the crate refuses the paths that an attacker would use.
            header.as_old_mut().name[..member.len()].copy_from_slice(member.as_bytes());
            header.set_size(member.len() as u64);
            if member.contains("link") {
                header.set_entry_type(tar::EntryType::Symlink);
            }
            header.set_cksum();
            tar.append(&header, member.as_bytes()).unwrap();
        }
        super::super::binary_reader::gzip(&tar.into_inner().unwrap())
    }

    /// Unpacks an archive of these bytes. The error message is without the directory of the archive.
    fn outcome(dir: &Path, bytes: &[u8], members: &[&str]) -> std::result::Result<(), String> {
        let path = dir.join("x.tar.gz");
        fs::write(&path, bytes).unwrap();
        let prefix = format!("{}/", dir.display());
        unpack(&path, members, &dir.join("out")).map_err(|e| e.to_string().replace(&prefix, ""))
    }

    #[test]
    fn only_known_members_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = archive(&["a/1.bin", "../evil", "/tmp/evil", "a/readme", "./a/2.bin"]);
        outcome(dir.path(), &bytes, &["a/1.bin", "a/2.bin"]).unwrap();
        assert_eq!(fs::read(dir.path().join("out/a/1.bin")).unwrap(), b"a/1.bin");
        assert_eq!(fs::read_dir(dir.path().join("out/a")).unwrap().count(), 2);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        // All members exist, and are those of the archive.
        outcome(dir.path(), &bytes, &["a/1.bin", "a/2.bin"]).unwrap();
    }

    #[test]
    fn a_member_that_exists_with_other_content_is_refused() {
        let bytes = archive(&["a/1.bin", "a/2.bin"]);
        for content in ["a/2.bi", "a/2.biN", "a/2.bin2", ""] {
            let dir = tempfile::tempdir().unwrap();
            outcome(dir.path(), &bytes, &["a/1.bin", "a/2.bin"]).unwrap();
            fs::write(dir.path().join("out/a/2.bin"), content).unwrap();
            let message = "out/a/2.bin: is there already, and is not what x.tar.gz holds; move it away";
            assert_eq!(outcome(dir.path(), &bytes, &["a/1.bin", "a/2.bin"]).unwrap_err(), message);
            assert_eq!(fs::read_to_string(dir.path().join("out/a/2.bin")).unwrap(), content);
        }
    }

    #[test]
    fn an_invalid_archive_is_refused() {
        let good = archive(&["a/1.bin"]);
        for (bytes, member, message) in [
            (&good[..], "a/2.bin", "x.tar.gz: has no a/2.bin"),
            (&archive(&["link"]), "link", "x.tar.gz: link is not a plain file of at most 1073741824 bytes"),
            (b"no archive", "a", "x.tar.gz: corrupt archive (invalid gzip header)"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            assert_eq!(outcome(dir.path(), bytes, &[member]).unwrap_err(), message);
        }
        for end in 0..good.len() {
            let dir = tempfile::tempdir().unwrap();
            let _ = outcome(dir.path(), &good[..end], &["a/1.bin"]);
            let member = fs::read(dir.path().join("out/a/1.bin"));
            assert!(member.is_err() || member.is_ok_and(|bytes| bytes == b"a/1.bin"));
        }
    }
}
