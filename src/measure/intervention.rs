//! What is changed of a network besides its route.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::activations::{BlockView, dot};
use super::probe::Probe;
use crate::Result;
use crate::device::DeviceInfo;
use crate::nn::{BlockActivations, BlockId, Logits, Network, Outline, PositionMask, RecurrentState, Samples};

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
    steps: HashMap<BlockKey, StepSums>,
}

/// The sum of a block's steps, and the number of samples that have a value, of each unit.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct StepSums {
    sums: Vec<f64>,
    counts: Vec<f64>,
}

/// A block as a pair of numbers: binary formats cannot take a name for a key.
type BlockKey = (usize, usize);

impl MeanStepProbe {
    /// Returns the mean steps; 0 of a unit that no sample has a value of.
    pub(super) fn means(&self) -> MeanSteps {
        let unit = |(sum, count): (&f64, &f64)| if *count > 0.0 { (sum / count) as f32 } else { 0.0 };
        let mean = |steps: &StepSums| steps.sums.iter().zip(&steps.counts).map(unit).collect();
        self.steps.iter().map(|(&(stage, block), steps)| (BlockId { stage, block }, mean(steps))).collect()
    }

    fn steps(&mut self, block: BlockKey, units: usize) -> &mut StepSums {
        let none = || StepSums { sums: vec![0.0; units], counts: vec![0.0; units] };
        self.steps.entry(block).or_insert_with(none)
    }
}

impl Probe for MeanStepProbe {
    fn block(&mut self, block: &BlockView) {
        let (before, after, units) = (block.stage.before(), block.stage.after(), block.stage.units());
        if before.is_empty() {
            return;
        }
        let StepSums { sums, counts } = self.steps((block.id.stage, block.id.block), units);
        for (sample, (after, before)) in after.chunks_exact(units).zip(before.chunks_exact(units)).enumerate() {
            // Values at masked positions are 0 before and after.
            for ((sum, a), b) in sums.iter_mut().zip(after).zip(before) {
                *sum += f64::from(*a) - f64::from(*b);
            }
            match block.stage.mask_of(sample) {
                None => counts.iter_mut().for_each(|count| *count += 1.0),
                Some(mask) => {
                    let counted = counts.iter_mut().zip(mask.iter().cycle()).filter(|(_, counts)| **counts);
                    counted.for_each(|(count, _)| *count += 1.0);
                }
            }
        }
    }

    fn merge(&mut self, other: Self) {
        for (block, other) in other.steps {
            let own = self.steps(block, other.sums.len());
            own.sums.iter_mut().zip(other.sums).for_each(|(own, sum)| *own += sum);
            own.counts.iter_mut().zip(other.counts).for_each(|(own, count)| *own += count);
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

    fn device(&self) -> Option<DeviceInfo> {
        self.network.device()
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
        let mask = self.network.position_mask(&next);
        for (sample, (before, after)) in before.chunks_exact(units).zip(after.chunks_exact_mut(units)).enumerate() {
            let square = |values: &[f32]| match &mask {
                Some(mask) => {
                    let counted = values.iter().zip(mask.row(sample).iter().cycle()).filter(|(_, counts)| **counts);
                    counted.map(|(v, _)| f64::from(*v) * f64::from(*v)).sum()
                }
                None => dot(values, values),
            };
            let scale = (square(before) / square(after)).sqrt() as f32;
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

    fn position_mask(&self, estimate: &N::Estimate) -> Option<PositionMask> {
        self.network.position_mask(estimate)
    }

    fn rebuild(&self, like: &N::Estimate, values: Vec<f32>) -> N::Estimate {
        self.network.rebuild(like, values)
    }
}
