//! The directory of a measurement: its plan, and a JSON file for each measurement that is finished.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::measurement::REGISTRY;
use super::plan::{Plan, PlannedMeasurement, VERSION};
use super::results::Untrained;
use super::score::Score;
use super::store::{FOLDER, Store};
use crate::atomic_file::{WriteLock, remove_temporary_files};
use crate::model::Epoch;
use crate::visible::visible;
use crate::{Error, Result, write_atomic};

/// The plan's file.
const PLAN: &str = "plan.json";
/// The directory of outputs within that of the results.
const OUTPUTS: &str = "measurements";
/// The output that is no measurement's: the score of the whole network.
const BASELINE: &str = "baseline";
/// The history of the training that made the network.
const TRAINING: &str = "training";
/// What was measured of the network with its initial weights.
const UNTRAINED: &str = "untrained";
/// Files that a report has; a directory that has them without a plan is somebody else's.
const REPORT: [&str; 2] = ["measurements.json", "report.html"];

/// The directory of a measurement.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    path: PathBuf,
}

impl Directory {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directory ready for the work of a plan: whatever is there must be of the same work. Until the lock is dropped, no
    /// other process writes there. Work that was killed before it had a plan begins anew where it is resumed.
    ///
    /// # Errors
    /// [`Error::File`] that names what is there and how it differs; [`Error::Unsupported`] if another process has the lock.
    pub(super) fn begin(&self, plan: &Plan, store: &Store, resumes: bool) -> Result<WriteLock> {
        // Before anything is checked.
        let lock = WriteLock::take(&self.path, "measurements", "measuring in this directory")?;
        let mut plan = plan.clone();
        let path = self.path.join(PLAN);
        match self.plan()? {
            Some(found) => {
                if let Some(what) = why_not_added_to(&found, &plan) {
                    return Err(Error::file(path, format!("{what}; name another directory")));
                }
                if store.has_files() && !resumes {
                    let what = match plan.shard {
                        // Whether it is finished is known by reading all of it.
                        Some(_) => {
                            "holds what this shard observed; resume it, which ends at once where it is finished, or name \
                                    another directory"
                        }
                        None => "unfinished measurements; resume them, or name another directory",
                    };
                    return Err(Error::file(&self.path, what));
                }
                let own = |planned: &PlannedMeasurement| plan.measurements.iter().any(|p| p.name == planned.name);
                let others: Vec<PlannedMeasurement> = found.measurements.into_iter().filter(|p| !own(p)).collect();
                plan.measurements.extend(others);
            }
            None => {
                let names = REPORT.iter().chain(&[OUTPUTS, FOLDER]);
                if let Some(file) = names.map(|name| self.path.join(name)).find(|file| file.symlink_metadata().is_ok())
                {
                    let what = "is there already, and belongs to no measurement here; name another directory";
                    return Err(Error::file(file, what));
                }
            }
        }
        for directory in [self.path.clone(), self.path.join(OUTPUTS), self.path.join(FOLDER)] {
            remove_temporary_files(&directory)?;
        }
        write_json(&path, &plan)?;
        Ok(lock)
    }

    /// Reads the plan; `None` where there is none.
    pub(super) fn plan(&self) -> Result<Option<Plan>> {
        let path = self.path.join(PLAN);
        let Some(value) = read_json::<Value>(&path)? else { return Ok(None) };
        // The version comes first: the rest of another version may have any form.
        match value.get("version").and_then(Value::as_u64) {
            Some(version) if version == u64::from(VERSION) => {}
            Some(version) => {
                let what = format!("written by store version {version}, expected {VERSION}");
                return Err(Error::file(path, what));
            }
            None => return Err(Error::file(path, "no plan of a measurement")),
        }
        serde_json::from_value(value).map(Some).map_err(|e| Error::file(path, format!("no plan of a measurement: {e}")))
    }

    fn output_path(&self, name: &str) -> PathBuf {
        self.path.join(OUTPUTS).join(format!("{name}.json"))
    }

    /// Reads the outputs that are finished.
    ///
    /// # Errors
    /// [`Error::File`] that names one that is damaged.
    pub(super) fn outputs(&self) -> Result<IndexMap<String, Value>> {
        let mut outputs = IndexMap::new();
        for planned in self.plan()?.into_iter().flat_map(|plan| plan.measurements) {
            let path = self.output_path(&planned.name);
            if let Some(output) = read_json(&path)? {
                check_output(&planned.name, &output)
                    .map_err(|e| Error::file(&path, format!("damaged: {e}; remove the file and measure again")))?;
                outputs.insert(planned.name, output);
            }
        }
        Ok(outputs)
    }

    /// Writes the output of a measurement.
    pub(super) fn save(&self, name: &str, output: &Value) -> Result<()> {
        write_json(&self.output_path(name), output)
    }

    /// Reads the score of the whole network.
    pub(super) fn baseline(&self) -> Result<Option<Score>> {
        read_json(&self.output_path(BASELINE))
    }

    /// Reads the history of the training, which may be unknown.
    pub(super) fn training(&self) -> Result<Vec<Epoch>> {
        Ok(read_json(&self.output_path(TRAINING))?.unwrap_or_default())
    }

    /// Writes the history of the training, where it is known.
    pub(super) fn save_training(&self, epochs: &[Epoch]) -> Result<()> {
        if epochs.is_empty() { Ok(()) } else { write_json(&self.output_path(TRAINING), &epochs) }
    }

    /// Reads what was measured of the network with its initial weights; empty where it was not.
    pub(super) fn untrained(&self) -> Result<Untrained> {
        Ok(read_json(&self.output_path(UNTRAINED))?.unwrap_or_default())
    }

    /// Adds what was measured of the network with its initial weights.
    pub(super) fn save_untrained(&self, outputs: &Untrained) -> Result<()> {
        let mut all = self.untrained()?;
        all.extend(outputs.clone());
        if all.is_empty() { Ok(()) } else { write_json(&self.output_path(UNTRAINED), &all) }
    }

    /// Writes the score of the whole network.
    pub(super) fn save_baseline(&self, score: &Score) -> Result<()> {
        write_json(&self.output_path(BASELINE), score)
    }
}

/// Returns why work of a plan cannot be added to a directory that holds another plan; `None` where it can.
fn why_not_added_to(found: &Plan, asked: &Plan) -> Option<String> {
    if let Some(difference) = asked.difference(found) {
        return Some(difference.of_directory());
    }
    if found.shard != asked.shard {
        let name = |plan: &Plan| plan.shard.map_or("all samples".to_owned(), |shard| format!("shard {shard}"));
        let verb = if asked.shard.is_some() { "was" } else { "were" };
        return Some(format!("holds {}, {} {verb} asked for", name(found), name(asked)));
    }
    let shard = asked.shard.filter(|_| found.measurements != asked.measurements)?;
    Some(format!(
        "holds shard {shard} of {}, and a shard cannot be added to; {} was asked for",
        names(&found.measurements),
        names(&asked.measurements)
    ))
}

/// Returns the names of measurements, separated by commas.
pub(super) fn names(measurements: &[PlannedMeasurement]) -> String {
    measurements.iter().map(|planned| planned.name.as_str()).collect::<Vec<_>>().join(",")
}

/// Checks that a JSON value is an output of the measurement of this name. Those of other programs may be anything.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub(super) fn check_output(name: &str, output: &Value) -> std::result::Result<(), String> {
    REGISTRY.iter().find(|measurement| measurement.name() == name).map_or(Ok(()), |m| m.check_output(output))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::file(path, e.to_string()))?;
    write_atomic(path, visible(&(text + "\n")).as_bytes())
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match std::fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io(path)(e)),
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| Error::file(path, format!("damaged: {e}"))),
    }
}
