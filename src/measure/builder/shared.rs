//! Measurements of samples that several processes share: each observes its part, and the first puts the parts together.

use std::path::PathBuf;

use tempfile::TempDir;

use super::super::directory::Directory;
use super::super::measurement::AnyMeasurement;
use super::super::merge::merge_with_predictions;
use super::super::plan::Plan;
use super::super::progress::Progress;
use super::super::results::Measurements;
use super::super::{EvalSet, Prediction};
use super::Measure;
use crate::data::Shard;
use crate::nn::Network;
use crate::ranks::{Ranks, pack, pack_directory, unpack, unpack_directory};
use crate::{Error, Result};

/// The directory, within that of the results, where every rank keeps what it observes until all have finished.
const FOLDER: &str = "ranks";

/// Takes measurements of samples that ranks share; every rank returns the same. The first rank alone writes the results.
///
/// # Errors
/// As [`Measure::run`]; [`Error::Mismatch`] where the ranks have different networks or samples.
pub(super) fn run_shared<N: Network>(
    measure: &Measure,
    network: &N,
    data: &EvalSet,
    progress: &mut dyn Progress,
) -> Result<(Measurements, Option<Vec<Prediction>>)> {
    let (ranks, alone) = (&data.ranks, data.unshared());
    let out = measure.directory.as_ref().map(Directory::path);
    let measure = &without_finished(measure, ranks)?;
    check_same_work(measure, network, &alone, ranks)?;
    if measure.selected(network, data)?.is_empty() {
        let read = |out| Measurements::read(out)?.pop().ok_or_else(|| Error::file(out, "holds no measurement"));
        let finished = out.filter(|_| ranks.is_first()).map(read).transpose()?;
        let bytes = finished.map(|finished| to_bytes(&(finished, Vec::new()))).transpose()?.unwrap_or_default();
        return Ok((from_bytes(&ranks.broadcast(bytes))?.0, None));
    }
    // Without a directory of results nothing outlives the work.
    let temporary = temporary_directory()?;
    let base = out.map_or_else(|| temporary.path().to_owned(), |out| out.join(FOLDER));
    let own = base.join(format!("{}-of-{}", ranks.rank() + 1, ranks.size()));
    let resumes = measure.resumes && Directory::new(&own).plan()?.is_some();
    let shard = Shard { number: ranks.rank() + 1, of: ranks.size() };
    measure.clone().directory(&own).resume(resumes).run_shard(network, &alone, shard, progress)?;

    let gathered = ranks.gather(pack_directory(&own)?);
    let merged = gathered.map(|all| merge_packed(&all, measure, &alone)).transpose()?;
    let bytes = merged.as_ref().map(to_bytes).transpose()?.unwrap_or_default();
    let (measured, predictions) = from_bytes(&ranks.broadcast(bytes))?;
    if let Err(e) = std::fs::remove_dir_all(&base)
        && e.kind() != std::io::ErrorKind::NotFound
        && ranks.is_first()
    {
        return Err(Error::io(&base)(e));
    }
    Ok((measured, Some(predictions)))
}

/// Returns the measurements without those that the first rank's directory has already.
fn without_finished<'a>(measure: &Measure<'a>, ranks: &Ranks) -> Result<Measure<'a>> {
    let directory = measure.directory.as_ref().filter(|_| ranks.is_first());
    let finished = directory.map(Directory::outputs).transpose()?.unwrap_or_default();
    let names = finished.into_keys().map(String::into_bytes).collect::<Vec<_>>();
    let finished = unpack(&ranks.broadcast(pack(&names)));
    let is_left = |m: &&dyn AnyMeasurement| !finished.iter().any(|name| name == m.name().as_bytes());
    let mut measure = measure.clone();
    measure.measurements.retain(is_left);
    measure.own.retain(is_left);
    Ok(measure)
}

/// Checks that all ranks are about to do the same work, before any of them begins.
fn check_same_work<N: Network>(measure: &Measure, network: &N, data: &EvalSet, ranks: &Ranks) -> Result<()> {
    let selected = measure.selected(network, data)?;
    let (plan, _) = measure.prepare(network, data, &selected, None)?;
    let names: Vec<&str> = selected.iter().map(|m: &&dyn AnyMeasurement| m.name()).collect();
    let Plan { network, data, scope, .. } = &plan;
    let parts = [
        ("network", network.checksum.clone()),
        ("data", data.checksum.clone()),
        ("seed", scope.seed.to_string()),
        ("measurements", names.join(", ")),
    ];
    ranks.check_same(&parts)
}

fn temporary_directory() -> Result<TempDir> {
    tempfile::tempdir().map_err(Error::io(std::env::temp_dir()))
}

/// Merges the directories of all ranks.
fn merge_packed(all: &[Vec<u8>], measure: &Measure, data: &EvalSet) -> Result<(Measurements, Vec<Prediction>)> {
    let unpacked = temporary_directory()?;
    let write = |(rank, bytes): (usize, &Vec<u8>)| {
        let directory = unpacked.path().join(format!("rank-{rank}"));
        unpack_directory(&directory, bytes).map(|()| directory)
    };
    let shards: Vec<PathBuf> = all.iter().enumerate().map(write).collect::<Result<_>>()?;
    let out = measure.directory.as_ref().map(Directory::path);
    let (measured, predictions) = merge_with_predictions(&shards, &measure.own, Some(data), out)?;
    // A directory of results may have others of the same work.
    let measured = match out {
        Some(out) => Measurements::read(out)?.pop().unwrap_or(measured),
        None => measured,
    };
    Ok((measured, predictions))
}

fn to_bytes((measured, predictions): &(Measurements, Vec<Prediction>)) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(measured).map_err(|e| Error::mismatch("measurements", e.to_string()))?;
    let predictions = postcard::to_stdvec(predictions).map_err(|e| Error::mismatch("predictions", e.to_string()))?;
    Ok(pack(&[json, predictions]))
}

fn from_bytes(bytes: &[u8]) -> Result<(Measurements, Vec<Prediction>)> {
    let parts = unpack(bytes);
    let [json, predictions] = parts.as_slice() else {
        return Err(Error::mismatch("rank 0", "sent no measurements"));
    };
    let measured =
        serde_json::from_slice(json).map_err(|e| Error::mismatch("measurements of rank 0", e.to_string()))?;
    let predictions =
        postcard::from_bytes(predictions).map_err(|e| Error::mismatch("predictions of rank 0", e.to_string()))?;
    Ok((measured, predictions))
}
