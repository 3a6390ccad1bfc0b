//! How long a measurement takes and how much memory it needs, for the progress bar and the batch size.
//!
//! Work is counted in FLOPs of the network's layers; everything else in as many FLOPs as take that long. The factors were
//! measured on a ResNet-20 and need only be right to a factor of two.

use super::Prediction;
use super::measurement::Scope;
use super::memory::Need;
use super::moments::Moments;
use crate::nn::{BlockId, BlockOutline, Outline, Route, StageOutline, Step};

/// Of a block, for each unit of its estimate: normalizations, activations, the sum.
pub(super) const UNIT: u64 = 100;

/// What a measurement takes beyond the routes that it follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Work of its probe for one sample, FLOPs.
    pub probe: u64,
    /// Memory of its probe for each sample of a batch, bytes.
    pub bytes: u64,
    /// Memory of what its probe keeps until the end, bytes.
    pub kept: u64,
    /// Work of its analysis, FLOPs.
    pub analysis: u64,
}

impl Cost {
    /// Returns the cost of a probe alone, whose work for one unit of a block's estimate is given.
    pub fn of_probe(outline: &Outline, work: impl Fn(&StageOutline, &BlockOutline) -> u64) -> Self {
        let stages = outline.stages.iter();
        let probe =
            stages.flat_map(|s| s.blocks.iter().map(|block| units(s) * work(s, block)).collect::<Vec<_>>()).sum();
        Self { probe, ..Self::default() }
    }
}

/// Returns the memory that measurements take. For each sample of a batch: estimates that are kept at once, what a block at work needs,
/// what the probes need, and the outputs along every route of a sweep. Besides: what the probes keep, and the predictions
/// along all routes.
///
/// `routes` are the numbers of routes of the measurements; `reserved` bytes are taken by something else.
pub(super) fn memory_needed(scope: &Scope, costs: &[Cost], routes: &[usize], reserved: u64) -> Need {
    let outline = &scope.outline;
    let stages = || outline.stages.iter().map(|s| units(s) * (s.blocks.len() as u64 + 1));
    let input = outline.input.iter().map(|&side| side as u64).product();
    let widest = outline.stages.iter().map(units).max().unwrap_or(0).max(input);
    // A 3x3 convolution that unfolds its input holds nine copies of it beside input, output, gates and skip.
    let working = 16 * widest;
    let positions = outline.answer.count() as u64;
    let most_routes = routes.iter().max().copied().unwrap_or(0) as u64 + 1;
    let outputs = most_routes * outline.classes as u64 * positions;
    let floats = (stages().max().unwrap_or(0) + working + outputs).max(1);
    let predictions = routes.iter().map(|&routes| routes as u64 + 1).sum::<u64>() * scope.samples as u64;
    Need {
        // The state of one probe at a time is copied to be saved; predictions are.
        fixed: reserved
            + costs.iter().map(|cost| cost.kept).sum::<u64>()
            + costs.iter().map(|cost| cost.kept).max().unwrap_or(0)
            + 2 * predictions * size_of::<Prediction>() as u64,
        per_sample: size_of::<f32>() as u64 * floats + costs.iter().map(|cost| cost.bytes).sum::<u64>(),
    }
}

/// Returns the bytes of the estimates of the largest stage, and of all stages, for one sample.
pub(super) fn estimate_bytes(outline: &Outline) -> (u64, u64) {
    let stages = || outline.stages.iter().map(|s| size_of::<f32>() as u64 * units(s) * (s.blocks.len() as u64 + 1));
    (stages().max().unwrap_or(0), stages().sum())
}

/// Returns the bytes of so many running means and variances of every unit of every block, and of what enters each stage.
pub(super) fn moments_bytes(outline: &Outline, moments: u64) -> u64 {
    estimate_bytes(outline).1 / size_of::<f32>() as u64 * moments * Moments::BYTES_PER_UNIT
}

/// Returns the bytes of one value for every channel of every block and sample.
pub(super) fn channel_bytes(outline: &Outline, samples: usize) -> u64 {
    let channels = outline.stages.iter().map(|s| s.shape[0] as u64 * s.blocks.len() as u64).sum::<u64>();
    channels * samples as u64 * size_of::<f32>() as u64
}

/// The work of one sample's steps along a network.
pub(super) struct CostModel<'a> {
    outline: &'a Outline,
    /// Of the stem; of the head.
    stem: u64,
    head: u64,
}

impl<'a> CostModel<'a> {
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
}

pub(super) fn units(stage: &StageOutline) -> u64 {
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
        let work = CostModel::new(outline);
        let routes = |texts: &[&str]| texts.iter().map(|text| Route::parse(text, outline).unwrap()).collect::<Vec<_>>();
        let block = work.step(Step::Run(BlockId { stage: 0, block: 0 }));
        assert_eq!(block, 2 * 8 * 8 + UNIT * 8);
        let (ends, skip) = (work.stem() + 3 * work.head(), work.step(Step::Shortcut(BlockId { stage: 0, block: 0 })));
        // Of 1-3, 1-2 and 2-3: the first two share two blocks.
        assert_eq!(work.sweep(&routes(&["1-3", "2-3", "1-2"])), ends + 5 * block + 2 * skip);
        assert_eq!(work.sweep(&[]), 0);
    }
}
