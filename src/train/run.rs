//! The run directory: configuration, versions, metrics, checkpoints, and the finished model. Every file is written
//! whole or not at all.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use super::{Experiment, Origin, State};
use crate::kernel::{Backend, Kernels};
use crate::model::{Metadata, Model, to_bytes};
use crate::report::Epoch;
use crate::whole::{is_unfinished, write_whole};
use crate::{Error, Result};

/// A run directory that this process alone writes to.
#[derive(Debug)]
pub struct Run {
    dir: PathBuf,
    /// The configuration, locked for as long as the run is written to; the system gives it back however a process ends.
    _lock: File,
}

/// File names within a run directory.
const CONFIG: &str = "config.toml";
const VERSIONS: &str = "versions.json";
const METRICS: &str = "metrics.jsonl";
const MODEL: &str = "model.safetensors";
const BEST: &str = "best.safetensors";
const CHECKPOINTS: &str = "checkpoints";

impl Run {
    /// Begins a new run, which these kernels compute.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is something at this path already.
    pub fn create(dir: &Path, experiment: &Experiment, kernels: Kernels) -> Result<Self> {
        if !is_empty(dir)? {
            let dir = dir.display();
            return Err(Error::Usage(format!(
                "{dir}: not empty; continue it with --resume, or name another with --out"
            )));
        }
        write_whole(&dir.join(CONFIG), experiment.to_toml()?.as_bytes())?;
        let run = Self { dir: dir.to_owned(), _lock: lock(dir)? };
        run.write_versions(kernels)?;
        run.metrics(&[])?;
        Ok(run)
    }

    /// Opens an existing run to continue it; one that was stopped before it had written anything, so that its directory is
    /// empty, is begun.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no such directory, or the run has another configuration, is being written to, or has lost its checkpoints.
    pub fn resume(dir: &Path, experiment: &Experiment, kernels: Kernels) -> Result<Self> {
        let path = dir.join(CONFIG);
        if !dir.exists() {
            return Err(Error::Usage(format!("{}: nothing to resume, there is no such directory", dir.display())));
        }
        if !path.exists() {
            return match is_empty(dir)? {
                true => Self::create(dir, experiment, kernels),
                false => Err(Error::Usage(format!(
                    "{}: no run to resume, {CONFIG} is missing; name another directory with --out",
                    dir.display()
                ))),
            };
        }
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        let before = Experiment::parse(&text, &[], &path.display().to_string())?;
        if let Some(difference) = Experiment::difference(&before, experiment)? {
            return Err(Error::Usage(format!(
                "{}: {difference}; the run can only be resumed as it began",
                path.display()
            )));
        }
        let run = Self { dir: dir.to_owned(), _lock: lock(dir)? };
        run.check_kernels(kernels)?;
        let has_history = read_metrics(&dir.join(METRICS))?.len() + usize::from(dir.join(MODEL).exists()) > 0;
        if has_history && checkpoints(dir)?.is_empty() {
            let dir = dir.display();
            return Err(Error::Usage(format!(
                "{dir}: its checkpoints are gone, so that it cannot be continued; name another directory with --out"
            )));
        }
        run.remove_unfinished()?;
        Ok(run)
    }

    /// Removes the files of an earlier run of this experiment, whatever its seed, and nothing else.
    ///
    /// # Errors
    /// [`Error::Usage`] if the directory holds anything but such a run.
    pub fn remove(dir: &Path, experiment: &Experiment) -> Result<()> {
        if is_empty(dir)? {
            return Ok(());
        }
        let other = || {
            Error::Usage(format!(
                "{}: not empty, and not a run of this experiment; name another with --out",
                dir.display()
            ))
        };
        let path = dir.join(CONFIG);
        let text = std::fs::read_to_string(&path).map_err(|_| other())?;
        let mut before = Experiment::parse(&text, &[], CONFIG).map_err(|_| other())?;
        before.train.seed = experiment.train.seed;
        if before != *experiment {
            return Err(other());
        }
        let run = Self { dir: dir.to_owned(), _lock: lock(dir)? };
        run.remove_unfinished()?;
        let files = [VERSIONS, METRICS, MODEL, BEST, CONFIG].map(|name| dir.join(name));
        let known = |path: &PathBuf| files.contains(path) || *path == dir.join(CHECKPOINTS);
        if !entries(dir)?.iter().all(known) || entries(&dir.join(CHECKPOINTS))?.len() > checkpoints(dir)?.len() {
            return Err(other());
        }
        for file in checkpoints(dir)?.iter().chain(&files).filter(|file| file.exists()) {
            std::fs::remove_file(file).map_err(Error::io(file))?;
        }
        match std::fs::remove_dir(dir.join(CHECKPOINTS)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(dir.join(CHECKPOINTS))(e)),
            _ => Ok(()),
        }
    }

    /// Removes what a killed process had begun to write.
    fn remove_unfinished(&self) -> Result<()> {
        for dir in [self.dir.clone(), self.dir.join(CHECKPOINTS)] {
            for file in entries(&dir)?.into_iter().filter(|file| is_unfinished(file)) {
                let removed = if file.is_dir() { std::fs::remove_dir_all(&file) } else { std::fs::remove_file(&file) };
                removed.map_err(Error::io(&file))?;
            }
        }
        Ok(())
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a checkpoint and removes the oldest beyond the number to keep; `data` is the fingerprint of the samples.
    ///
    /// # Errors
    /// [`Error::Io`] where a file cannot be written or removed.
    pub fn checkpoint(&self, state: &State, card: &Metadata, data: u32, keep: usize) -> Result<()> {
        let path = self.dir.join(CHECKPOINTS).join(format!("step-{:09}.safetensors", state.position.step));
        write_whole(&path, &state.to_bytes(card, data)?)?;
        let checkpoints = checkpoints(&self.dir)?;
        for old in checkpoints.iter().take(checkpoints.len().saturating_sub(keep)) {
            std::fs::remove_file(old).map_err(Error::io(old))?;
        }
        Ok(())
    }

    /// The latest checkpoint, if there is one; it must be of a training with this configuration and this data.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be used.
    pub fn latest(&self, origin: &Origin, backend: &Backend) -> Result<Option<State>> {
        let mut all = checkpoints(&self.dir)?;
        let Some(path) = all.pop() else { return Ok(None) };
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        let state = State::from_bytes(&path, &bytes, origin, backend);
        state.map(Some).map_err(|error| match (error, all.last()) {
            (Error::File { path, what }, Some(before)) => {
                let name = before.file_name().unwrap_or_default().display();
                Error::file(path, format!("{what}; without this file the run continues from {name}"))
            }
            (error, _) => error,
        })
    }

    /// Writes the metrics of all finished epochs, one JSON object a line.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be written.
    pub fn metrics(&self, history: &[Epoch]) -> Result<()> {
        let line = |e: &Epoch| match serde_json::to_string(e) {
            Ok(line) => Ok(line + "\n"),
            Err(e) => Err(Error::Usage(format!("metrics: {e}"))),
        };
        let lines: Result<String> = history.iter().map(line).collect();
        write_whole(&self.dir.join(METRICS), lines?.as_bytes())
    }

    /// Writes the best model so far.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be written.
    pub fn best(&self, model: &Model, card: &Metadata) -> Result<()> {
        write_whole(&self.dir.join(BEST), &to_bytes(model, card, &[], Default::default())?)
    }

    /// Writes the finished model.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be written.
    pub fn finish(&self, model: &Model, card: &Metadata) -> Result<()> {
        write_whole(&self.dir.join(MODEL), &to_bytes(model, card, &[], Default::default())?)
    }

    /// Checks that the run was begun with these kernels. Others round differently, so that the run would not continue as it
    /// began.
    fn check_kernels(&self, kernels: Kernels) -> Result<()> {
        // Runs that are older than the native kernels name none.
        let versions = std::fs::read_to_string(self.dir.join(VERSIONS)).unwrap_or_default();
        let versions: serde_json::Value = serde_json::from_str(&versions).unwrap_or_default();
        match serde_json::from_value::<Kernels>(versions["kernels"].clone()) {
            Ok(before) if before != kernels => Err(Error::mismatch(
                self.dir.display(),
                format!(
                    "begun with {} kernels, not with {}; the run can only be resumed as it began",
                    before.name(),
                    kernels.name()
                ),
            )),
            _ => Ok(()),
        }
    }

    fn write_versions(&self, kernels: Kernels) -> Result<()> {
        let versions = serde_json::json!({
            "unrolled": env!("CARGO_PKG_VERSION"),
            "burn": "0.22.1",
            "target": format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            "threads": std::thread::available_parallelism().map_or(1, usize::from),
            "kernels": kernels,
        });
        write_whole(&self.dir.join(VERSIONS), format!("{versions:#}\n").as_bytes())
    }
}

/// The paths in a directory; none where there is no directory.
fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match dir.read_dir() {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(dir)(e)),
    };
    entries.map(|entry| Ok(entry.map_err(Error::io(dir))?.path())).collect()
}

/// Whether there is nothing at a path but, perhaps, an empty directory.
fn is_empty(dir: &Path) -> Result<bool> {
    Ok(entries(dir)?.is_empty())
}

/// The checkpoints of a run, oldest first.
fn checkpoints(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = entries(&dir.join(CHECKPOINTS))?;
    paths.retain(|path| {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        name.starts_with("step-") && name.ends_with(".safetensors")
    });
    paths.sort();
    Ok(paths)
}

/// Locks a run's configuration.
fn lock(dir: &Path) -> Result<File> {
    let path = dir.join(CONFIG);
    let file = File::open(&path).map_err(Error::io(&path))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            Err(Error::Usage(format!("{}: another process is training in this directory", dir.display())))
        }
        // Some network file systems have no locks; one process alone is safe there as everywhere.
        _ => Ok(file),
    }
}

/// The file of a run's finished model, otherwise of its latest checkpoint.
///
/// # Errors
/// [`Error::File`] if there is neither.
pub fn model_file(dir: &Path) -> Result<PathBuf> {
    let finished = dir.join(MODEL);
    if finished.exists() {
        return Ok(finished);
    }
    let none = || Error::file(dir, "no run directory: neither model.safetensors nor a checkpoint is in it");
    checkpoints(dir)?.pop().ok_or_else(none)
}

/// The finished epochs of a run; none for a directory without metrics.
///
/// # Errors
/// [`Error::File`] for metrics that are not whole.
pub fn history(dir: &Path) -> Result<Vec<Epoch>> {
    read_metrics(&dir.join(METRICS))
}

fn read_metrics(path: &Path) -> Result<Vec<Epoch>> {
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
