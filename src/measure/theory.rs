//! What Section 3 and Section 4.1 of the paper predict of every block, against what is seen.

mod present;

use serde::{Deserialize, Serialize};

use super::activations::{BlockView, StageActivations};
use super::cost::{Cost, estimate_bytes};
use super::measurement::{AnalysisInput, Measurement, Presented, Scope};
use super::moments::{Moments, average};
use super::probe::Probe;
use super::score::{PerBlock, Z95};
use crate::float_json;
use crate::nn::StageOutline;
use crate::report::Section;

/// `E[F]` against zero, falling variance, and the optimal gate of Eq. 12 against the learned one.
pub struct Theory;

/// What Section 3 of the paper predicts of one block, and what is seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockTheory {
    /// Mean over the units of `|E[F]| / std(F)`: how far the residual is from the zero mean of Eq. 9.
    #[serde(with = "float_json")]
    pub residual_mean_relative: f64,
    /// Share of units for which `E[F] = 0` is not rejected at 5 % (z test over the samples). The more samples, the smaller
    /// the means that are told from zero: compare it at equal numbers of samples only.
    #[serde(with = "float_json")]
    pub zero_mean_share: f64,
    /// Of the units with any error, the share whose `Var[a_k - A]` is below `Var[a_(k-1) - A]` (Section 4.1); of the last block all are.
    #[serde(with = "float_json")]
    pub variance_falls_share: f64,
    /// The optimal gate `T* = α1/(α1+α2)` (Eq. 12), averaged over the units for which it is defined; gated blocks only.
    #[serde(default, with = "float_json", skip_serializing_if = "Option::is_none")]
    pub optimal_gate: Option<f64>,
    /// The learned gate, averaged over samples and the same units.
    #[serde(default, with = "float_json", skip_serializing_if = "Option::is_none")]
    pub learned_gate: Option<f64>,
    /// Correlation over the units of optimal and learned gate.
    #[serde(default, with = "float_json", skip_serializing_if = "Option::is_none")]
    pub gate_correlation: Option<f64>,
    /// Slope of the learned gate against the optimal one (least squares over the units).
    #[serde(default, with = "float_json", skip_serializing_if = "Option::is_none")]
    pub gate_slope: Option<f64>,
}

/// Running residuals, errors and gates of all blocks that keep the shape.
///
/// With `e = a_(k-1) - A`, `g = H - A` and `d = H - a_(k-1)`, Eq. 12 is
/// `T* = α1/(α1+α2) = (Var[e] + Var[d] - Var[g]) / (2·Var[d])`, which needs no covariance.
#[derive(Serialize, Deserialize)]
pub struct TheoryProbe {
    stages: Vec<Stage>,
}

#[derive(Serialize, Deserialize)]
struct Stage {
    keeps_shape: bool,
    /// `h` of every block of the batch under way; empty for a block without a transform gate.
    new_values: Vec<Vec<f32>>,
    /// `a_k - A` of what entered and of every block.
    errors: Vec<Moments>,
    blocks: Vec<Block>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Block {
    residual: Moments,
    gate: Moments,
    /// `H - A`.
    new_error: Moments,
    /// `H - a_(k-1)`.
    apart: Moments,
}

impl Measurement for Theory {
    type Output = PerBlock<BlockTheory>;
    type Probe = TheoryProbe;

    const NAME: &'static str = "theory";
    const ABOUT: &'static str = "Zero-mean residuals, falling variance and optimal gates, as Section 3 predicts";

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
        Cost { bytes: estimate_bytes(&scope.outline).0, ..cost }
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
            add_all(&mut block.residual, view.residual(), view.stage);
            if let Some((gate, _)) = view.transform_gate() {
                add_all(&mut block.gate, gate, view.stage);
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
            let apart = |a: &[f32], b: &[f32]| -> Vec<f64> {
                a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect()
            };
            let rows = (0..activations.estimates.len()).map(|row| activations.row(row, sample)).enumerate();
            for (row, estimate) in rows.filter(|(_, estimate)| !estimate.is_empty()) {
                stage.errors[row].add_masked(apart(estimate, target).into_iter(), mask(sample));
            }
            for (k, h) in new_values.iter().enumerate().filter(|(_, h)| !h.is_empty()) {
                let h = &h[sample * units..(sample + 1) * units];
                let block = &mut stage.blocks[k];
                block.new_error.add_masked(apart(h, target).into_iter(), mask(sample));
                block.apart.add_masked(apart(h, activations.row(k, sample)).into_iter(), mask(sample));
            }
        }
    }

    fn merge(&mut self, other: Self) {
        for (own, other) in self.stages.iter_mut().zip(&other.stages) {
            own.errors.iter_mut().zip(&other.errors).for_each(|(own, other)| own.merge(other));
            for (own, other) in own.blocks.iter_mut().zip(&other.blocks) {
                own.residual.merge(&other.residual);
                own.gate.merge(&other.gate);
                own.new_error.merge(&other.new_error);
                own.apart.merge(&other.apart);
            }
        }
    }
}

impl Stage {
    fn theory(&self, k: usize) -> BlockTheory {
        let block = &self.blocks[k];
        let residual = &block.residual;
        let (means, deviations) = (residual.means(), residual.deviations());
        let moving = means.iter().zip(&deviations).filter(|(_, d)| **d > 0.0);
        let relative: Vec<f64> = moving.map(|(m, d)| m.abs() / d).collect();
        let counts = residual.counts();
        let units = means.iter().zip(&deviations).zip(&counts);
        let plausible = units.filter(|((m, d), n)| m.abs() <= Z95 * **d / n.sqrt()).count();
        let (before, after) = (self.errors[k].deviations(), self.errors[k + 1].deviations());
        // A unit without error before and after, such as one that is never active, says nothing.
        let erring: Vec<_> = before.iter().zip(&after).filter(|(b, a)| **b > 0.0 || **a > 0.0).collect();
        let falls = erring.iter().filter(|(before, after)| after < before).count();
        let gates = block.gates(&before);
        let of = |gate: fn(&(f64, f64)) -> f64| average(gates.iter().map(gate));
        let fit = correlation(&gates);
        let gated = |value: f64| (!gates.is_empty()).then_some(value);
        BlockTheory {
            residual_mean_relative: average(relative.into_iter()),
            zero_mean_share: plausible as f64 / means.len() as f64,
            variance_falls_share: falls as f64 / erring.len() as f64,
            optimal_gate: gated(of(|g| g.0)),
            learned_gate: gated(of(|g| g.1)),
            gate_correlation: gated(fit.0),
            gate_slope: gated(fit.1),
        }
    }
}

impl Block {
    /// Optimal and learned gate of every unit for which `H` ever differs from the old estimate.
    fn gates(&self, error: &[f64]) -> Vec<(f64, f64)> {
        let (new, apart) = (self.new_error.deviations(), self.apart.deviations());
        let units = error.iter().zip(&new).zip(&apart).zip(self.gate.means());
        let defined = units.filter(|(((_, _), d), _)| **d > 0.0);
        defined.map(|(((e, g), d), t)| ((e * e + d * d - g * g) / (2.0 * d * d), t)).collect()
    }
}

/// Pearson's correlation, and the least-squares slope of the second against the first.
fn correlation(pairs: &[(f64, f64)]) -> (f64, f64) {
    let (x, y) = (average(pairs.iter().map(|p| p.0)), average(pairs.iter().map(|p| p.1)));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (a, b) in pairs {
        xx += (a - x) * (a - x);
        yy += (b - y) * (b - y);
        xy += (a - x) * (b - y);
    }
    (xy / (xx * yy).sqrt(), xy / xx)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_correlation_of_a_line_is_1_and_its_slope_that_of_the_line() {
        let line: Vec<(f64, f64)> = (0..9).map(|i| (f64::from(i), 2.0 - 0.5 * f64::from(i))).collect();
        let (r, slope) = correlation(&line);
        assert!((r + 1.0).abs() < 1e-12 && (slope + 0.5).abs() < 1e-12);
    }

    /// Independent errors of variances 1 and 3: α1 = 1, α2 = 3, so the gate should open to a quarter.
    #[test]
    fn the_optimal_gate_weighs_by_variance() {
        let mut block = Block::default();
        let mut error = Moments::default();
        for (e, g) in [(1.0, 3f64.sqrt()), (1.0, -(3f64.sqrt())), (-1.0, 3f64.sqrt()), (-1.0, -(3f64.sqrt()))] {
            error.add([e].into_iter());
            block.new_error.add([g].into_iter());
            block.apart.add([g - e].into_iter());
            block.gate.add([0.3].into_iter());
        }
        let gates = block.gates(&error.deviations());
        assert!((gates[0].0 - 0.25).abs() < 1e-12 && (gates[0].1 - 0.3).abs() < 1e-12, "{gates:?}");
    }
}
