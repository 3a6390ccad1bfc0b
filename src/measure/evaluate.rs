//! Predictions without any measurement: of the whole network, and along routes.

use super::probe::run_probes;
use super::sample_order::SampleList;
use super::score::Score;
use super::sweep::{SweepState, sweep};
use super::{EvalSet, Prediction, samples};
use crate::Result;
use crate::nn::{Network, RecurrentState, Route};

/// What a network predicts for all samples: what every other route is compared with.
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    /// One prediction a sample, in the data set's order.
    pub predictions: Vec<Prediction>,
    /// `[samples, classes]`, row-major: the outputs before the softmax.
    pub logits: Vec<f32>,
}

impl Baseline {
    /// Runs a whole network over all samples. `progress` is called with the number of samples of every batch.
    ///
    /// # Errors
    /// Where the samples do not fit the network, or cannot be read.
    pub fn new<N: Network>(network: &N, data: &EvalSet, mut progress: impl FnMut(u64)) -> Result<Self> {
        data.check(network.outline())?;
        let mut found = Self::default();
        let mut state = RecurrentState::new(data.dataset.streams());
        let whole = Route::identity(network.outline());
        for batch in data.batches()? {
            let (samples, labels) = samples(batch?);
            let logits = network.forward_along(&whole, &samples, &mut state)?;
            let rows = logits.values.chunks_exact(logits.classes).zip(&labels);
            found.predictions.extend(rows.map(|(row, &label)| data.prediction(row, label, row)));
            found.logits.extend(logits.values);
            progress(labels.len() as u64);
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

/// Returns the class that a whole network predicts for every sample: the labels of samples that have none.
///
/// # Errors
/// Where the samples do not fit the network, or cannot be read.
pub fn predicted_classes<N: Network>(network: &N, data: &EvalSet) -> Result<Vec<u32>> {
    Ok(predict(network, data, |_| ())?.iter().map(|prediction| prediction.class).collect())
}

/// Returns what a whole network predicts for every sample. `progress` is called with the number of samples of every batch.
///
/// # Errors
/// Where the samples do not fit the network, or cannot be read.
pub fn predict<N: Network>(network: &N, data: &EvalSet, mut progress: impl FnMut(u64)) -> Result<Vec<Prediction>> {
    let list = SampleList::all(data);
    let mut predictions = Vec::with_capacity(data.len());
    run_probes(network, data, &list, list.start_state(), &mut [], |batch| {
        progress(batch.predictions.len() as u64);
        predictions.extend(batch.predictions);
        Ok(())
    })?;
    Ok(predictions)
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
    let list = SampleList::all(data);
    let mut state = SweepState::new(routes.len(), &list);
    let progress = |work| {
        progress(work);
        Ok(())
    };
    sweep(network, data, &list, routes, &mut state, progress, |_| Ok(()))?;
    Ok(state.predictions.split_off(1))
}
