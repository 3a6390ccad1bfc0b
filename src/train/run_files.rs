//! The files of a run directory: their names, the checkpoints, the lock, the metrics.

use std::path::{Path, PathBuf};

use super::RunDirectory;
use super::versions::Versions;
use crate::atomic_file::{WriteLock, entries, is_lock, is_temporary};
use crate::model::Epoch;
use crate::{Error, Result};

/// File names within a run directory.
pub(super) const CONFIG: &str = "config.toml";
pub(super) const VERSIONS: &str = "versions.json";
pub(super) const METRICS: &str = "metrics.jsonl";
pub(super) const MODEL: &str = "model.safetensors";
pub(super) const BEST: &str = "best.safetensors";
pub(super) const CHECKPOINTS: &str = "checkpoints";

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

/// Returns what a directory holds, but for its lock and for temporary files of a process that was killed; nothing if it does not
/// exist.
pub(super) fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = entries(dir)?;
    paths.retain(|path| !is_temporary(path) && !is_lock(path));
    Ok(paths)
}

/// Returns whether nothing of a run is lost if a directory becomes that of a new one: it holds nothing but what a run of this
/// configuration, as text, writes before its first step.
pub(super) fn has_not_begun(dir: &Path, config: &str) -> Result<bool> {
    for path in files(dir)? {
        let read = || std::fs::read(&path).map_err(Error::io(&path));
        let is_beginning = match path.file_name().and_then(|name| name.to_str()) {
            Some(CONFIG) => read()? == config.as_bytes(),
            Some(VERSIONS) => Versions::parse(&path, &read()?).is_ok(),
            Some(METRICS) => read()?.is_empty(),
            Some(CHECKPOINTS) => files(&path)?.is_empty(),
            _ => false,
        };
        if !is_beginning {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Locks the directory of a run.
pub(super) fn lock(dir: &Path) -> Result<WriteLock> {
    WriteLock::take(dir, "run", "training in this directory")
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
    let none = || match dir.join(CONFIG).exists() {
        true => Error::file(
            dir,
            format!(
                "its training ended before the first checkpoint; `unrolled train --resume {}` goes on",
                dir.display()
            ),
        ),
        false => Error::file(dir, "no run directory: neither model.safetensors nor a checkpoint is in it"),
    };
    checkpoints(dir)?.pop().ok_or_else(none)
}

/// How far a run was trained that was stopped before its end. It is written as `unfinished: 5 of 40 epochs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The number of epochs that are finished.
    pub epochs: usize,
    /// The number of epochs of the whole training; `None` where the experiment is not in the run directory.
    pub of: Option<u64>,
}

impl std::fmt::Display for Unfinished {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self.of {
            Some(of) => write!(f, "unfinished: {} of {of} epochs", self.epochs),
            None => write!(f, "unfinished: {} epochs", self.epochs),
        }
    }
}

impl Unfinished {
    /// Returns how far a run was trained that has no trained model yet; `None` for one that has.
    ///
    /// # Errors
    /// [`Error::Config`] if the experiment of the run is not valid.
    pub(crate) fn of_run(dir: &Path, history: &[Epoch]) -> Result<Option<Self>> {
        if dir.join(MODEL).exists() {
            return Ok(None);
        }
        let has_config = dir.join(CONFIG).exists();
        let experiment = has_config.then(|| RunDirectory::experiment(dir, &[])).transpose()?;
        Ok(Some(Self { epochs: history.len(), of: experiment.map(|experiment| experiment.train.epochs) }))
    }
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
        // The place that the parser names is one in the line.
        serde_json::from_str(line).map_err(|e| {
            let what = e.to_string();
            let what = what.split(" at line ").next().unwrap_or_default();
            Error::file(
                path,
                format!(
                    "line {}: expected the figures of an epoch: {what}; remove the line to go on without it",
                    n + 1
                ),
            )
        })
    };
    text.lines().enumerate().filter(|(_, line)| !line.is_empty()).map(parse).collect()
}
