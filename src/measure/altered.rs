//! A network in which what is left of a block, or a block that runs again, is something else.

use std::collections::HashMap;

use super::influence::dot;
use crate::Result;
use crate::nn::Outline;
use crate::nn::{BlockActivations, BlockId, Logits, Network, RecurrentState, Samples};

/// What is altered.
#[derive(Clone, Copy)]
pub(super) enum Alteration<'a> {
    /// A block that is left out adds its mean step over the samples.
    MeanStep(&'a HashMap<BlockId, Vec<f32>>),
    /// It adds its step for another sample: every few samples form a circle and take the step of the next in it.
    OtherStep(usize),
    /// A block that runs again on its own output is followed by a scaling of every sample's estimate to the norm, over all
    /// units, that it had before. That is the norm of the estimate after the block's first run, however often it runs.
    Rescaled,
}

/// The network with that alteration.
pub(super) struct Altered<'a, N> {
    pub(super) network: &'a N,
    pub(super) alteration: Alteration<'a>,
}

impl<N: Network> Network for Altered<'_, N> {
    type Estimate = N::Estimate;

    fn outline(&self) -> &Outline {
        self.network.outline()
    }

    fn stem(&self, samples: &Samples) -> Result<N::Estimate> {
        self.network.stem(samples)
    }

    fn enter_stage(&self, stage: usize, estimate: N::Estimate) -> Result<N::Estimate> {
        self.network.enter_stage(stage, estimate)
    }

    fn block_activations(&self, at: BlockId, estimate: N::Estimate) -> Result<BlockActivations<N::Estimate>> {
        self.network.block_activations(at, estimate)
    }

    fn block(&self, at: BlockId, estimate: N::Estimate) -> Result<N::Estimate> {
        self.network.block(at, estimate)
    }

    fn repeat_block(&self, at: BlockId, estimate: N::Estimate) -> Result<N::Estimate> {
        let Alteration::Rescaled = self.alteration else { return self.network.repeat_block(at, estimate) };
        let (before, _) = self.network.values(&estimate);
        let next = self.network.repeat_block(at, estimate)?;
        let (mut after, _) = self.network.values(&next);
        let units = self.outline().stages[at.stage].shape.iter().product::<usize>();
        for (before, after) in before.chunks_exact(units).zip(after.chunks_exact_mut(units)) {
            let scale = (dot(before, before) / dot(after, after)).sqrt() as f32;
            // Of an estimate of nothing but zeros no scaling makes another.
            if scale.is_finite() {
                after.iter_mut().for_each(|a| *a *= scale);
            }
        }
        Ok(self.network.rebuild(&next, after))
    }

    fn shortcut(&self, at: BlockId, estimate: N::Estimate) -> Result<N::Estimate> {
        let (mut values, _) = self.network.values(&estimate);
        match self.alteration {
            Alteration::Rescaled => return self.network.shortcut(at, estimate),
            Alteration::MeanStep(means) => {
                let mean = &means[&at];
                values.chunks_exact_mut(mean.len()).for_each(|a| a.iter_mut().zip(mean).for_each(|(a, m)| *a += m));
            }
            Alteration::OtherStep(circle) => {
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

    fn head(&self, estimate: N::Estimate, memory: &mut RecurrentState) -> Result<Logits> {
        self.network.head(estimate, memory)
    }

    fn values(&self, estimate: &N::Estimate) -> (Vec<f32>, usize) {
        self.network.values(estimate)
    }

    fn rebuild(&self, like: &N::Estimate, values: Vec<f32>) -> N::Estimate {
        self.network.rebuild(like, values)
    }
}
