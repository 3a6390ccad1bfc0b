//! How much work a measurement is, so that what is left of it can be told: FLOPs of a network's layers, and what everything
//! else takes, in as many FLOPs as take that long.
//!
//! The factors were measured on a ResNet-20 and need only be right to a factor of two.

use super::Only;
use super::softmax::STEPS;
use crate::nn::{BlockId, Route, Step};
use crate::nn::{BlockOutline, Outline, StageOutline};

/// Of a block, for each unit of its estimate: normalizations, activations, the sum.
const UNIT: u64 = 100;
/// Of a step of a fit, whatever its size: the calls of a dozen operations on small arrays.
const CALLS: u64 = 1_500_000;

/// The work of one sample's steps along a network.
pub(super) struct Work<'a> {
    outline: &'a Outline,
    /// Of the stem; of the head.
    stem: u64,
    head: u64,
}

impl<'a> Work<'a> {
    pub(super) fn new(outline: &'a Outline) -> Self {
        let blocks = outline.stages.iter().flat_map(|stage| &stage.blocks).map(|block| block.flops).sum();
        let head = 2 * outline.head_parameters;
        let entering = outline.stages.first().map_or(0, units);
        let stem = outline.flops.saturating_sub(blocks).saturating_sub(head) + UNIT * entering;
        Self { outline, stem, head: head.max(UNIT) }
    }

    /// From the samples to the first stage.
    pub(super) fn stem(&self) -> u64 {
        self.stem
    }

    /// From the last stage to the answers.
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// One step along a route.
    pub(super) fn step(&self, step: Step) -> u64 {
        let stage = |at: BlockId| &self.outline.stages[at.stage];
        match step {
            Step::Enter(_) => 0,
            Step::Shortcut(_) => 1,
            Step::Run(at) | Step::Repeat(at) => stage(at).blocks[at.block].flops + UNIT * units(stage(at)),
        }
    }

    /// All routes in one sweep: what routes begin with alike counts once.
    pub(super) fn sweep(&self, routes: &[Route]) -> u64 {
        let mut steps: Vec<Vec<Step>> = routes.iter().map(Route::steps).collect();
        steps.sort();
        let mut before: &[Step] = &[];
        let mut work = if routes.is_empty() { 0 } else { self.stem };
        for steps in &steps {
            let shared = steps.iter().zip(before).take_while(|(a, b)| a == b).count();
            work += steps[shared..].iter().map(|&step| self.step(step)).sum::<u64>() + self.head;
            before = steps;
        }
        work
    }

    /// The pass of the whole network with everything that looks.
    pub(super) fn walk(&self, only: &[Only]) -> u64 {
        let run = self.sweep(&[Route::identity(self.outline)]);
        run + only.iter().map(|&only| self.looking(only, run)).sum::<u64>()
    }

    fn looking(&self, only: Only, run: u64) -> u64 {
        let each = |work: &dyn Fn(&StageOutline, &BlockOutline) -> u64| -> u64 {
            let stages = self.outline.stages.iter();
            stages.flat_map(|s| s.blocks.iter().map(move |block| units(s) * work(s, block))).sum()
        };
        let gated = |block: &BlockOutline| u64::from(block.wiring.is_gated());
        match only {
            Only::Estimation => each(&|_, _| 150),
            Only::Patches | Only::Readouts => each(&|_, _| 50),
            Only::Gates => each(&|_, block| 300 * gated(block)),
            Only::Influence => each(&|stage, _| 100 + 10 * stage.blocks.len() as u64),
            Only::Theory => each(&|_, block| 300 + 450 * gated(block)),
            Only::Ablation => each(&|_, _| 50),
            // Every step again, and back.
            Only::Gradients => 3 * run,
            _ => 0,
        }
    }
}

/// Fitting both sorts of read-outs after a block of so many channels, from both halves of the samples.
pub(super) fn fits(samples: usize, channels: usize, classes: usize) -> u64 {
    let [half, channels, classes] = [samples / 2, channels, classes].map(|n| n as u64);
    let step = 4 * half * channels * classes + UNIT * half * classes + CALLS;
    // Whitening is done in f64, on one thread, once for both sorts.
    let whitening = 2 * half * channels * channels + 5 * channels.pow(3);
    2 * (2 * STEPS as u64 * step + whitening)
}

fn units(stage: &StageOutline) -> u64 {
    stage.shape.iter().map(|&side| side as u64).product()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Model, ModelConfig, ModelKind};

    #[test]
    fn a_sweep_is_the_work_of_the_steps_that_it_takes() {
        let config = ModelConfig::new(ModelKind::Mlp).with_depth(4).with_width(8);
        let model = Model::new(&config, [1, 8, 8], 10, 0, &burn::tensor::Device::flex()).unwrap();
        let outline = crate::nn::Network::outline(&model);
        let work = Work::new(outline);
        let routes = |texts: &[&str]| texts.iter().map(|text| Route::parse(text, outline).unwrap()).collect::<Vec<_>>();
        let block = work.step(Step::Run(BlockId { stage: 0, block: 0 }));
        assert_eq!(block, 2 * 8 * 8 + UNIT * 8);
        let (ends, skip) = (work.stem() + 3 * work.head(), work.step(Step::Shortcut(BlockId { stage: 0, block: 0 })));
        // Of 1-3, 1-2 and 2-3: the first two share two blocks.
        assert_eq!(work.sweep(&routes(&["1-3", "2-3", "1-2"])), ends + 5 * block + 2 * skip);
        assert_eq!(work.sweep(&[]), 0);
    }
}
