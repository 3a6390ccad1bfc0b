//! Routes to run, along the network or along one that is altered, and what becomes of the answers.

use std::collections::HashMap;

use super::altered::{Alteration, Altered};
use super::walk::Baseline;
use super::work::Work;
use super::{EvalSet, Prediction, sweep};
use crate::Result;
use crate::data::SampleOrder;
use crate::nn::{BlockId, Network, Route};
use crate::report::Measurements;

/// What a route leads through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Along {
    /// The network as it is.
    Network,
    /// The network in which a block that is left out adds its mean step.
    MeanSteps,
    /// The network in which a block that is left out adds its step for another sample.
    OtherSteps,
    /// The network in which a block that runs again keeps the size of its estimate.
    Rescaled,
}

impl Along {
    const ALL: [Self; 4] = [Self::Network, Self::MeanSteps, Self::OtherSteps, Self::Rescaled];
}

/// Routes to run, and what becomes of the answers along each.
pub(super) struct Tour {
    pub(super) legs: Vec<(Along, Route)>,
    pub(super) finish: Box<Finish>,
}

/// From the whole network's answers and those along each route to results.
type Finish = dyn FnOnce(&Baseline, &[Vec<Prediction>], &mut Measurements);

impl Tour {
    /// Routes along the network as it is.
    pub(super) fn new(
        routes: Vec<Route>,
        finish: impl FnOnce(&Baseline, &[Vec<Prediction>], &mut Measurements) + 'static,
    ) -> Self {
        Self::along(routes.into_iter().map(|route| (Along::Network, route)).collect(), finish)
    }

    /// Routes along several networks.
    pub(super) fn along(
        legs: Vec<(Along, Route)>,
        finish: impl FnOnce(&Baseline, &[Vec<Prediction>], &mut Measurements) + 'static,
    ) -> Self {
        Self { legs, finish: Box::new(finish) }
    }
}

/// What altered networks need beside the network.
pub(super) struct Beside<'a> {
    /// The mean step of every block that keeps the shape, where a tour leads along it.
    pub(super) means: &'a HashMap<BlockId, Vec<f32>>,
    /// Decides which other sample is taken.
    pub(super) seed: u64,
}

/// Runs all samples along the legs of all tours: those through one network in one sweep. Returns the answers of each leg.
pub(super) fn run<N: Network>(
    network: &N,
    source: &EvalSet,
    legs: &[(Along, Route)],
    whole: &Baseline,
    beside: &Beside,
    mut progress: impl FnMut(u64),
) -> Result<Vec<Vec<Prediction>>> {
    let mut answers = vec![Vec::new(); legs.len()];
    for along in Along::ALL {
        let own = legs.iter().enumerate().filter(|(_, leg)| leg.0 == along);
        let (places, routes): (Vec<usize>, Vec<Route>) = own.map(|(place, leg)| (place, leg.1.clone())).unzip();
        let mut altered = |alteration, source: &EvalSet| {
            sweep(&Altered { network, alteration }, source, &routes, whole, &mut progress)
        };
        let found = match along {
            Along::Network => sweep(network, source, &routes, whole, &mut progress)?,
            Along::MeanSteps => altered(Alteration::MeanStep(beside.means), &in_circles(source, beside.seed).0)?,
            Along::OtherSteps => {
                let (source, circle) = in_circles(source, beside.seed);
                altered(Alteration::OtherStep(circle), &source)?
            }
            Along::Rescaled => altered(Alteration::Rescaled, source)?,
        };
        places.into_iter().zip(found).for_each(|(place, found)| answers[place] = found);
    }
    Ok(answers)
}

/// The work of all legs for one sample.
pub(super) fn work(work: &Work, legs: &[(Along, Route)]) -> u64 {
    let through = |along| -> Vec<Route> { legs.iter().filter(|leg| leg.0 == along).map(|leg| leg.1.clone()).collect() };
    Along::ALL.into_iter().map(|along| work.sweep(&through(along))).sum()
}

/// The samples in a random order, whole circles in every batch, so that the size of a batch changes nothing; and how many
/// samples form a circle.
fn in_circles(source: &EvalSet, seed: u64) -> (EvalSet, usize) {
    let streams = source.dataset.streams();
    if streams > 1 {
        // Neighbours are of different streams already, and a recurrent head needs their order.
        let circles = [streams, streams / 2, streams / 4]
            .into_iter()
            .filter(|&circle| circle > 1 && streams.is_multiple_of(circle) && source.dataset.len() % circle != 1);
        return (source.clone(), circles.max().unwrap_or(streams));
    }
    let circle = circle(source.dataset.len());
    let batch = (source.batch / circle).max(1) * circle;
    (EvalSet { order: SampleOrder::Shuffled { seed, epoch: 0 }, batch, ..source.clone() }, circle)
}

/// How many samples form a circle: none may be left over alone.
fn circle(samples: usize) -> usize {
    (8..=16).find(|circle| samples % circle != 1).unwrap_or(8)
}
