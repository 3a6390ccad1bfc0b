//! What Section 3 and Section 4.1 of the paper predict of every block, against what is seen.

mod optimal_gate;
mod present;

use serde::{Deserialize, Serialize};

use super::activations::{BlockView, StageActivations};
use super::cost::{Cost, estimate_bytes, moments_bytes};
use super::interval::t95;
use super::measurement::{AnalysisInput, Measurement, Presented, Scope};
use super::moments::Moments;
use super::probe::Probe;
use super::score::PerBlock;
use crate::float_json;
use crate::nn::{StageOutline, Wiring};
use crate::report::Section;
use optimal_gate::GateMoments;

pub use optimal_gate::OptimalGate;

/// `E[F]` against zero, falling variance, and the gate of least variance against the learned one.
pub struct Theory;

/// What Section 3 of the paper predicts of one block, and what is seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockTheory {
    /// How far the step `a_k - a_(k-1)` is from the zero mean of Eq. 8: the bias of the units over the standard deviation of
    /// the step, both as root mean squares over the units, the bias corrected for noise.
    #[serde(default = "float_json::nan", with = "float_json")]
    pub step_bias_over_std: f64,
    /// The same of the residual `F = t·h + c·x - x`. It differs from the step where a ReLU follows the sum.
    #[serde(default = "float_json::nan", with = "float_json")]
    pub residual_bias_over_std: f64,
    /// Share of units for which a step of zero mean is not rejected at 5 % (t test over the samples). The more samples, the
    /// smaller the means that are told from zero: compare it at equal numbers of samples only.
    #[serde(with = "float_json")]
    pub zero_mean_share: f64,
    /// Of the units with any error, the share whose `Var[a_k - A]` is below `Var[a_(k-1) - A]` (Section 4.1); of the last
    /// block all are.
    #[serde(with = "float_json")]
    pub variance_falls_share: f64,
    /// The gate of Section 3.3, of blocks with coupled gates. The last block of a stage has none: its own output is the
    /// target there.
    #[serde(flatten)]
    pub gate: Option<OptimalGate>,
}

/// A unit with a smaller standard deviation than this share of the root mean square over the units is left out: whether its
/// variance falls, and the ratios of such deviations, are rounding.
const LEAST_DEVIATION: f64 = 1e-3;

/// Running residuals, errors and gates of all blocks that keep the shape.
///
/// With `e = a_(k-1) - A`, `g = H - A` and `d = H - a_(k-1)`, the gate of least variance (Eqs. 10 and 11) is
/// `T* = α1/(α1+α2) = (Var[e] + Var[d] - Var[g]) / (2·Var[d])`, which needs no covariance.
#[derive(Serialize, Deserialize)]
pub struct TheoryProbe {
    stages: Vec<Stage>,
}

#[derive(Serialize, Deserialize)]
struct Stage {
    keeps_shape: bool,
    /// `h` of every block of the batch under way; empty for a block without coupled gates.
    new_values: Vec<Vec<f32>>,
    /// `a_k - A` of what entered and of every block.
    errors: Vec<Moments>,
    blocks: Vec<Block>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Block {
    /// `a_k - a_(k-1)`.
    step: Moments,
    /// `t·h + c·x - x`.
    residual: Moments,
    gates: GateMoments,
}

impl Measurement for Theory {
    type Output = PerBlock<BlockTheory>;
    type Probe = TheoryProbe;

    const HAS_NULL: bool = true;
    const NAME: &'static str = "theory";
    const ABOUT: &'static str = "Zero-mean steps, falling variance and optimal gates, as Section 3 predicts";

    fn why_not(&self, scope: &Scope) -> Option<String> {
        let keeps_shape = scope.outline.blocks().any(|(_, block)| block.keeps_shape());
        (!keeps_shape).then(|| "every block changes the shape".into())
    }

    fn probe(&self, scope: &Scope) -> Option<TheoryProbe> {
        let stage = |s: &StageOutline| Stage {
            keeps_shape: s.keeps_shape(),
            new_values: Vec::new(),
            errors: vec![Moments::default(); s.blocks.len() + 1],
            blocks: vec![Block::default(); s.blocks.len()],
        };
        Some(TheoryProbe { stages: scope.outline.stages.iter().map(stage).collect() })
    }

    fn cost(&self, scope: &Scope) -> Cost {
        let cost = Cost::of_probe(&scope.outline, |_, block| 300 + 450 * u64::from(block.wiring.is_gated()));
        let is_gated = scope.outline.blocks().any(|(_, block)| block.wiring.is_gated());
        // Errors, steps and residuals; of gated blocks three more.
        let kept = moments_bytes(&scope.outline, if is_gated { 6 } else { 3 });
        Cost { bytes: estimate_bytes(&scope.outline).0, kept, ..cost }
    }

    fn analyse(&self, scope: &Scope, observed: &AnalysisInput<TheoryProbe>) -> PerBlock<BlockTheory> {
        let stages = observed.probe.iter().flat_map(|probe| &probe.stages);
        let blocks = scope.outline.stages.iter().zip(stages).flat_map(|(outline, stage)| {
            let blocks = outline.blocks.iter().enumerate().skip(usize::from(!stage.keeps_shape));
            blocks.map(|(k, block)| (block.id, stage.theory(k)))
        });
        blocks.collect()
    }

    fn present(&self, networks: &[Presented<Self::Output>]) -> Section {
        present::section(networks)
    }
}

fn add_all(moments: &mut Moments, values: &[f32], stage: &StageActivations) {
    let rows = values.chunks_exact(stage.units()).enumerate();
    rows.for_each(|(n, row)| moments.add_masked(row.iter().map(|&v| f64::from(v)), stage.mask_of(n)));
}

impl Probe for TheoryProbe {
    fn block(&mut self, view: &BlockView) {
        let stage = &mut self.stages[view.id.stage];
        let mut h = Vec::new();
        if !view.stage.before().is_empty() {
            let block = &mut stage.blocks[view.id.block];
            let step: Vec<f32> = view.stage.after().iter().zip(view.stage.before()).map(|(a, b)| a - b).collect();
            add_all(&mut block.step, &step, view.stage);
            add_all(&mut block.residual, view.residual(), view.stage);
            // T* belongs to a new value that replaces as much of the estimate as it adds.
            if let (Wiring::Highway, Some((gate, _))) = (view.wiring, view.transform_gate()) {
                add_all(&mut block.gates.gate, gate, view.stage);
                h = view.new_value().to_vec();
            }
        }
        stage.new_values.push(h);
    }

    fn stage(&mut self, stage: usize, activations: &StageActivations) {
        let stage = &mut self.stages[stage];
        let new_values = std::mem::take(&mut stage.new_values);
        let units = activations.units();
        let mask = |sample| activations.mask_of(sample);
        for (sample, target) in activations.after().chunks_exact(units).enumerate() {
            let difference = |a: &[f32], b: &[f32]| -> Vec<f64> {
                a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect()
            };
            let rows = (0..activations.estimates.len()).map(|row| activations.row(row, sample)).enumerate();
            for (row, estimate) in rows.filter(|(_, estimate)| !estimate.is_empty()) {
                stage.errors[row].add_masked(difference(estimate, target).into_iter(), mask(sample));
            }
            for (k, h) in new_values.iter().enumerate().filter(|(_, h)| !h.is_empty()) {
                let h = &h[sample * units..(sample + 1) * units];
                let block = &mut stage.blocks[k].gates;
                block.new_error.add_masked(difference(h, target).into_iter(), mask(sample));
                block.new_minus_old.add_masked(difference(h, activations.row(k, sample)).into_iter(), mask(sample));
            }
        }
    }

    fn merge(&mut self, other: Self) {
        for (own, other) in self.stages.iter_mut().zip(&other.stages) {
            own.errors.iter_mut().zip(&other.errors).for_each(|(own, other)| own.merge(other));
            for (own, other) in own.blocks.iter_mut().zip(&other.blocks) {
                own.step.merge(&other.step);
                own.residual.merge(&other.residual);
                own.gates.merge(&other.gates);
            }
        }
    }
}

impl Stage {
    fn theory(&self, k: usize) -> BlockTheory {
        let block = &self.blocks[k];
        let units = block.step.units();
        let plausible = units.iter().filter(|[m, d, n]| m.abs() <= t95(n - 1.0) * d / n.sqrt()).count();
        let [before, after] = [&self.errors[k], &self.errors[k + 1]];
        let least = LEAST_DEVIATION * before.pooled_std().max(after.pooled_std());
        let (before, after) = (before.deviations(), after.deviations());
        let erring: Vec<_> = before.iter().zip(&after).filter(|(b, a)| **b > least || **a > least).collect();
        let falls = erring.iter().filter(|(before, after)| after < before).count();
        let is_last = k + 1 == self.blocks.len();
        BlockTheory {
            step_bias_over_std: block.step.bias() / block.step.pooled_std(),
            residual_bias_over_std: block.residual.bias() / block.residual.pooled_std(),
            zero_mean_share: plausible as f64 / units.len() as f64,
            variance_falls_share: falls as f64 / erring.len() as f64,
            gate: if is_last { None } else { block.gates.optimal_gate(&before) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two units of one stage: one that hardly varies, as at the border of an image, and one that does.
    #[test]
    fn a_unit_that_hardly_varies_does_not_dominate() {
        let mut stage = Stage {
            keeps_shape: true,
            new_values: vec![],
            errors: vec![Moments::default(); 2],
            blocks: vec![Block::default()],
        };
        for sample in 0..40 {
            let sign = if sample % 2 == 0 { 1.0 } else { -1.0 };
            // The first unit has a mean of 1000 of its deviations, which are a millionth of the second unit's.
            let tiny = if sample == 0 { 2e-6 } else { 1e-3 };
            stage.blocks[0].step.add([tiny, sign + 0.1].into_iter());
            stage.blocks[0].residual.add([tiny, sign + 0.1].into_iter());
            stage.errors[0].add([1e-6 * sign, 2.0 * sign].into_iter());
            stage.errors[1].add([2e-6 * sign, sign].into_iter());
        }
        let found = stage.theory(0);
        // The bias of 0.1, less the variance of a mean of 40 samples, over a deviation of about 1.
        let expected = ((0.01 - 40.0 / 39.0 / 40.0_f64) / (40.0 / 39.0)).max(0.0).sqrt();
        assert!((found.step_bias_over_std - expected).abs() < 1e-3, "{found:?}");
        assert_eq!(found.variance_falls_share, 1.0);
    }
}
