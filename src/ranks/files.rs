//! Directories as bytes, which a rank sends to another.

use std::path::{Path, PathBuf};

use super::{pack, unpack};
use crate::{Error, Result};

/// Returns the files of a directory and of the directories in it: the path within it, then the content.
pub(crate) fn pack_directory(directory: &Path) -> Result<Vec<u8>> {
    let mut parts = Vec::new();
    let mut left = vec![PathBuf::new()];
    while let Some(within) = left.pop() {
        let path = directory.join(&within);
        if path.is_dir() {
            let entries = path.read_dir().map_err(Error::io(&path))?;
            let names = entries.map(|entry| Ok(within.join(entry.map_err(Error::io(&path))?.file_name())));
            left.extend(names.collect::<Result<Vec<_>>>()?);
        } else {
            parts.push(within.to_string_lossy().into_owned().into_bytes());
            parts.push(std::fs::read(&path).map_err(Error::io(&path))?);
        }
    }
    Ok(pack(&parts))
}

/// Writes the files that [`pack_directory`] has read.
pub(crate) fn unpack_directory(directory: &Path, bytes: &[u8]) -> Result<()> {
    for file in unpack(bytes).chunks_exact(2) {
        let path = directory.join(String::from_utf8_lossy(&file[0]).as_ref());
        let parent = path.parent().unwrap_or(directory);
        std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
        std::fs::write(&path, &file[1]).map_err(Error::io(&path))?;
    }
    Ok(())
}
