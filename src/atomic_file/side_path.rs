//! Names of what stands beside a file while it is written: locks, temporary files, directories of files that are not yet in their
//! places.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::entries;
use crate::Result;

/// How all of these names begin.
const PREFIX: &str = ".whole-";
/// The purpose of a file that is written.
pub(super) const TEMPORARY: &str = "tmp";
/// The purpose of a lock.
pub(super) const LOCK: &str = "lock";

/// The number of hexadecimal digits by which the names of several processes differ.
const TOKEN: usize = 8;
/// The most bytes of a file's name within another name, of which most file systems allow 255.
const MAX_NAME: usize = 200;

/// Returns the path of what all processes share that write the file or files of a name, such as their lock.
pub(super) fn side_path(directory: &Path, name: &str, purpose: &str) -> PathBuf {
    directory.join(format!("{PREFIX}{}.{purpose}", shortened(name)))
}

/// Returns such a path with a random token, another one for every call and process.
pub(super) fn own_side_path(directory: &Path, name: &str, purpose: &str) -> PathBuf {
    // Every state of this hasher has keys of its own, but a process that is forked, as Python's are, has those of the first.
    let token = RandomState::new().hash_one((std::process::id(), SystemTime::now())) as u32;
    directory.join(format!("{PREFIX}{token:0TOKEN$x}-{}.{purpose}", shortened(name)))
}

/// Returns the paths that [`own_side_path`] gave to any process for a name and a purpose and that are there, sorted.
pub(super) fn own_side_paths(directory: &Path, name: &str, purpose: &str) -> Result<Vec<PathBuf>> {
    let end = format!("-{}.{purpose}", shortened(name));
    let is_of_name = |path: &PathBuf| {
        let found = path.file_name().and_then(|found| found.to_str()).and_then(|found| found.strip_prefix(PREFIX));
        let token = found.and_then(|found| found.strip_suffix(&end));
        token.is_some_and(|token| token.len() == TOKEN && token.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let mut paths = entries(directory)?;
    paths.retain(is_of_name);
    paths.sort();
    Ok(paths)
}

/// Returns whether a path is a temporary file of this module. A process that was killed leaves it behind.
pub(crate) fn is_temporary(path: &Path) -> bool {
    has_purpose(path, TEMPORARY)
}

/// Returns whether a path is the lock of what is written in its directory.
pub(crate) fn is_lock(path: &Path) -> bool {
    has_purpose(path, LOCK)
}

fn has_purpose(path: &Path, purpose: &str) -> bool {
    path.extension().is_some_and(|extension| extension == purpose)
        && path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()))
}

/// Returns a name as it is, or the beginning and a checksum of one that is too long.
fn shortened(name: &str) -> Cow<'_, str> {
    if name.len() <= MAX_NAME {
        return name.into();
    }
    let begin = &name[..name.floor_char_boundary(MAX_NAME - TOKEN - 1)];
    format!("{begin}-{:0TOKEN$x}", crc32fast::hash(name.as_bytes())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_of_a_name_are_found_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let long = "é".repeat(120);
        let names = ["a", "b-a", "a.new", "00000000-a", &long];
        let paths = names.map(|name| own_side_path(dir.path(), name, "new"));
        paths.iter().for_each(|path| std::fs::write(path, "").unwrap());
        std::fs::write(side_path(dir.path(), "a", LOCK), "").unwrap();
        for (name, path) in names.iter().zip(&paths) {
            assert_eq!(own_side_paths(dir.path(), name, "new").unwrap(), std::slice::from_ref(path), "{name}");
        }
        assert!(own_side_paths(dir.path(), "a", TEMPORARY).unwrap().is_empty());
        assert_ne!(own_side_path(dir.path(), "a", "new"), paths[0]);
    }
}
