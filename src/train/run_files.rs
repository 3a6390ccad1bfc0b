//! The files of a run directory: their names, the checkpoints, the lock, the metrics.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::atomic_file::is_temporary;
use crate::model::Epoch;
use crate::{Error, Result};

/// File names within a run directory.
pub(super) const CONFIG: &str = "config.toml";
pub(super) const VERSIONS: &str = "versions.json";
pub(super) const METRICS: &str = "metrics.jsonl";
pub(super) const MODEL: &str = "model.safetensors";
pub(super) const BEST: &str = "best.safetensors";
pub(super) const CHECKPOINTS: &str = "checkpoints";

/// Returns the paths in a directory; none if it does not exist.
pub(super) fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match dir.read_dir() {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(dir)(e)),
    };
    entries.map(|entry| Ok(entry.map_err(Error::io(dir))?.path())).collect()
}

/// Returns whether a directory does not exist, or holds nothing but temporary files of a process that was killed.
pub(super) fn is_empty(dir: &Path) -> Result<bool> {
    Ok(entries(dir)?.iter().all(|path| is_temporary(path)))
}

/// Returns the checkpoints of a run, the oldest first.
pub(super) fn checkpoints(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = entries(&dir.join(CHECKPOINTS))?;
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        name.starts_with(b"step-") && name.ends_with(b".safetensors")
    });
    paths.sort();
    Ok(paths)
}

/// Locks the configuration file of a run.
pub(super) fn lock(dir: &Path) -> Result<File> {
    let path = dir.join(CONFIG);
    let file = File::open(&path).map_err(Error::io(&path))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            Err(Error::unsupported(dir.display(), "another process is training in this directory"))
        }
        // Some network file systems have no locks. A single process is safe there too.
        _ => Ok(file),
    }
}

/// Returns the path of the trained model of a run, otherwise that of its latest checkpoint.
///
/// # Errors
/// [`Error::File`] if there is neither.
pub fn model_file(dir: &Path) -> Result<PathBuf> {
    let model = dir.join(MODEL);
    if model.exists() {
        return Ok(model);
    }
    let none = || Error::file(dir, "no run directory: neither model.safetensors nor a checkpoint is in it");
    checkpoints(dir)?.pop().ok_or_else(none)
}

/// Returns the metrics of the finished epochs of a run; none for a directory without metrics.
///
/// # Errors
/// [`Error::File`] if the metrics are not valid.
pub fn read_history(dir: &Path) -> Result<Vec<Epoch>> {
    read_metrics(&dir.join(METRICS))
}

pub(super) fn read_metrics(path: &Path) -> Result<Vec<Epoch>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(path)(e)),
    };
    let parse = |(n, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| Error::file(path, format!("line {}: {e}", n + 1)))
    };
    text.lines().enumerate().filter(|(_, line)| !line.is_empty()).map(parse).collect()
}
