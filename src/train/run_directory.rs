//! The run directory: configuration, versions, metrics, checkpoints, and the trained model. Every file is written
//! atomically.

use std::path::{Path, PathBuf};

use super::run_files::{BEST, CHECKPOINTS, CONFIG, METRICS, MODEL, VERSIONS, checkpoints, files, has_not_begun, lock};
use super::versions::Versions;
use super::{DataFingerprints, Experiment, Resume, TrainingState};
use crate::atomic_file::{WriteLock, remove_if_there, remove_temporary_files, write_atomic};
use crate::kernel::Backend;
use crate::model::Epoch;
use crate::model::{Metadata, Model, to_bytes};
use crate::ranks::Ranks;
use crate::text::read_text;
use crate::{Error, Result};

/// A run directory, locked by this process.
#[derive(Debug)]
pub struct RunDirectory {
    dir: PathBuf,
    lock: WriteLock,
    /// The experiment before, where the run is resumed with another one.
    replaced: Option<Experiment>,
    /// The versions to write, where the run is resumed with others.
    versions: Option<Versions>,
}

/// The keys that may change when a run is resumed. Data that was moved must have the samples of the checkpoint; of the images of a
/// folder names and labels are compared.
const CHANGEABLE: [&str; 5] = ["train.epochs", "train.checkpoint_steps", "train.keep", "data.workers", SOURCE];
const SOURCE: &str = "data.source";

const NO_DIRECTORY: &str = "nothing to resume, there is no such directory";
const NO_CONFIG: &str = "no run to resume, config.toml is missing; name another directory";

impl RunDirectory {
    /// Creates the directory of a new run. One of the same experiment that was stopped before its first step begins anew.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the directory holds anything else, or if another process is training in it; [`Error::Io`] if it
    /// cannot be written.
    pub fn create(dir: &Path, experiment: &Experiment, backend: &Backend, ranks: &Ranks) -> Result<Self> {
        Self::create_locked(dir, lock(dir)?, experiment, backend, ranks)
    }

    fn create_locked(
        dir: &Path,
        lock: WriteLock,
        experiment: &Experiment,
        backend: &Backend,
        ranks: &Ranks,
    ) -> Result<Self> {
        let config = experiment.to_toml()?;
        if !has_not_begun(dir, &config)? {
            let what = match dir.join(CONFIG).exists() {
                true => "not empty; resume the run in it, or name another directory",
                false => "not empty, and not a run; name another directory",
            };
            return Err(Error::unsupported(dir.display(), what));
        }
        let run = Self { dir: dir.to_owned(), lock, replaced: None, versions: None };
        run.remove_temporary_files()?;
        // The configuration last: it makes the directory that of a run, which is then held to its versions.
        Versions::new(backend, ranks).write(dir)?;
        write_atomic(&dir.join(CONFIG), config.as_bytes())?;
        run.write_metrics(&[])?;
        Ok(run)
    }

    /// Reads the experiment of a run. Each of `overrides`, written `key=value`, then replaces a value.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if there is no run; those of [`Experiment::parse`].
    pub fn experiment(dir: &Path, overrides: &[String]) -> Result<Experiment> {
        let path = dir.join(CONFIG);
        if !dir.exists() {
            return Err(Error::unsupported(dir.display(), NO_DIRECTORY));
        }
        if !path.exists() {
            let what = match has_not_begun(dir, "")? {
                true => {
                    "nothing to resume, the run was stopped before it began; train its experiment file into it again"
                }
                false => NO_CONFIG,
            };
            return Err(Error::unsupported(dir.display(), what));
        }
        Experiment::parse(&read_text(&path)?, overrides, &path.display().to_string())
    }

    /// Opens the directory of a run to continue it. A directory without a configuration is that of a run that was stopped before it
    /// began; it is started anew.
    ///
    /// The experiment may differ from that of the run in `train.epochs`, and in what does not change the result:
    /// `data.workers`, `train.checkpoint_steps`, `train.keep`, and where data of the same kind lies (`data.source`).
    ///
    /// # Errors
    /// [`Error::Unsupported`] if there is no run, if another process is training in the directory, or if the checkpoints are
    /// missing; [`Error::Mismatch`] if the run has another configuration; [`Error::Argument`] if it was trained on another device,
    /// with other kernels, or by another number of threads or processes, and `resume` is not [`Resume::Inexact`].
    pub fn resume(
        dir: &Path,
        experiment: &Experiment,
        backend: &Backend,
        ranks: &Ranks,
        resume: Resume,
    ) -> Result<Self> {
        let path = dir.join(CONFIG);
        if !dir.exists() {
            return Err(Error::unsupported(dir.display(), NO_DIRECTORY));
        }
        // Before anything is read: another process may be about to change it.
        let lock = lock(dir)?;
        if !path.exists() && has_not_begun(dir, "")? {
            return Self::create_locked(dir, lock, experiment, backend, ranks);
        }
        let before = Self::experiment(dir, &[])?;
        let mut differences = Experiment::differences(&before, experiment)?;
        let kind = |experiment: &Experiment| experiment.data.source.split(':').next().map(str::to_owned);
        let has_other_kind = kind(&before) != kind(experiment);
        differences.retain(|difference| {
            let key = difference.key.as_str();
            !CHANGEABLE.contains(&key) || key == SOURCE && has_other_kind
        });
        if let Some(first) = differences.first() {
            let what = format!("{first}; the run can only be resumed as it began");
            return Err(Error::mismatch(path.display(), what));
        }
        let replaced = (before != *experiment).then_some(before);
        let versions = Versions::new(backend, ranks).check(dir, resume)?;
        let run = Self { dir: dir.to_owned(), lock, replaced, versions };
        // The metrics are written anew from the checkpoint, so that damaged ones are no obstacle.
        let has_metrics = std::fs::metadata(dir.join(METRICS)).is_ok_and(|metrics| metrics.len() > 0);
        let has_history = has_metrics || dir.join(MODEL).exists();
        if has_history && checkpoints(dir)?.is_empty() {
            let what = "its checkpoints are gone, so that it cannot be continued; name another directory";
            return Err(Error::unsupported(dir.display(), what));
        }
        run.remove_temporary_files()?;
        Ok(run)
    }

    /// Removes the files of an earlier run of this experiment, which may have another seed.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the directory holds anything else. Nothing is removed then.
    pub fn clear(dir: &Path, experiment: &Experiment) -> Result<()> {
        if !dir.exists() {
            return Ok(());
        }
        let lock = lock(dir)?;
        if has_not_begun(dir, &experiment.to_toml()?)? {
            return Ok(());
        }
        let other = || {
            let what = "not empty, and not a run of this experiment; name another directory";
            Error::unsupported(dir.display(), what)
        };
        let path = dir.join(CONFIG);
        let text = std::fs::read_to_string(&path).map_err(|_| other())?;
        let mut before = Experiment::parse(&text, &[], CONFIG).map_err(|_| other())?;
        before.train.seed = experiment.train.seed;
        if before != *experiment {
            return Err(other());
        }
        let run = Self { dir: dir.to_owned(), lock, replaced: None, versions: None };
        run.remove_temporary_files()?;
        let known = [VERSIONS, METRICS, MODEL, BEST, CONFIG].map(|name| dir.join(name));
        let is_known = |path: &PathBuf| known.contains(path) || *path == dir.join(CHECKPOINTS);
        if !files(dir)?.iter().all(is_known) || files(&dir.join(CHECKPOINTS))?.len() > checkpoints(dir)?.len() {
            return Err(other());
        }
        let checkpoints = checkpoints(dir)?.into_iter().chain([dir.join(CHECKPOINTS)]);
        // The configuration last: with it this can be done again.
        checkpoints.chain(known).try_for_each(|path| remove_if_there(&path))
    }

    /// Returns the experiment with which the run was trained before, where it is resumed with another one.
    pub fn replaced_experiment(&self) -> Option<&Experiment> {
        self.replaced.as_ref()
    }

    /// Writes what the run is resumed with, once it is known that it can be: the experiment and the versions, where they differ from
    /// those before. The trained model of a run that is extended is removed: the latest checkpoint holds the same network.
    pub(super) fn write_changes(&mut self, experiment: &Experiment) -> Result<()> {
        if let Some(before) = self.replaced.take() {
            let model = self.dir.join(MODEL);
            // The model first. After a kill the old experiment still leads to the same model; the other way round the new experiment
            // would have an old model.
            if before.train.epochs < experiment.train.epochs && model.exists() {
                std::fs::remove_file(&model).map_err(Error::io(&model))?;
            }
            write_atomic(&self.dir.join(CONFIG), experiment.to_toml()?.as_bytes())?;
        }
        self.versions.take().map_or(Ok(()), |versions| versions.write(&self.dir))
    }

    /// Removes the temporary files of a process that was killed.
    fn remove_temporary_files(&self) -> Result<()> {
        [self.dir.clone(), self.dir.join(CHECKPOINTS)].iter().try_for_each(|dir| remove_temporary_files(dir))
    }

    /// Returns why nothing keeps another process from training in the directory: its file system has no locks.
    pub fn why_unlocked(&self) -> Option<&str> {
        self.lock.why_unlocked()
    }

    /// Returns the path of the directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a checkpoint and removes old ones, so that `keep` remain.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be written or removed.
    pub fn write_checkpoint(
        &self,
        state: &TrainingState,
        metadata: &Metadata,
        data: DataFingerprints,
        keep: usize,
    ) -> Result<()> {
        let path = self.dir.join(CHECKPOINTS).join(format!("step-{:09}.safetensors", state.progress.step));
        write_atomic(&path, &state.to_bytes(metadata, data)?)?;
        self.remove_old_checkpoints(keep)
    }

    /// Removes old checkpoints, so that `keep` remain.
    ///
    /// # Errors
    /// [`Error::Io`] if one cannot be removed.
    pub fn remove_old_checkpoints(&self, keep: usize) -> Result<()> {
        let checkpoints = checkpoints(&self.dir)?;
        for old in checkpoints.iter().take(checkpoints.len().saturating_sub(keep)) {
            std::fs::remove_file(old).map_err(Error::io(old))?;
        }
        Ok(())
    }

    /// Returns the path and the bytes of the latest checkpoint, if there is one.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read.
    pub fn latest_checkpoint(&self) -> Result<Option<(PathBuf, Vec<u8>)>> {
        let Some(path) = checkpoints(&self.dir)?.pop() else { return Ok(None) };
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        Ok(Some((path, bytes)))
    }

    /// Returns an error about the latest checkpoint, which also names the checkpoint before it, if there is one.
    pub(super) fn with_earlier_checkpoint(&self, error: Error) -> Error {
        let earlier = checkpoints(&self.dir).ok().and_then(|all| all.into_iter().nth_back(1));
        match (error, earlier) {
            (Error::File { path, what }, Some(before)) => {
                let name = before.file_name().unwrap_or_default().display();
                Error::file(path, format!("{what}; without this file the run continues from {name}"))
            }
            (error, _) => error,
        }
    }

    /// Writes the metrics of all finished epochs, one JSON object a line.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written.
    pub fn write_metrics(&self, history: &[Epoch]) -> Result<()> {
        let path = self.dir.join(METRICS);
        let line = |e: &Epoch| match serde_json::to_string(e) {
            Ok(line) => Ok(line + "\n"),
            Err(e) => Err(Error::file(&path, e.to_string())),
        };
        let lines: Result<String> = history.iter().map(line).collect();
        write_atomic(&path, lines?.as_bytes())
    }

    /// Writes the best model so far.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written.
    pub fn write_best_model(&self, model: &Model, metadata: &Metadata) -> Result<()> {
        write_atomic(&self.dir.join(BEST), &to_bytes(model, metadata, &[], Default::default())?)
    }

    /// Writes the trained model.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written.
    pub fn write_model(&self, model: &Model, metadata: &Metadata) -> Result<()> {
        write_atomic(&self.dir.join(MODEL), &to_bytes(model, metadata, &[], Default::default())?)
    }
}
