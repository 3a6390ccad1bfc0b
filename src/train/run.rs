//! The run directory: configuration, versions, metrics, checkpoints, and the finished model. Every file is written
//! whole or not at all.

use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::{Experiment, State};
use crate::model::{Card, Model, to_bytes};
use crate::report::Epoch;
use crate::whole::write_whole;
use crate::{Error, Result};

/// A run directory.
#[derive(Clone, Debug)]
pub struct Run {
    dir: PathBuf,
}

/// File names within a run directory.
const CONFIG: &str = "config.toml";
const VERSIONS: &str = "versions.json";
const METRICS: &str = "metrics.jsonl";
const MODEL: &str = "model.safetensors";
const BEST: &str = "best.safetensors";
const CHECKPOINTS: &str = "checkpoints";

impl Run {
    /// Begins a new run.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is something at this path already.
    pub fn create(dir: &Path, experiment: &Experiment) -> Result<Self> {
        let occupied = match dir.read_dir() {
            Ok(mut entries) => entries.next().is_some(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
            Err(e) => return Err(Error::io(dir)(e)),
        };
        if occupied {
            let dir = dir.display();
            return Err(Error::Usage(format!(
                "{dir}: not empty; continue it with --resume, or name another with --out"
            )));
        }
        let run = Self { dir: dir.to_owned() };
        write_whole(&run.dir.join(CONFIG), experiment.to_toml()?.as_bytes())?;
        run.write_versions()?;
        run.metrics(&[])?;
        Ok(run)
    }

    /// Opens an existing run to continue it; one that was stopped before it had written anything is begun.
    ///
    /// # Errors
    /// [`Error::Usage`] if the run has another configuration.
    pub fn resume(dir: &Path, experiment: &Experiment) -> Result<Self> {
        let path = dir.join(CONFIG);
        if !path.exists() {
            return Self::create(dir, experiment);
        }
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        let before = Experiment::parse(&text, &[], &path.display().to_string())?;
        if let Some(difference) = difference(&before, experiment)? {
            return Err(Error::Usage(format!(
                "{}: {difference}; the run can only be resumed as it began",
                path.display()
            )));
        }
        Ok(Self { dir: dir.to_owned() })
    }

    /// The run in a directory, to look at.
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The file of its finished model, otherwise of its latest checkpoint.
    ///
    /// # Errors
    /// [`Error::File`] if there is neither.
    pub fn model(&self) -> Result<PathBuf> {
        let finished = self.dir.join(MODEL);
        if finished.exists() {
            return Ok(finished);
        }
        let none = || Error::file(&self.dir, "no run directory: neither model.safetensors nor a checkpoint is in it");
        self.checkpoints()?.pop().ok_or_else(none)
    }

    /// Its finished epochs.
    ///
    /// # Errors
    /// [`Error::File`] for a file of metrics that is not whole.
    pub fn history(&self) -> Result<Vec<Epoch>> {
        read_metrics(&self.dir.join(METRICS))
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a checkpoint and removes the oldest beyond the number to keep.
    ///
    /// # Errors
    /// [`Error::Io`] where a file cannot be written or removed.
    pub fn checkpoint(&self, state: &State, card: &Card, keep: usize) -> Result<()> {
        let path = self.dir.join(CHECKPOINTS).join(format!("step-{:09}.safetensors", state.position.step));
        write_whole(&path, &state.to_bytes(card)?)?;
        let checkpoints = self.checkpoints()?;
        for old in checkpoints.iter().take(checkpoints.len().saturating_sub(keep)) {
            std::fs::remove_file(old).map_err(Error::io(old))?;
        }
        Ok(())
    }

    /// The latest checkpoint, if there is one.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be used.
    pub fn latest(&self, experiment: &Experiment, device: &Device) -> Result<Option<State>> {
        let Some(path) = self.checkpoints()?.pop() else { return Ok(None) };
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        State::from_bytes(&path, &bytes, &experiment.train, device).map(Some)
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
    pub fn best(&self, model: &Model, card: &Card) -> Result<()> {
        write_whole(&self.dir.join(BEST), &to_bytes(model, card, &[], Default::default())?)
    }

    /// Writes the finished model.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be written.
    pub fn finish(&self, model: &Model, card: &Card) -> Result<()> {
        write_whole(&self.dir.join(MODEL), &to_bytes(model, card, &[], Default::default())?)
    }

    fn checkpoints(&self) -> Result<Vec<PathBuf>> {
        let dir = self.dir.join(CHECKPOINTS);
        let entries = match dir.read_dir() {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::io(&dir)(e)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(Error::io(&dir))?.path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if name.starts_with("step-") && name.ends_with(".safetensors") {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    fn write_versions(&self) -> Result<()> {
        let versions = serde_json::json!({
            "unrolled": env!("CARGO_PKG_VERSION"),
            "burn": "0.22.1",
            "target": format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            "threads": std::thread::available_parallelism().map_or(1, usize::from),
        });
        write_whole(&self.dir.join(VERSIONS), format!("{versions:#}\n").as_bytes())
    }
}

/// The first key whose value differs.
fn difference(before: &Experiment, now: &Experiment) -> Result<Option<String>> {
    let failed = |e: toml::ser::Error| Error::config("experiment", e.to_string());
    let before = toml::Table::try_from(before).map_err(failed)?;
    let now = toml::Table::try_from(now).map_err(failed)?;
    let empty = toml::Table::new();
    for (name, table) in &now {
        let old = before.get(name).and_then(|t| t.as_table()).unwrap_or(&empty);
        let new = table.as_table().unwrap_or(&empty);
        let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
        keys.sort();
        for key in keys {
            let show = |v: Option<&toml::Value>| v.map_or("left open".to_owned(), ToString::to_string);
            if old.get(key) != new.get(key) {
                return Ok(Some(format!("{name}.{key} was {}, now {}", show(old.get(key)), show(new.get(key)))));
            }
        }
    }
    Ok(None)
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
