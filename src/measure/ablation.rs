//! Ablation: what a block adds is not left out but replaced by what says nothing about the sample, its mean over the
//! samples or what it adds to another sample.

use std::collections::HashMap;

use super::lesion::lesion;
use super::tour::{Along, Tour};
use super::walk::{Baseline, Probe, StageActivations};
use super::{Prediction, lesions};
use crate::Result;
use crate::nn::Outline;
use crate::nn::{BlockActivations, BlockId, Network, Route};
use crate::report::{Ablation, Measurements};

/// Sums the step `a_k - a_(k-1)` of every unit over the samples.
#[derive(Default)]
pub(super) struct MeanSteps {
    sums: HashMap<BlockId, Vec<f64>>,
    samples: f64,
}

impl MeanSteps {
    /// The mean step of every block that keeps the shape.
    pub(super) fn means(&self) -> HashMap<BlockId, Vec<f32>> {
        let mean = |sums: &Vec<f64>| sums.iter().map(|sum| (sum / self.samples) as f32).collect();
        self.sums.iter().map(|(at, sums)| (*at, mean(sums))).collect()
    }
}

/// Every block that keeps the shape left out in turn, with either replacement in its place. With fewer than two samples
/// there is neither.
pub(super) fn tour(outline: &Outline, samples: usize) -> Tour {
    let ablated = if samples < 2 { Vec::new() } else { ablated(outline) };
    let (blocks, routes): (Vec<BlockId>, Vec<Route>) = ablated.into_iter().unzip();
    let legs = [Along::MeanSteps, Along::OtherSteps]
        .into_iter()
        .flat_map(|along| routes.iter().map(move |r| (along, r.clone())));
    Tour::along(legs.collect(), move |whole, answers, measured| {
        let (mean, resampled) = answers.split_at(blocks.len());
        let cost = |answers: &[Prediction]| lesion(&whole.answers, answers);
        let both = blocks.iter().zip(mean.iter().zip(resampled));
        let ablation = both.map(|(at, (m, r))| (at.to_string(), Ablation { mean: cost(m), resampled: cost(r) }));
        measured.ablation = Some(ablation.collect());
    })
}

/// The routes that leave out one of the blocks that keep the shape: what a block of another shape adds is not defined.
fn ablated(outline: &Outline) -> Vec<(BlockId, Route)> {
    let keeps = |at: &BlockId| outline.stages[at.stage].blocks[at.block].keeps_shape();
    lesions(outline).into_iter().filter(|(at, _)| keeps(at)).collect()
}

impl<N: Network> Probe<N> for &mut MeanSteps {
    fn block(&mut self, _: &N, at: BlockId, _: &BlockActivations<N::Estimate>, seen: &StageActivations) {
        if at == (BlockId { stage: 0, block: 0 }) {
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

    fn finish(self: Box<Self>, _: &Baseline, _: &mut Measurements, _: &mut dyn FnMut(u64)) -> Result<()> {
        Ok(())
    }
}
