//! Influence: how much every block, and every run of blocks, changes the estimate (ShortGPT 2024; Gromov et al. 2024;
//! Jastrzebski et al. 2018).

mod present;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::activations::{BlockView, StageActivations, dot};
use super::cost::Cost;
use super::measurement::{AnalysisInput, Measurement, Presented, Scope};
use super::moments::RunningMean;
use super::probe::Probe;
use super::score::{Estimate, PerBlock};
use crate::nn::{BlockId, StageOutline};
use crate::report::Section;

/// How much every block, and every run of blocks, changes the estimate.
pub struct Influence;

/// Influence of blocks and of runs of blocks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InfluenceResult {
    /// Every block that keeps the shape.
    pub influence: PerBlock<BlockInfluence>,
    /// Every run of blocks of a stage.
    pub runs: Vec<BlockRun>,
}

/// How much one block changes the estimate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockInfluence {
    /// `1 - cos(a_(k-1), a_k)`, averaged over the samples (ShortGPT, 2024).
    pub block_influence: Estimate,
    /// `‖F‖ / ‖a_(k-1)‖`, averaged over the samples; `F = t·h + c·x - x` (Jastrzebski et al. 2018).
    pub l2_ratio: Estimate,
}

/// A run of successive blocks of one stage: how far its output points away from its input (Gromov et al. 2024).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockRun {
    /// First block of the run.
    pub first: BlockId,
    /// Its last block.
    pub last: BlockId,
    /// Number of blocks.
    pub blocks: usize,
    /// `arccos(cos(a_in, a_out)) / π`, averaged over the samples: 0 the same direction, 0.5 orthogonal.
    pub angular_distance: Estimate,
}

/// Longer runs than this are not looked at: their number grows with the square of the depth.
const LONGEST_RUN: usize = 64;

/// Running directions and sizes of the estimates of all stages.
#[derive(Serialize, Deserialize)]
pub struct InfluenceProbe {
    stages: Vec<Stage>,
}

#[derive(Serialize, Deserialize)]
struct Stage {
    keeps_shape: bool,
    /// `‖F‖ / ‖a_(k-1)‖` of every block.
    ratios: Vec<RunningMean>,
    /// Of the estimates i and j, i < j, at `[i][j - i - 1]`: cosine and angle.
    cosines: Vec<Vec<RunningMean>>,
    angles: Vec<Vec<RunningMean>>,
}

impl Stage {
    fn new(stage: &StageOutline) -> Self {
        let estimates = stage.blocks.len() + 1;
        let row = |i: usize| vec![RunningMean::default(); (estimates - i - 1).min(LONGEST_RUN)];
        let triangle: Vec<Vec<RunningMean>> = (0..estimates).map(row).collect();
        Self {
            keeps_shape: stage.keeps_shape(),
            ratios: vec![RunningMean::default(); stage.blocks.len()],
            cosines: triangle.clone(),
            angles: triangle,
        }
    }
}

impl Measurement for Influence {
    type Output = InfluenceResult;
    type Probe = InfluenceProbe;

    const NAME: &'static str = "influence";
    const ABOUT: &'static str = "How much every block, and every run of blocks, changes the estimate";
    const KEYS: &'static [&'static str] = &["influence", "runs"];

    fn why_not(&self, scope: &Scope) -> Option<String> {
        let keeps_shape = scope.outline.blocks().any(|(_, block)| block.keeps_shape());
        (!keeps_shape).then(|| "every block changes the shape".into())
    }

    fn probe(&self, scope: &Scope) -> Option<InfluenceProbe> {
        Some(InfluenceProbe { stages: scope.outline.stages.iter().map(Stage::new).collect() })
    }

    fn cost(&self, scope: &Scope) -> Cost {
        Cost::of_probe(&scope.outline, |stage, _| 100 + 10 * stage.blocks.len() as u64)
    }

    fn analyse(&self, scope: &Scope, observed: &AnalysisInput<InfluenceProbe>) -> InfluenceResult {
        let mut result = InfluenceResult::default();
        let stages = observed.probe.iter().flat_map(|probe| &probe.stages);
        for (outline, stage) in scope.outline.stages.iter().zip(stages) {
            for (k, block) in outline.blocks.iter().enumerate().skip(usize::from(!stage.keeps_shape)) {
                let cosine = stage.cosines[k][0].estimate();
                let block_influence = Estimate { value: 1.0 - cosine.value, ..cosine };
                let l2_ratio = stage.ratios[k].estimate();
                result.influence.insert(block.id, BlockInfluence { block_influence, l2_ratio });
                result.runs.extend(stage.angles[k].iter().enumerate().map(|(offset, angle)| BlockRun {
                    first: block.id,
                    last: outline.blocks[k + offset].id,
                    blocks: offset + 1,
                    angular_distance: angle.estimate(),
                }));
            }
        }
        result
    }

    fn present(&self, networks: &[Presented<Self::Output>]) -> Section {
        present::section(networks)
    }
}

/// Returns the cosines of the pairs of estimates of a sample that are at most [`LONGEST_RUN`] blocks apart: the first of the pair,
/// how many are between it and the second, and the cosine. Nothing where no position of the sample counts.
fn cosines_of_pairs(activations: &StageActivations, sample: usize) -> Vec<(usize, usize, f64)> {
    if !activations.has_positions(sample) {
        return Vec::new();
    }
    let rows: Vec<&[f32]> = (0..activations.estimates.len()).map(|row| activations.row(row, sample)).collect();
    let norms: Vec<f64> = rows.iter().map(|a| dot(a, a).sqrt()).collect();
    let mut cosines = Vec::new();
    for (i, a) in rows.iter().enumerate().filter(|(_, a)| !a.is_empty()) {
        for (offset, b) in rows[i + 1..].iter().take(LONGEST_RUN).enumerate() {
            cosines.push((i, offset, (dot(a, b) / (norms[i] * norms[i + 1 + offset])).clamp(-1.0, 1.0)));
        }
    }
    cosines
}

impl Probe for InfluenceProbe {
    fn block(&mut self, block: &BlockView) {
        let (before, units) = (block.stage.before(), block.stage.units());
        let ratio = &mut self.stages[block.id.stage].ratios[block.id.block];
        let samples = block.residual().chunks_exact(units).zip(before.chunks_exact(units)).enumerate();
        for (_, (f, a)) in samples.filter(|(sample, _)| block.stage.has_positions(*sample)) {
            ratio.add((dot(f, f) / dot(a, a)).sqrt());
        }
    }

    fn stage(&mut self, stage: usize, activations: &StageActivations) {
        let stage = &mut self.stages[stage];
        let samples = 0..activations.labels.len();
        // Samples are added in their order, so that a mean does not depend on the number of threads.
        let cosines: Vec<_> = samples.into_par_iter().map(|sample| cosines_of_pairs(activations, sample)).collect();
        for (i, offset, cosine) in cosines.into_iter().flatten() {
            stage.cosines[i][offset].add(cosine);
            stage.angles[i][offset].add(cosine.acos() / std::f64::consts::PI);
        }
    }

    fn merge(&mut self, other: Self) {
        for (own, other) in self.stages.iter_mut().zip(&other.stages) {
            own.ratios.iter_mut().zip(&other.ratios).for_each(|(own, other)| own.merge(other));
            let cosines = own.cosines.iter_mut().flatten().zip(other.cosines.iter().flatten());
            cosines.for_each(|(own, other)| own.merge(other));
            let angles = own.angles.iter_mut().flatten().zip(other.angles.iter().flatten());
            angles.for_each(|(own, other)| own.merge(other));
        }
    }
}
