//! Many routes at once: those that begin alike share the work of their common beginning.

use super::work::Work;
use super::{Baseline, EvalSet, Prediction, samples};
use crate::Result;
use crate::nn::{Network, RecurrentState, Route, Step};

/// Runs all samples along every route. Returns the answers of each; `whole` are those of the whole network, which
/// [`walk`](super::walk()) gives, to compare with.
///
/// `progress` hears of the work that is finished, in FLOPs or what takes as long.
///
/// # Errors
/// Where the samples do not fit the network or cannot be read, or a route leaves out a block that cannot be.
pub fn sweep<N: Network>(
    network: &N,
    source: &EvalSet,
    routes: &[Route],
    whole: &Baseline,
    mut progress: impl FnMut(u64),
) -> Result<Vec<Vec<Prediction>>> {
    source.check(network.outline())?;
    if routes.is_empty() {
        return Ok(Vec::new());
    }
    let steps: Vec<Vec<Step>> = routes.iter().map(Route::steps).collect();
    // Neighbours in this order have the longest common beginnings.
    let mut order: Vec<usize> = (0..routes.len()).collect();
    order.sort_by(|&a, &b| steps[a].cmp(&steps[b]));
    let mut answers = vec![whole.answers.clone(); routes.len()];
    let classes = network.outline().classes;
    let mut memories = vec![RecurrentState::new(source.dataset.streams()); routes.len()];
    let work = Work::new(network.outline());
    for batch in source.batches()? {
        let batch = batch?;
        let indices = batch.indices.clone();
        let (samples, labels) = samples(batch);
        let batch_size = labels.len() as u64;
        let mut arrive = |route: usize, estimate: N::Estimate| {
            let logits = network.head(estimate, &mut memories[route])?;
            for ((row, &index), &label) in logits.values.chunks_exact(classes).zip(&indices).zip(&labels) {
                answers[route][index] = source.answer(row, label, whole.row(index, classes));
            }
            Ok(())
        };
        let mut advance = |work: u64| progress(batch_size * work);
        let first = network.stem(&samples)?;
        advance(work.stem());
        follow(network, &steps, &order, first, &mut arrive, &mut |step| {
            advance(step.map_or(work.head(), |step| work.step(step)))
        })?;
    }
    Ok(answers)
}

/// Follows sorted routes from their common beginning to where each of them ends.
///
/// `taken` hears of every step, and with `None` of every head. The smaller branch is followed first, so that few estimates wait: of lesions never more than two at a time.
fn follow<N: Network>(
    network: &N,
    steps: &[Vec<Step>],
    order: &[usize],
    first: N::Estimate,
    arrive: &mut impl FnMut(usize, N::Estimate) -> Result<()>,
    taken: &mut impl FnMut(Option<Step>),
) -> Result<()> {
    let mut waiting = vec![(order, 0, first)];
    while let Some((group, depth, mut estimate)) = waiting.pop() {
        // Of sorted routes all agree as far as the first and the last do.
        let (one, other) = (&steps[group[0]], &steps[group[group.len() - 1]]);
        let shared = one.iter().zip(other).take_while(|(a, b)| a == b).count();
        for &step in &one[depth..shared] {
            estimate = network.step(step, estimate)?;
            taken(Some(step));
        }
        let ended = group.iter().take_while(|&&route| steps[route].len() == shared).count();
        for &route in &group[..ended] {
            arrive(route, estimate.clone())?;
            taken(None);
        }
        let mut branches: Vec<&[usize]> =
            group[ended..].chunk_by(|a, b| steps[*a][shared] == steps[*b][shared]).collect();
        branches.sort_by_key(|branch| std::cmp::Reverse(branch.len()));
        waiting.extend(branches.into_iter().map(|branch| (branch, shared, estimate.clone())));
    }
    Ok(())
}
