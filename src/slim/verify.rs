//! Verifies a slimmed network: its outputs are those along the route, and those of the file that is written. Scores are
//! measured on samples that did not select the blocks.

use std::path::Path;

use super::latency::latency;
use super::results::{Ranking, Sizes, Slimmed, Version};
use super::select::{removals, without};
use super::{ProgressFn, Prunable, RecoveredNetwork};
use crate::measure::{Baseline, EvalSet, LesionResult, Score, predict_along};
use crate::nn::Outline;
use crate::nn::{Network, Route};
use crate::{Error, OutputPath, Result, write_atomic_checked};

/// Slims a network along a route, recovers it, writes it to `out` where that is given, and measures its scores and sizes.
///
/// `recover` returns the network after each step of its recovery, see [`Prunable::recover`].
///
/// The outputs of the slimmed network have to be those along the route, and the outputs of the file, opened again, those of
/// the network that was written: for all samples, bit for bit. The same operations run in the same order on the same
/// numbers, so that no tolerance is needed. Where anything differs, no file is left at `out`.
///
/// # Errors
/// As of [`Prunable::slimmed`]; [`Error::File`] where an output differs; where the file cannot be written or opened.
pub fn verify<P: Prunable>(
    prunable: &P,
    route: &Route,
    source: &EvalSet,
    recover: impl FnOnce(&P::Network) -> Result<Vec<RecoveredNetwork<P::Network>>>,
    out: Option<OutputPath<'_>>,
    progress: ProgressFn,
) -> Result<Slimmed> {
    let network = prunable.network();
    let planned = prunable.slimmed(route)?;
    let recovered = recover(&planned)?;
    let passes = 3 + recovered.len() + usize::from(out.is_some());
    let all = (source.dataset.len() * passes) as u64;
    let mut done = 0;
    let mut advance = |samples| {
        done += samples;
        progress("proving", done, all);
    };
    let whole = Baseline::new(network, source, &mut advance)?;
    let whole_score = Score::of(&whole.predictions);
    whole_score.check_finite(&network.outline().name)?;
    let expected = outputs(network, route, source, &whole, &mut advance)?;
    let mut last = outputs_of(&planned, source, &whole, &mut advance)?;
    let fault = |what: String| Error::file(&network.outline().name, what);
    same(&expected, &last, "the slimmed network and the route").map_err(fault)?;
    let mut versions = vec![version("as planned", &whole, &last)];
    let mut finetuning = Vec::new();
    for step in &recovered {
        last = outputs_of(&step.network, source, &whole, &mut advance)?;
        versions.push(version(&step.name, &whole, &last));
        finetuning.extend_from_slice(&step.epochs);
    }
    let slim = recovered.last().map_or(&planned, |step| &step.network);
    let path = out.map(|out| out.path);
    let name = draft_name(path);
    let draft = prunable.draft(slim, &name)?;
    if let Some(out) = out {
        write_atomic_checked(out, &draft, |inside| {
            let fault = |what: String| Error::file(out.path, format!("opened again: {what}"));
            let again = prunable.reopen(inside, slim).map_err(|e| fault(e.to_string()))?;
            let found = outputs_of(&again, source, &whole, &mut advance)?;
            same(&last, &found, "what was written and what was to be written").map_err(fault)
        })?;
    }
    let [before, after] = latency([network, slim], source)?;
    let whole_bytes = prunable.draft(network, &name)?.length();
    let sizes = |outline: &Outline, bytes, latency_ms| Sizes {
        blocks: outline.stages.iter().map(|stage| stage.blocks.len()).sum(),
        parameters: outline.parameters,
        bytes,
        flops: outline.flops,
        latency_ms,
    };
    Ok(Slimmed {
        outline: slim.outline().clone(),
        builds: prunable.constructor(slim),
        whole: whole_score,
        versions,
        before: sizes(network.outline(), whole_bytes, before),
        after: sizes(slim.outline(), draft.length(), after),
        finetuning,
        file: path.map(|path| path.display().to_string()),
    })
}

/// Returns the name that the file at `out` is drafted with; any name where no file is written.
pub fn draft_name(out: Option<&Path>) -> String {
    out.and_then(Path::file_name).map_or_else(|| "slim".into(), |name| name.to_string_lossy().into_owned())
}

/// Scores every ranking on samples that did not select the blocks: the network without the first `count` blocks of the
/// ranking.
///
/// # Errors
/// Where the samples cannot be read.
pub fn score_rankings<P: Prunable>(
    prunable: &P,
    source: &EvalSet,
    rankings: &mut [Ranking],
    count: usize,
    progress: ProgressFn,
) -> Result<()> {
    let network = prunable.network();
    let outline = network.outline();
    let route = |ranking: &Ranking| {
        let removed = removals(outline, &ranking.order);
        without(outline, &removed[..count.min(removed.len())])
    };
    let routes: Vec<Route> = rankings.iter().map(route).collect();
    let all = (source.dataset.len() * routes.len()) as u64;
    let mut done = 0;
    let predictions = predict_along(network, source, &routes, |samples| {
        done += samples;
        progress("comparing rankings", done, all);
    })?;
    rankings.iter_mut().zip(&predictions).for_each(|(ranking, found)| ranking.score = Some(Score::of(found)));
    Ok(())
}

/// Returns a named version of the network with its score.
fn version(name: &str, whole: &Baseline, found: &Baseline) -> Version {
    Version { name: name.into(), lesion: LesionResult::new(&whole.predictions, &found.predictions) }
}

/// Returns all outputs of a whole network, and the predictions.
fn outputs_of(
    network: &impl Network,
    source: &EvalSet,
    whole: &Baseline,
    advance: impl FnMut(u64),
) -> Result<Baseline> {
    outputs(network, &Route::identity(network.outline()), source, whole, advance)
}

/// Returns all outputs along a route, and the predictions.
fn outputs(
    network: &impl Network,
    route: &Route,
    source: &EvalSet,
    whole: &Baseline,
    advance: impl FnMut(u64),
) -> Result<Baseline> {
    Baseline::along(network, source, route, Some(whole), advance)
}

/// Compares all outputs bit for bit. The error says by how much they differ.
fn same(expected: &Baseline, found: &Baseline, what: &str) -> std::result::Result<(), String> {
    let outputs = |baseline: &Baseline| baseline.outputs.iter().flat_map(|logits| logits.values.clone()).collect();
    let (expected, found): (Vec<f32>, Vec<f32>) = (outputs(expected), outputs(found));
    if expected.iter().map(|z| z.to_bits()).eq(found.iter().map(|z| z.to_bits())) {
        return Ok(());
    }
    let apart = expected.iter().zip(&found).map(|(e, f)| (e - f).abs()).fold(0.0, f32::max);
    Err(format!("{what} answer differently, by up to {apart:e}; nothing is written"))
}
