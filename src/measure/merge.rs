//! Shards put together: what each has observed of its samples becomes what was observed of all.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::directory::{Directory, names};
use super::measurement::{AnyMeasurement, REGISTRY};
use super::observations::Observations;
use super::plan::{Plan, PlannedMeasurement};
use super::results::{Measurements, assemble};
use super::run::PASS;
use super::score::Score;
use super::store::{FOLDER, SavedPass, SavedSweep, Store};
use super::{EvalSet, Intervention, Prediction};
use crate::error::caught;
use crate::{Error, Result};

/// Makes measurements of the directories of all shards of one plan; any order will do. `out` gets the results as from
/// [`Measure::run`](super::Measure::run), `own` are measurements that are not in [`REGISTRY`], and `data` adds pictures.
///
/// # Errors
/// [`Error::File`] that names the directory or file that is of another plan, is missing, unfinished, twice there or damaged.
pub fn merge(
    shards: &[PathBuf],
    own: &[&dyn AnyMeasurement],
    data: Option<&EvalSet>,
    out: Option<&Path>,
) -> Result<Measurements> {
    Ok(merge_with_predictions(shards, own, data, out)?.0)
}

/// Merges as [`merge`] does, and returns beside the measurements what the whole network predicts for every sample.
pub(super) fn merge_with_predictions(
    shards: &[PathBuf],
    own: &[&dyn AnyMeasurement],
    data: Option<&EvalSet>,
    out: Option<&Path>,
) -> Result<(Measurements, Vec<Prediction>)> {
    let mut parts = read_plans(shards)?;
    parts.sort_by_key(|(plan, _)| plan.shard.map(|shard| shard.number));
    let Some((first, _)) = parts.first() else { return Err(Error::argument("shards", "none, expected a directory")) };
    let plan = Plan { shard: None, ..first.clone() };
    let training = Directory::new(parts[0].1).training()?;
    let untrained = Directory::new(parts[0].1).untrained()?;
    data.map_or(Ok(()), |data| plan.check_samples(data))?;
    let measurements: Vec<&dyn AnyMeasurement> = plan
        .measurements
        .iter()
        .map(|planned| {
            let known = REGISTRY.iter().chain(own).find(|m| m.name() == planned.name).copied();
            known.ok_or_else(|| Error::unknown("measurement", &planned.name, REGISTRY.iter().map(|m| m.name())))
        })
        .collect::<Result<_>>()?;
    let mut found = observations(&parts, &plan, &measurements)?;
    let mut outputs = IndexMap::new();
    for measurement in measurements {
        let output = caught(|| found.analyse(measurement, &plan, data));
        let wrong =
            |e| Error::file(parts[0].1, format!("damaged, here or in another shard, {}: {e}", measurement.name()));
        outputs.insert(measurement.name().to_owned(), output.map_err(wrong)??);
    }
    let score = Score::of(&found.baseline);
    // Nothing is written before everything is known.
    if let Some(directory) = out.map(Directory::new) {
        let _lock = directory.begin(&plan, &Store::new(Some(directory.path()), &plan)?, false)?;
        outputs.iter().try_for_each(|(name, output)| directory.save(name, output))?;
        directory.save_baseline(&score)?;
        directory.save_training(&training)?;
        directory.save_untrained(&untrained)?;
    }
    let measured = Measurements { training, untrained, ..assemble(&plan, score, outputs) };
    Ok((measured, found.baseline))
}

/// Reads the plan of every shard: all of one work, each part of the samples once.
fn read_plans(shards: &[PathBuf]) -> Result<Vec<(Plan, &Path)>> {
    let mut parts: Vec<(Plan, &Path)> = Vec::new();
    for path in shards {
        let wrong = |what: String| Err(Error::file(path, what));
        let Some(plan) = Directory::new(path).plan()? else {
            return wrong("no plan.json, expected the directory of a shard".into());
        };
        let Some(shard) = plan.shard else { return wrong("holds all samples, expected a shard".into()) };
        if let Some((first, _)) = parts.first() {
            let of = |plan: &Plan| plan.shard.map_or(1, |shard| shard.of);
            if let Some(difference) = first.difference(&plan) {
                return wrong(difference.of_shard());
            }
            if first.measurements != plan.measurements {
                let [found, expected] = [&plan, first].map(|plan| names(&plan.measurements));
                return wrong(format!("measures {found}, expected {expected}"));
            }
            if of(first) != shard.of {
                return wrong(format!("shard {shard}, expected one of {}", of(first)));
            }
        }
        if let Some((_, other)) = parts.iter().find(|(other, _)| other.shard == Some(shard)) {
            return wrong(format!("shard {shard}, which {} is too", other.display()));
        }
        parts.push((plan, path));
    }
    if let Some(of) = parts.first().and_then(|(plan, _)| plan.shard).map(|shard| shard.of) {
        let has = |number: usize| parts.iter().any(|(plan, _)| plan.shard.is_some_and(|shard| shard.number == number));
        let missing: Vec<String> = (1..=of).filter(|&n| !has(n)).map(|n| format!("{n}/{of}")).collect();
        let missing = match &missing[..] {
            [] => return Ok(parts),
            [one] => format!("shard {one} is missing"),
            all => format!("shards {} are missing", all.join(", ")),
        };
        let were = if parts.len() == 1 { "was" } else { "were" };
        return Err(Error::file(parts[0].1, format!("{missing}; {} of {of} {were} given", parts.len())));
    }
    Ok(parts)
}

/// Puts together what the shards have observed, in their order.
fn observations(parts: &[(Plan, &Path)], plan: &Plan, measurements: &[&dyn AnyMeasurement]) -> Result<Observations> {
    let mut found = Observations::default();
    for measurement in measurements {
        let probe = measurement.probe(&plan.scope);
        found.probes.extend(probe.map(|probe| (measurement.name().to_owned(), probe)));
    }
    let mut baseline = Vec::new();
    for (plan, path) in parts {
        let shard = ShardStore { plan, path, store: Store::new(Some(path), plan)? };
        let pass = shard.pass(&found)?;
        let sweeps = shard.sweeps()?;
        for (name, bytes) in pass.iter().flat_map(|pass| &pass.probes) {
            if let Some(probe) = found.probes.get_mut(name) {
                // States of other sizes than the network's end in a panic: a checksum does not tell who wrote a file.
                let merged = caught(|| probe.merge(bytes)).and_then(|merged| merged);
                merged.map_err(|e| Error::file(path, format!("damaged, {name}: {e}")))?;
            }
        }
        sweeps.iter().for_each(|sweep| sweep.scatter(plan.scope.samples, &mut found));
        baseline.extend(whole_network(pass, sweeps));
    }
    baseline.sort_by_key(|(sample, _)| *sample);
    if baseline.iter().map(|(sample, _)| *sample).ne(0..plan.scope.samples) {
        let (seen, samples) = (baseline.len(), plan.scope.samples);
        let what =
            format!("{seen} of {samples} samples of all shards were seen, expected each once; run the shards again");
        return Err(Error::file(parts[0].1, what));
    }
    found.baseline = baseline.into_iter().map(|(_, prediction)| prediction).collect();
    Ok(found)
}

/// Returns the whole network's predictions for a shard's samples.
fn whole_network(pass: Option<SavedPass>, sweeps: Vec<SavedSweep>) -> Vec<(usize, Prediction)> {
    if let Some(pass) = pass {
        return pass.samples.into_iter().zip(pass.predictions).collect();
    }
    // Without a pass of probes the first sweep sees the whole network. The samples of other steps are other ones.
    let first = sweeps.into_iter().find(|sweep| sweep.intervention != Intervention::OtherStep);
    first.map_or(Vec::new(), |sweep| {
        let whole = sweep.predictions.into_iter().next().unwrap_or_default();
        sweep.samples.into_iter().zip(whole).collect()
    })
}

/// What one shard has observed.
struct ShardStore<'a> {
    plan: &'a Plan,
    path: &'a Path,
    store: Store,
}

impl ShardStore<'_> {
    fn unfinished(&self, what: impl std::fmt::Display) -> Error {
        Error::file(self.path, format!("{what}; resume the shard"))
    }

    /// Reads the pass of all samples, where the plan has probes or the store has one. It is finished.
    ///
    /// # Errors
    /// [`Error::File`] that names the shard's directory, and what of the pass is missing.
    fn pass(&self, found: &Observations) -> Result<Option<SavedPass>> {
        let names = || found.probes.keys();
        let Some(pass) = self.store.load::<SavedPass>(PASS)? else {
            let of: Vec<&str> = self.plan.measurements.iter().map(|planned| planned.name.as_str()).collect();
            let of: Vec<&str> = of.into_iter().filter(|name| found.probes.contains_key(*name)).collect();
            let what = format!("{}: unfinished, {FOLDER}/{PASS}.bin is missing", of.join(", "));
            return if of.is_empty() { Ok(None) } else { Err(self.unfinished(what)) };
        };
        let (done, all) = (pass.predictions.len(), pass.samples.len());
        if done < all {
            return Err(self.unfinished(format!("unfinished, {FOLDER}/{PASS}.bin has {done} of {all} samples")));
        }
        self.check_samples(&pass.samples, PASS)?;
        let has = |name: &String| pass.probes.iter().any(|(other, _)| other == name);
        match names().find(|name| !has(name)) {
            Some(name) => Err(self.unfinished(format!("{name}: unfinished, it is not in {FOLDER}/{PASS}.bin"))),
            None => Ok(Some(pass)),
        }
    }

    /// Reads the sweeps along all planned routes. They are finished.
    ///
    /// # Errors
    /// [`Error::File`] that names the shard's directory, and the measurement whose observations are missing.
    fn sweeps(&self) -> Result<Vec<SavedSweep>> {
        let mut all: Vec<SavedSweep> = Vec::new();
        for PlannedMeasurement { name, routes } in &self.plan.measurements {
            let sweeps: Vec<SavedSweep> = self.store.load(name)?.unwrap_or_default();
            for sweep in sweeps {
                self.check_samples(&sweep.samples, name)?;
                let (done, samples) = (sweep.predictions.first().map_or(0, Vec::len), sweep.samples.len());
                if done < samples || sweep.predictions.len() != sweep.routes.len() + 1 {
                    return Err(self.unfinished(format!("{name}: unfinished, {done} of {samples} samples are done")));
                }
                all.push(sweep);
            }
            // A route that an earlier measurement follows too is kept with that one.
            let is_known = |(change, route): &&(Intervention, String)| {
                all.iter().any(|sweep| sweep.intervention == *change && sweep.routes.contains(route))
            };
            if let Some((_, route)) = routes.iter().find(|route| !is_known(route)) {
                return Err(self.unfinished(format!("{name}: unfinished, nothing is known along the route {route}")));
            }
        }
        Ok(all)
    }

    /// Checks that samples are places in the data set.
    fn check_samples(&self, samples: &[usize], name: &str) -> Result<()> {
        let count = self.plan.scope.samples;
        match samples.iter().find(|&&sample| sample >= count) {
            Some(sample) => {
                Err(Error::file(self.path, format!("damaged, {FOLDER}/{name}.bin has sample {sample} of {count}")))
            }
            None => Ok(()),
        }
    }
}
