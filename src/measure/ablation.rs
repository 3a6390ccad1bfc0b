//! Ablation: what a block adds is not left out but replaced by what says nothing about the sample, its mean over the
//! samples or what it adds to another sample.

use std::collections::HashMap;

use super::lesion::lesion;
use super::walk::{Probe, Seen, Whole, walk};
use super::{Answer, Source, lesions, sweep};
use crate::Result;
use crate::data::Order;
use crate::nn::{At, Inside, Logits, Network, Route, Samples};
use crate::report::{Ablation, Measurements, Outline, PerBlock};

/// Sums the step `a_k - a_(k-1)` of every unit over the samples.
#[derive(Default)]
struct MeanSteps {
    sums: HashMap<At, Vec<f64>>,
    samples: f64,
}

impl MeanSteps {
    /// The mean step of every block that keeps the shape.
    fn means(&self) -> HashMap<At, Vec<f32>> {
        let mean = |sums: &Vec<f64>| sums.iter().map(|sum| (sum / self.samples) as f32).collect();
        self.sums.iter().map(|(at, sums)| (*at, mean(sums))).collect()
    }
}

/// Takes the mean steps in one pass, then runs all samples along every route that leaves one block out, twice: with
/// either replacement in its place.
pub(super) fn measure<N: Network>(
    network: &N,
    source: &Source,
    whole: &Whole,
    seed: u64,
    mut progress: impl FnMut(u64),
) -> Result<PerBlock<Ablation>> {
    if source.dataset.len() < 2 {
        return Ok(PerBlock::new());
    }
    let mut steps = MeanSteps::default();
    walk(network, source, &mut [Box::new(&mut steps)], &mut progress)?;
    let means = steps.means();
    let (blocks, routes): (Vec<At>, Vec<Route>) = ablated(network.outline()).into_iter().unzip();
    // Whole circles in every batch, so that the size of a batch changes nothing.
    let circle = circle(source.dataset.len());
    let batch = (source.batch / circle).max(1) * circle;
    let shuffled = Source { order: Order::Shuffled { seed, epoch: 0 }, batch, ..source.clone() };
    let mut run = |replacement: Replacement| -> Result<Vec<Vec<Answer>>> {
        let network = Replaced { network, replacement };
        sweep(&network, &shuffled, &routes, whole, &mut progress)
    };
    let (mean, resampled) = (run(Replacement::Mean(&means))?, run(Replacement::Another(circle))?);
    let both = blocks.iter().zip(mean.iter().zip(&resampled));
    let cost = |answers: &[Answer]| lesion(&whole.answers, answers);
    Ok(both.map(|(at, (m, r))| (at.to_string(), Ablation { mean: cost(m), resampled: cost(r) })).collect())
}

/// The routes that leave out one of the blocks that keep the shape: what a block of another shape adds is not defined.
pub(super) fn ablated(outline: &Outline) -> Vec<(At, Route)> {
    let keeps = |at: &At| outline.stages[at.stage].blocks[at.block].keeps_shape();
    lesions(outline).into_iter().filter(|(at, _)| keeps(at)).collect()
}

impl<N: Network> Probe<N> for &mut MeanSteps {
    fn block(&mut self, _: &N, at: At, _: &Inside<N::Estimate>, seen: &Seen) {
        if at == (At { stage: 0, block: 0 }) {
            self.samples += seen.labels.len() as f64;
        }
        if seen.before().is_empty() {
            return;
        }
        let units = seen.units();
        let sums = self.sums.entry(at).or_insert_with(|| vec![0.0; units]);
        for (after, before) in seen.after().chunks_exact(units).zip(seen.before().chunks_exact(units)) {
            for ((sum, a), b) in sums.iter_mut().zip(after).zip(before) {
                *sum += f64::from(*a) - f64::from(*b);
            }
        }
    }

    fn finish(self: Box<Self>, _: &Whole, _: &mut Measurements) -> Result<()> {
        Ok(())
    }
}

/// What stands in for the step of a block that is left out.
#[derive(Clone, Copy)]
enum Replacement<'a> {
    /// Its mean over the samples.
    Mean(&'a HashMap<At, Vec<f32>>),
    /// That of another sample: in a random order every few samples form a circle and take the step of the next in it.
    Another(usize),
}

/// How many samples form a circle: none may be left over alone.
fn circle(samples: usize) -> usize {
    (8..=16).find(|circle| samples % circle != 1).unwrap_or(8)
}

/// A network in which what is left of a block is its input and a replaced step.
struct Replaced<'a, N> {
    network: &'a N,
    replacement: Replacement<'a>,
}

impl<N: Network> Network for Replaced<'_, N> {
    type Estimate = N::Estimate;

    fn outline(&self) -> &Outline {
        self.network.outline()
    }

    fn stem(&self, samples: &Samples) -> Result<N::Estimate> {
        self.network.stem(samples)
    }

    fn enter(&self, stage: usize, estimate: N::Estimate) -> Result<N::Estimate> {
        self.network.enter(stage, estimate)
    }

    fn inside(&self, at: At, estimate: N::Estimate) -> Result<Inside<N::Estimate>> {
        self.network.inside(at, estimate)
    }

    fn block(&self, at: At, estimate: N::Estimate) -> Result<N::Estimate> {
        self.network.block(at, estimate)
    }

    fn shortcut(&self, at: At, estimate: N::Estimate) -> Result<N::Estimate> {
        let (mut values, _) = self.network.values(&estimate);
        match self.replacement {
            Replacement::Mean(means) => {
                let mean = &means[&at];
                values.chunks_exact_mut(mean.len()).for_each(|a| a.iter_mut().zip(mean).for_each(|(a, m)| *a += m));
            }
            Replacement::Another(circle) => {
                let (after, _) = self.network.values(&self.network.block(at, estimate.clone())?);
                let units = self.outline().stages[at.stage].shape.iter().product::<usize>();
                let steps: Vec<f32> = after.iter().zip(&values).map(|(y, x)| y - x).collect();
                let circles = values.chunks_mut(units * circle).zip(steps.chunks(units * circle));
                for (values, steps) in circles {
                    let next = steps[units..].iter().chain(&steps[..units]);
                    values.iter_mut().zip(next).for_each(|(a, step)| *a += step);
                }
            }
        }
        Ok(self.network.rebuild(&estimate, values))
    }

    fn head(&self, estimate: N::Estimate) -> Result<Logits> {
        self.network.head(estimate)
    }

    fn values(&self, estimate: &N::Estimate) -> (Vec<f32>, usize) {
        self.network.values(estimate)
    }

    fn rebuild(&self, like: &N::Estimate, values: Vec<f32>) -> N::Estimate {
        self.network.rebuild(like, values)
    }
}
