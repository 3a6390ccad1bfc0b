//! Influence: how much every block, and every run of blocks, changes the estimate (ShortGPT 2024; Gromov et al. 2024;
//! Jastrzebski et al. 2018).

use super::moments::Stream;
use super::walk::{Baseline, Probe, StageActivations};
use crate::Result;
use crate::nn::Outline;
use crate::nn::{BlockActivations, BlockId, Network, Wiring};
use crate::report::{Influence, Measurements, Run};

/// Longer runs than this are not looked at: their number grows with the square of the depth.
const LONGEST_RUN: usize = 64;

/// Streams directions and sizes of the estimates of all stages.
pub struct InfluenceProbe {
    stages: Vec<Stage>,
}

struct Stage {
    keeps_shape: bool,
    wirings: Vec<Option<Wiring>>,
    /// `‖F‖ / ‖a_(k-1)‖` of every block.
    ratios: Vec<Stream>,
    /// Of the estimates i and j, i < j, at `[i][j - i - 1]`: cosine and angle.
    cosines: Vec<Vec<Stream>>,
    angles: Vec<Vec<Stream>>,
}

impl InfluenceProbe {
    /// For a network.
    pub fn new(outline: &Outline) -> Self {
        let stage = |s: &crate::nn::StageOutline| {
            let estimates = s.blocks.len() + 1;
            let triangle: Vec<Vec<Stream>> =
                (0..estimates).map(|i| vec![Stream::default(); (estimates - i - 1).min(LONGEST_RUN)]).collect();
            Stage {
                keeps_shape: s.keeps_shape(),
                wirings: s.blocks.iter().map(|b| Some(b.wiring)).collect(),
                ratios: vec![Stream::default(); s.blocks.len()],
                cosines: triangle.clone(),
                angles: triangle,
            }
        };
        Self { stages: outline.stages.iter().map(stage).collect() }
    }
}

impl<N: Network> Probe<N> for InfluenceProbe {
    fn block(&mut self, network: &N, at: BlockId, inside: &BlockActivations<N::Estimate>, seen: &StageActivations) {
        let stage = &mut self.stages[at.stage];
        if seen.before().is_empty() {
            return;
        }
        let residual = residual(network, stage.wirings[at.block], inside, seen);
        let units = seen.units();
        for (f, a) in residual.chunks_exact(units).zip(seen.before().chunks_exact(units)) {
            stage.ratios[at.block].add((dot(f, f) / dot(a, a)).sqrt());
        }
    }

    fn leave(&mut self, stage: usize, seen: &StageActivations) {
        let stage = &mut self.stages[stage];
        for sample in 0..seen.labels.len() {
            let rows: Vec<&[f32]> = (0..seen.estimates.len()).map(|row| seen.row(row, sample)).collect();
            let norms: Vec<f64> = rows.iter().map(|a| dot(a, a).sqrt()).collect();
            for (i, a) in rows.iter().enumerate().filter(|(_, a)| !a.is_empty()) {
                for (offset, b) in rows[i + 1..].iter().take(LONGEST_RUN).enumerate() {
                    let cosine = (dot(a, b) / (norms[i] * norms[i + 1 + offset])).clamp(-1.0, 1.0);
                    stage.cosines[i][offset].add(cosine);
                    stage.angles[i][offset].add(cosine.acos() / std::f64::consts::PI);
                }
            }
        }
    }

    fn finish(self: Box<Self>, _: &Baseline, measured: &mut Measurements, _: &mut dyn FnMut(u64)) -> Result<()> {
        let (mut influence, mut runs) = (crate::report::PerBlock::new(), Vec::new());
        for (outline, stage) in measured.outline.stages.iter().zip(self.stages) {
            for (k, block) in outline.blocks.iter().enumerate().skip(usize::from(!stage.keeps_shape)) {
                let cosine = stage.cosines[k][0].estimate();
                let block_influence = crate::report::Estimate { value: 1.0 - cosine.value, ..cosine };
                let l2_ratio = stage.ratios[k].estimate();
                influence.insert(block.name().to_owned(), Influence { block_influence, l2_ratio });
                runs.extend(stage.angles[k].iter().enumerate().map(|(offset, angle)| Run {
                    first: block.name().to_owned(),
                    last: outline.blocks[k + offset].name().to_owned(),
                    blocks: offset + 1,
                    angular_distance: angle.estimate(),
                }));
            }
        }
        (measured.influence, measured.runs) = (Some(influence), Some(runs));
        Ok(())
    }
}

/// The values of the latest block's `F = t·h + c·x - x`; of a wiring that is none of ours the step `a_k - a_(k-1)`.
pub(super) fn residual<N: Network>(
    network: &N,
    wiring: Option<Wiring>,
    inside: &BlockActivations<N::Estimate>,
    seen: &StageActivations,
) -> Vec<f32> {
    let (before, after) = (seen.before(), seen.after());
    let Some(wiring) = wiring else { return after.iter().zip(before).map(|(a, b)| a - b).collect() };
    let h = network.values(&inside.h).0;
    let gate = |gate: &Option<N::Estimate>| gate.as_ref().map(|gate| network.values(gate).0);
    let (t, c) = (gate(&inside.transform), gate(&inside.carry));
    let at = |gate: &Option<Vec<f32>>, i: usize| gate.as_ref().map(|gate| gate[i]);
    (0..h.len()).map(|i| wiring.residual(h[i], at(&t, i), at(&c, i), before[i])).collect()
}

/// The inner product, summed in f64 along eight lanes so that it fills a vector register.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0_f64; 8];
    let (whole, rest) = (a.chunks_exact(8).zip(b.chunks_exact(8)), a.len() / 8 * 8);
    for (a, b) in whole {
        for lane in 0..8 {
            sums[lane] += f64::from(a[lane]) * f64::from(b[lane]);
        }
    }
    let rest = a[rest..].iter().zip(&b[rest..]).map(|(a, b)| f64::from(*a) * f64::from(*b));
    sums.iter().sum::<f64>() + rest.sum::<f64>()
}
