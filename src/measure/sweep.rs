//! Many routes at once: routes that begin alike share the computation of their common beginning.

use super::cost::CostModel;
use super::sample_order::SampleList;
use super::{EvalSet, Prediction, samples};
use crate::Result;
use crate::nn::{Logits, Network, RecurrentState, Route, Step};

/// Where a sweep stands: what it has predicted so far, and what the network carries along each route.
#[derive(Clone)]
pub(super) struct SweepState {
    /// `[route][sample]` in the order of the list; the whole network first.
    pub(super) predictions: Vec<Vec<Prediction>>,
    /// What the network carries, along the whole network first, then along each route.
    pub(super) recurrent: Vec<RecurrentState>,
}

impl SweepState {
    /// Before the first sample.
    pub(super) fn new(routes: usize, list: &SampleList) -> Self {
        Self { predictions: vec![Vec::new(); routes + 1], recurrent: vec![list.start_state(); routes + 1] }
    }

    /// How many samples are done.
    pub(super) fn done(&self) -> usize {
        self.predictions.first().map_or(0, Vec::len)
    }
}

/// Runs the samples of a list along every route, and along the whole network, which the divergence is from.
///
/// `progress` is called with the work that is finished, in FLOPs or what takes as long, and may end the sweep by an error; `state`
/// then holds all batches before. A sweep continues where its state stands.
///
/// # Errors
/// Where the samples do not fit the network or cannot be read, or a route leaves out a block that cannot be.
pub(super) fn sweep<N: Network>(
    network: &N,
    data: &EvalSet,
    list: &SampleList,
    routes: &[Route],
    state: &mut SweepState,
    mut progress: impl FnMut(u64) -> Result<()>,
    mut after_batch: impl FnMut(&SweepState) -> Result<()>,
) -> Result<()> {
    data.check(network.outline())?;
    let whole = Route::identity(network.outline());
    let steps: Vec<Vec<Step>> = std::iter::once(&whole).chain(routes).map(Route::steps).collect();
    // Neighbours in this order have the longest common beginnings.
    let mut order: Vec<usize> = (0..steps.len()).collect();
    order.sort_by(|&a, &b| steps[a].cmp(&steps[b]));
    let cost = CostModel::new(network.outline());
    // Room for all: what grows while batches come and go takes the places of batches in memory.
    let left = list.samples.len().saturating_sub(state.done());
    state.predictions.iter_mut().for_each(|predictions| predictions.reserve_exact(left));
    let list = list.skip(state.done());
    for batch in data.batches_with(list.samples.clone(), list.batch(data.batch))? {
        let batch = batch?;
        let indices = batch.indices.clone();
        let (samples, _) = samples(batch);
        let mut logits = vec![Logits::default(); steps.len()];
        let mut recurrent = state.recurrent.clone();
        let mut advance = |work: u64| progress(indices.len() as u64 * work);
        let first = network.stem(&samples)?;
        advance(cost.stem())?;
        let mut reach_end = |route: usize, estimate: N::Estimate| {
            logits[route] = network.head(estimate, &mut recurrent[route])?;
            Ok(())
        };
        follow(network, &steps, &order, first, &mut reach_end, &mut |step| {
            advance(step.map_or(cost.head(), |step| cost.step(step)))
        })?;
        let kind = network.outline().answer.kind;
        let found = data.predictions(kind, &indices, &logits[0], &logits);
        for (predictions, found) in state.predictions.iter_mut().zip(found) {
            predictions.extend(found);
        }
        state.recurrent = recurrent;
        after_batch(state)?;
    }
    Ok(())
}

/// Follows sorted routes from their common beginning to where each of them ends.
///
/// `taken` is called for every step, and with `None` for every head. The smaller branch is followed first, so that few estimates
/// wait: of lesions never more than two at a time.
fn follow<N: Network>(
    network: &N,
    steps: &[Vec<Step>],
    order: &[usize],
    first: N::Estimate,
    reach_end: &mut impl FnMut(usize, N::Estimate) -> Result<()>,
    taken: &mut impl FnMut(Option<Step>) -> Result<()>,
) -> Result<()> {
    let mut waiting = vec![(order, 0, first)];
    while let Some((group, depth, mut estimate)) = waiting.pop() {
        // Of sorted routes all agree as far as the first and the last do.
        let (one, other) = (&steps[group[0]], &steps[group[group.len() - 1]]);
        let shared = one.iter().zip(other).take_while(|(a, b)| a == b).count();
        for &step in &one[depth..shared] {
            estimate = network.step(step, estimate)?;
            taken(Some(step))?;
        }
        let ended = group.iter().take_while(|&&route| steps[route].len() == shared).count();
        for &route in &group[..ended] {
            reach_end(route, estimate.clone())?;
            taken(None)?;
        }
        let mut branches: Vec<&[usize]> =
            group[ended..].chunk_by(|a, b| steps[*a][shared] == steps[*b][shared]).collect();
        branches.sort_by_key(|branch| std::cmp::Reverse(branch.len()));
        waiting.extend(branches.into_iter().map(|branch| (branch, shared, estimate.clone())));
    }
    Ok(())
}
