//! Shards put together: what each has observed of its samples becomes what was observed of all.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::builder::assemble;
use super::directory::Directory;
use super::measurement::{AnyMeasurement, REGISTRY};
use super::observations::Observations;
use super::plan::Plan;
use super::results::Measurements;
use super::run::PASS;
use super::score::Score;
use super::store::{SavedPass, SavedSweep, Store};
use super::{EvalSet, Intervention, Prediction};
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
    let mut parts = read_plans(shards)?;
    parts.sort_by_key(|(plan, _)| plan.shard.map(|shard| shard.number));
    let Some((first, _)) = parts.first() else { return Err(Error::argument("shards", "none, expected a directory")) };
    let plan = Plan { shard: None, ..first.clone() };
    let training = Directory::new(parts[0].1).training()?;
    data.map_or(Ok(()), |data| check_samples(data, &plan))?;
    let measurements: Vec<&dyn AnyMeasurement> = plan
        .measurements
        .iter()
        .map(|planned| {
            let known = REGISTRY.iter().chain(own).find(|m| m.name() == planned.name).copied();
            known.ok_or_else(|| Error::unknown("measurement", &planned.name, REGISTRY.iter().map(|m| m.name())))
        })
        .collect::<Result<_>>()?;
    let mut found = observations(&parts, &plan, &measurements)?;
    let directory = out.map(Directory::new);
    if let Some(directory) = &directory {
        directory.begin(&plan, &Store::new(Some(directory.path()), &plan)?, false)?;
    }
    let mut outputs = IndexMap::new();
    for measurement in measurements {
        let output = found.analyse(measurement, &plan, data)?;
        if let Some(directory) = &directory {
            directory.save(measurement.name(), &output)?;
        }
        outputs.insert(measurement.name().to_owned(), output);
    }
    let score = Score::of(&found.baseline);
    if let Some(directory) = &directory {
        directory.save_baseline(&score)?;
        directory.save_training(&training)?;
    }
    Ok(Measurements { training, ..assemble(&plan, score, outputs) })
}

/// Checks that samples can be those that were measured.
fn check_samples(data: &EvalSet, plan: &Plan) -> Result<()> {
    let (found, expected) = (data.dataset.shape().to_vec(), plan.scope.outline.input.clone());
    if found != expected {
        return Err(Error::Shape { name: "samples of the data set".into(), found, expected });
    }
    if data.len() == plan.scope.samples {
        return Ok(());
    }
    let (name, measured) = (&plan.data.name, plan.scope.samples);
    Err(Error::argument("data", format!("{} samples, but {measured} of {name} were measured", data.len())))
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
                return wrong(difference);
            }
            if first.measurements != plan.measurements {
                let names =
                    |plan: &Plan| plan.measurements.iter().map(|p| p.name.clone()).collect::<Vec<_>>().join(",");
                return wrong(format!("measures {}, expected {}", names(&plan), names(first)));
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
        if !missing.is_empty() {
            let path = parts[0].1;
            return Err(Error::file(path, format!("shards {} are missing", missing.join(", "))));
        }
    }
    Ok(parts)
}

/// Puts together what the shards have observed, in their order.
fn observations(parts: &[(Plan, &Path)], plan: &Plan, measurements: &[&dyn AnyMeasurement]) -> Result<Observations> {
    let samples = plan.scope.samples;
    let mut found = Observations::default();
    for measurement in measurements {
        let probe = measurement.probe(&plan.scope);
        found.probes.extend(probe.map(|probe| (measurement.name().to_owned(), probe)));
    }
    let mut baseline = vec![None; samples];
    for (plan, path) in parts {
        let store = Store::new(Some(path), plan)?;
        let wrong = |what: String| Error::file(path, what);
        let pass: Option<SavedPass> = store.load(PASS)?;
        for (name, bytes) in pass.iter().flat_map(|pass| &pass.probes) {
            if let Some(probe) = found.probes.get_mut(name) {
                probe.merge(bytes).map_err(|e| wrong(format!("{name}: {e}")))?;
            }
        }
        let mut whole: Option<(Vec<usize>, Vec<Prediction>)> = None;
        for measurement in measurements {
            let sweeps: Vec<SavedSweep> = store.load(measurement.name())?.unwrap_or_default();
            for sweep in sweeps {
                let done = sweep.predictions.first().map_or(0, Vec::len);
                if done < sweep.samples.len() {
                    let (name, all) = (measurement.name(), sweep.samples.len());
                    return Err(wrong(format!("unfinished, {name} has {done} of {all} samples; resume it")));
                }
                sweep.scatter(samples, &mut found);
                if sweep.intervention != Intervention::OtherStep && whole.is_none() {
                    whole = sweep.predictions.into_iter().next().map(|predictions| (sweep.samples, predictions));
                }
            }
        }
        let own = match pass {
            Some(pass) => pass.samples.into_iter().zip(pass.predictions).collect(),
            None => whole.map_or(Vec::new(), |(samples, predictions)| samples.into_iter().zip(predictions).collect()),
        };
        for (sample, prediction) in own {
            if sample < samples {
                baseline[sample] = Some(prediction);
            }
        }
    }
    found.baseline = baseline.into_iter().flatten().collect();
    if found.baseline.len() != samples {
        let what =
            format!("unfinished, {} of {samples} samples of all shards were seen; resume them", found.baseline.len());
        return Err(Error::file(parts[0].1, what));
    }
    Ok(found)
}
