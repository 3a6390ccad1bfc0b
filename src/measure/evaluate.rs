//! Predictions without any measurement: of the whole network, and along routes.

use super::prediction::highest;
use super::probe::run_probes;
use super::sample_order::SampleList;
use super::score::Score;
use super::shared_samples::{of_all_ranks, ranks_shard};
use super::sweep::{SweepState, sweep};
use super::{EvalSet, Prediction, samples};
use crate::Result;
use crate::nn::{Logits, Network, RecurrentState, Route};

/// What a network predicts for all samples: what every other route is compared with.
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    /// One prediction a sample, in the data set's order.
    pub predictions: Vec<Prediction>,
    /// The outputs for each batch.
    pub outputs: Vec<Logits>,
}

impl Baseline {
    /// Runs a whole network over all samples. `progress` is called with the number of samples of every batch.
    ///
    /// # Errors
    /// Where the samples do not fit the network, or cannot be read.
    pub fn new<N: Network>(network: &N, data: &EvalSet, progress: impl FnMut(u64)) -> Result<Self> {
        Self::along(network, data, &Route::identity(network.outline()), None, progress)
    }

    /// Runs a network along a route over all samples. Predictions are compared with those of `whole`, or else with their
    /// own.
    ///
    /// # Errors
    /// As [`Baseline::new`].
    pub(crate) fn along<N: Network>(
        network: &N,
        data: &EvalSet,
        route: &Route,
        whole: Option<&Self>,
        mut progress: impl FnMut(u64),
    ) -> Result<Self> {
        data.check(network.outline())?;
        let mut found = Self::default();
        let mut state = RecurrentState::new(data.dataset.streams());
        for (place, batch) in data.batches()?.enumerate() {
            let batch = batch?;
            let indices = batch.indices.clone();
            let logits = network.forward_along(route, &samples(batch).0, &mut state)?;
            let whole = whole.and_then(|whole| whole.outputs.get(place)).unwrap_or(&logits);
            let kind = network.outline().answer.kind;
            let routes = std::slice::from_ref(&logits);
            found.predictions.extend(data.predictions(kind, &indices, whole, routes).concat());
            found.outputs.push(logits);
            progress(indices.len() as u64);
        }
        Ok(found)
    }
}

/// Returns the score of a whole network. `progress` is called with the number of samples of every batch.
///
/// # Errors
/// Where the samples do not fit the network, or cannot be read.
pub fn evaluate<N: Network>(network: &N, data: &EvalSet, progress: impl FnMut(u64)) -> Result<Score> {
    Ok(Score::of(&predict(network, data, progress)?))
}

/// Returns the classes that a whole network predicts for every sample, one for each of its positions: the labels of samples
/// that have none.
///
/// # Errors
/// Where the samples do not fit the network, or cannot be read.
pub fn predicted_classes<N: Network>(network: &N, data: &EvalSet) -> Result<Vec<u32>> {
    data.check(network.outline())?;
    let mut state = RecurrentState::new(data.dataset.streams());
    let whole = Route::identity(network.outline());
    let mut classes = Vec::with_capacity(data.len());
    for batch in data.batches()? {
        let logits = network.forward_along(&whole, &samples(batch?).0, &mut state)?;
        classes.extend(logits.values.chunks_exact(logits.classes).map(|answer| highest(answer) as u32));
    }
    Ok(classes)
}

/// Returns what a whole network predicts for every sample. `progress` is called with the number of samples of every batch.
///
/// # Errors
/// Where the samples do not fit the network, or cannot be read.
pub fn predict<N: Network>(network: &N, data: &EvalSet, mut progress: impl FnMut(u64)) -> Result<Vec<Prediction>> {
    let list = SampleList::of_shard(data, ranks_shard(&data.ranks));
    let mut predictions = Vec::with_capacity(list.samples.len());
    run_probes(network, data, &list, list.start_state(), &mut [], |batch| {
        progress((batch.predictions.len() * data.ranks.size()) as u64);
        predictions.extend(batch.predictions);
        Ok(())
    })?;
    Ok(of_all_ranks(data, &list, vec![predictions])?.swap_remove(0))
}

/// Returns what a network predicts for every sample along each route. Routes that begin alike share the computation of
/// their common beginning. `progress` is called with the work that is finished, in FLOPs or what takes as long.
///
/// # Errors
/// Where the samples do not fit the network or cannot be read, or a route leaves out a block that cannot be.
pub fn predict_along<N: Network>(
    network: &N,
    data: &EvalSet,
    routes: &[Route],
    mut progress: impl FnMut(u64),
) -> Result<Vec<Vec<Prediction>>> {
    let list = SampleList::of_shard(data, ranks_shard(&data.ranks));
    let mut state = SweepState::new(routes.len(), &list);
    let progress = |work| {
        progress(work * data.ranks.size() as u64);
        Ok(())
    };
    sweep(network, data, &list, routes, &mut state, progress, |_| Ok(()))?;
    of_all_ranks(data, &list, state.predictions.split_off(1))
}
