//! The proof: what is written is opened again and answers as was planned, and what it costs is measured on samples that
//! chose nothing.

use std::path::Path;

use super::choose::{removals, without};
use super::latency::latency;
use super::results::{Ranking, Sizes, Slimmed, Version};
use super::{Progress, Prunable};
use crate::measure::{Baseline, EvalSet, LesionResult, Score, predict_along, samples};
use crate::model::Epoch;
use crate::nn::Outline;
use crate::nn::{Network, RecurrentState, Route};
use crate::{Error, Result, write_atomic_checked};

/// A slimmed network after a step of healing.
pub struct Healed<N> {
    /// What was done: `normalization re-estimated`, `fine-tuned`.
    pub name: String,
    /// What came of it.
    pub network: N,
    /// Epochs of training, where it was trained.
    pub epochs: Vec<Epoch>,
}

/// Slims a network along a route, lets it be healed, writes it to `out` if that is given, and measures what it costs.
///
/// The slimmed network has to answer as the route does, and what was written, opened again, as what was to be written:
/// every output of every sample, bit for bit. The same operations run in the same order on the same numbers, so that no
/// tolerance is needed. Where anything differs nothing is left under the name `out`.
///
/// # Errors
/// Where the form cannot say the route, an output differs, or the file cannot be written or opened.
pub fn prove<F: Prunable>(
    form: &F,
    route: &Route,
    source: &EvalSet,
    heal: impl FnOnce(&F::Network) -> Result<Vec<Healed<F::Network>>>,
    out: Option<&Path>,
    progress: Progress,
) -> Result<Slimmed> {
    let network = form.network();
    let planned = form.slimmed(route)?;
    let healed = heal(&planned)?;
    let passes = 3 + healed.len() + usize::from(out.is_some());
    let all = (source.dataset.len() * passes) as u64;
    let mut done = 0;
    let mut advance = |samples| {
        done += samples;
        progress("proving", done, all);
    };
    let whole = Baseline::new(network, source, &mut advance)?;
    let expected = outputs(network, route, source, &whole, &mut advance)?;
    let mut last = outputs_of(&planned, source, &whole, &mut advance)?;
    let fault = |what: String| Error::file(&network.outline().name, what);
    same(&expected, &last, "the slimmed network and the route").map_err(fault)?;
    let mut versions = vec![version("as planned", &whole, &last)];
    let mut finetuning = Vec::new();
    for step in &healed {
        last = outputs_of(&step.network, source, &whole, &mut advance)?;
        versions.push(version(&step.name, &whole, &last));
        finetuning.extend_from_slice(&step.epochs);
    }
    let slim = healed.last().map_or(&planned, |step| &step.network);
    let name = file_name(out);
    let draft = form.draft(slim, &name)?;
    if let Some(out) = out {
        write_atomic_checked(out, &draft, |inside| {
            let fault = |what: String| Error::file(out, format!("opened again: {what}"));
            let again = form.reopen(inside, slim).map_err(|e| fault(e.to_string()))?;
            let found = outputs_of(&again, source, &whole, &mut advance)?;
            same(&last, &found, "what was written and what was to be written").map_err(fault)
        })?;
    }
    let [before, after] = latency([network, slim], source)?;
    let whole_bytes = form.draft(network, &name)?.length();
    let sizes = |outline: &Outline, bytes, latency_ms| Sizes {
        blocks: outline.stages.iter().map(|stage| stage.blocks.len()).sum(),
        parameters: outline.parameters,
        bytes,
        flops: outline.flops,
        latency_ms,
    };
    Ok(Slimmed {
        outline: slim.outline().clone(),
        builds: form.builds(slim),
        whole: Score::of(&whole.predictions),
        versions,
        before: sizes(network.outline(), whole_bytes, before),
        after: sizes(slim.outline(), draft.length(), after),
        finetuning,
        file: out.map(|path| path.display().to_string()),
    })
}

/// The name under which a form drafts the file; where none is written it does not matter.
pub fn file_name(out: Option<&Path>) -> String {
    out.and_then(Path::file_name).map_or_else(|| "slim".into(), |name| name.to_string_lossy().into_owned())
}

/// Scores every ranking on samples that chose nothing: the network without as many of its first blocks as are left out.
///
/// # Errors
/// Where the samples cannot be read.
pub fn routes_compared<F: Prunable>(
    form: &F,
    source: &EvalSet,
    rankings: &mut [Ranking],
    count: usize,
    progress: Progress,
) -> Result<()> {
    let network = form.network();
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

fn version(name: &str, whole: &Baseline, found: &Baseline) -> Version {
    Version { name: name.into(), lesion: LesionResult::new(&whole.predictions, &found.predictions) }
}

fn outputs_of(
    network: &impl Network,
    source: &EvalSet,
    whole: &Baseline,
    advance: impl FnMut(u64),
) -> Result<Baseline> {
    outputs(network, &Route::identity(network.outline()), source, whole, advance)
}

/// All outputs along a route, and the answers that they are.
fn outputs(
    network: &impl Network,
    route: &Route,
    source: &EvalSet,
    whole: &Baseline,
    mut advance: impl FnMut(u64),
) -> Result<Baseline> {
    let mut found = Baseline::default();
    let mut memory = RecurrentState::new(source.dataset.streams());
    for batch in source.batches()? {
        let (samples, labels) = samples(batch?);
        let logits = network.forward_along(route, &samples, &mut memory)?;
        let rows = &whole.logits[found.logits.len()..][..logits.values.len()];
        let pairs = logits.values.chunks_exact(logits.classes).zip(rows.chunks_exact(logits.classes));
        found.predictions.extend(pairs.zip(&labels).map(|((row, whole), &label)| source.prediction(row, label, whole)));
        found.logits.extend(logits.values);
        advance(labels.len() as u64);
    }
    Ok(found)
}

/// Compares all outputs; the error says how far they are apart.
fn same(expected: &Baseline, found: &Baseline, what: &str) -> std::result::Result<(), String> {
    let bits = |logits: &[f32]| logits.iter().map(|z| z.to_bits()).collect::<Vec<_>>();
    if bits(&expected.logits) == bits(&found.logits) {
        return Ok(());
    }
    let apart = expected.logits.iter().zip(&found.logits).map(|(e, f)| (e - f).abs()).fold(0.0, f32::max);
    Err(format!("{what} answer differently, by up to {apart:e}; nothing is written"))
}
