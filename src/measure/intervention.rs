//! What is changed of a network besides its route.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::activations::{BlockView, StageActivations, dot};
use super::probe::Probe;
use crate::Result;
use crate::nn::{BlockActivations, BlockId, Logits, Network, Outline, RecurrentState, Samples};

/// What is changed of a network besides its route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intervention {
    /// Nothing.
    #[default]
    None,
    /// A block that is left out adds its mean step over the samples.
    MeanStep,
    /// A block that is left out adds its step for another sample.
    OtherStep,
    /// The estimate is scaled back after a block that runs again, to the norm over all units that it had after the block's
    /// first run.
    Rescaled,
}

impl Intervention {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::MeanStep, Self::OtherStep, Self::Rescaled];
}

/// The mean step `a_k - a_(k-1)` of every block that keeps the shape, unit by unit.
pub(super) type MeanSteps = HashMap<BlockId, Vec<f32>>;

/// Sums the step `a_k - a_(k-1)` of every unit over the samples.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct MeanStepProbe {
    sums: HashMap<BlockKey, Vec<f64>>,
    samples: f64,
}

/// A block as a pair of numbers: binary formats cannot take a name for a key.
type BlockKey = (usize, usize);

impl MeanStepProbe {
    /// Returns the mean steps.
    pub(super) fn means(&self) -> MeanSteps {
        let mean = |sums: &Vec<f64>| sums.iter().map(|sum| (sum / self.samples) as f32).collect();
        self.sums.iter().map(|(&(stage, block), sums)| (BlockId { stage, block }, mean(sums))).collect()
    }
}

impl Probe for MeanStepProbe {
    fn block(&mut self, block: &BlockView) {
        let StageActivations { labels, .. } = block.stage;
        if block.id == (BlockId { stage: 0, block: 0 }) {
            self.samples += labels.len() as f64;
        }
        let (before, after, units) = (block.stage.before(), block.stage.after(), block.stage.units());
        if before.is_empty() {
            return;
        }
        let sums = self.sums.entry((block.id.stage, block.id.block)).or_insert_with(|| vec![0.0; units]);
        for (after, before) in after.chunks_exact(units).zip(before.chunks_exact(units)) {
            for ((sum, a), b) in sums.iter_mut().zip(after).zip(before) {
                *sum += f64::from(*a) - f64::from(*b);
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.samples += other.samples;
        for (block, sums) in other.sums {
            let own = self.sums.entry(block).or_insert_with(|| vec![0.0; sums.len()]);
            own.iter_mut().zip(sums).for_each(|(own, sum)| *own += sum);
        }
    }
}

/// An intervention with what it needs to know.
#[derive(Clone, Copy)]
pub(super) enum Change<'a> {
    /// See [`Intervention::MeanStep`].
    MeanStep(&'a MeanSteps),
    /// See [`Intervention::OtherStep`]: so many successive samples form a group and take the step of the next in it.
    OtherStep(usize),
    /// See [`Intervention::Rescaled`].
    Rescaled,
}

/// A network with an intervention.
pub(super) struct ChangedNetwork<'a, N> {
    pub(super) network: &'a N,
    pub(super) change: Change<'a>,
}

impl<N: Network> Network for ChangedNetwork<'_, N> {
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
        let Change::Rescaled = self.change else { return self.network.repeat_block(at, estimate) };
        let (before, _) = self.network.values(&estimate);
        let next = self.network.repeat_block(at, estimate)?;
        let (mut after, _) = self.network.values(&next);
        let units = self.outline().stages[at.stage].shape.iter().product::<usize>();
        for (before, after) in before.chunks_exact(units).zip(after.chunks_exact_mut(units)) {
            let scale = (dot(before, before) / dot(after, after)).sqrt() as f32;
            // An estimate of zeros stays as it is.
            if scale.is_finite() {
                after.iter_mut().for_each(|a| *a *= scale);
            }
        }
        Ok(self.network.rebuild(&next, after))
    }

    fn shortcut(&self, at: BlockId, estimate: N::Estimate) -> Result<N::Estimate> {
        let (mut values, _) = self.network.values(&estimate);
        match self.change {
            Change::Rescaled => return self.network.shortcut(at, estimate),
            Change::MeanStep(means) => {
                let mean = &means[&at];
                values.chunks_exact_mut(mean.len()).for_each(|a| a.iter_mut().zip(mean).for_each(|(a, m)| *a += m));
            }
            Change::OtherStep(group) => {
                let (after, _) = self.network.values(&self.network.block(at, estimate.clone())?);
                let units = self.outline().stages[at.stage].shape.iter().product::<usize>();
                let steps: Vec<f32> = after.iter().zip(&values).map(|(y, x)| y - x).collect();
                let groups = values.chunks_mut(units * group).zip(steps.chunks(units * group));
                for (values, steps) in groups {
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
