//! What Section 3 and Section 4.1 of the paper predict of every block, against what is seen.

use super::influence::residual;
use super::moments::{Moments, average};
use super::score::Z95;
use super::walk::{Baseline, Probe, StageActivations};
use crate::Result;
use crate::nn::Outline;
use crate::nn::{BlockActivations, BlockId, Network, Wiring};
use crate::report::{Measurements, PerBlock, Theory};

/// Streams residuals, errors and gates of all blocks that keep the shape.
///
/// With `e = a_(k-1) - A`, `g = H - A` and `d = H - a_(k-1)`, Eq. 12 is
/// `T* = α1/(α1+α2) = (Var[e] + Var[d] - Var[g]) / (2·Var[d])`, which needs no covariance.
pub struct TheoryProbe {
    stages: Vec<Stage>,
}

struct Stage {
    keeps_shape: bool,
    wirings: Vec<Option<Wiring>>,
    /// `h` of every block of the batch under way; of one that is not gated nothing.
    new: Vec<Vec<f32>>,
    /// `a_k - A` of what entered and of every block.
    errors: Vec<Moments>,
    blocks: Vec<Block>,
}

#[derive(Clone, Default)]
struct Block {
    residual: Moments,
    gate: Moments,
    /// `H - A`.
    new_error: Moments,
    /// `H - a_(k-1)`.
    apart: Moments,
}

impl TheoryProbe {
    /// For a network.
    pub fn new(outline: &Outline) -> Self {
        let stage = |s: &crate::nn::StageOutline| Stage {
            keeps_shape: s.keeps_shape(),
            wirings: s.blocks.iter().map(|b| Some(b.wiring)).collect(),
            new: Vec::new(),
            errors: vec![Moments::default(); s.blocks.len() + 1],
            blocks: vec![Block::default(); s.blocks.len()],
        };
        Self { stages: outline.stages.iter().map(stage).collect() }
    }
}

impl<N: Network> Probe<N> for TheoryProbe {
    fn block(&mut self, network: &N, at: BlockId, inside: &BlockActivations<N::Estimate>, seen: &StageActivations) {
        let stage = &mut self.stages[at.stage];
        let units = seen.units();
        let mut h = Vec::new();
        if !seen.before().is_empty() {
            let block = &mut stage.blocks[at.block];
            let f = residual(network, stage.wirings[at.block], inside, seen);
            f.chunks_exact(units).for_each(|f| block.residual.add(f.iter().map(|&f| f64::from(f))));
            if let Some(gate) = &inside.transform {
                let gate = network.values(gate).0;
                gate.chunks_exact(units).for_each(|t| block.gate.add(t.iter().map(|&t| f64::from(t))));
                h = network.values(&inside.h).0;
            }
        }
        stage.new.push(h);
    }

    fn leave(&mut self, stage: usize, seen: &StageActivations) {
        let stage = &mut self.stages[stage];
        let new = std::mem::take(&mut stage.new);
        let units = seen.units();
        for (sample, target) in seen.after().chunks_exact(units).enumerate() {
            let apart = |a: &[f32], b: &[f32]| -> Vec<f64> {
                a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect()
            };
            let rows = (0..seen.estimates.len()).map(|row| seen.row(row, sample)).enumerate();
            for (row, estimate) in rows.filter(|(_, estimate)| !estimate.is_empty()) {
                stage.errors[row].add(apart(estimate, target).into_iter());
            }
            for (k, h) in new.iter().enumerate().filter(|(_, h)| !h.is_empty()) {
                let h = &h[sample * units..(sample + 1) * units];
                let block = &mut stage.blocks[k];
                block.new_error.add(apart(h, target).into_iter());
                block.apart.add(apart(h, seen.row(k, sample)).into_iter());
            }
        }
    }

    fn finish(self: Box<Self>, _: &Baseline, measured: &mut Measurements, _: &mut dyn FnMut(u64)) -> Result<()> {
        let mut theory = PerBlock::new();
        for (outline, stage) in measured.outline.stages.iter().zip(&self.stages) {
            let blocks = outline.blocks.iter().enumerate().skip(usize::from(!stage.keeps_shape));
            theory.extend(blocks.map(|(k, block)| (block.name().to_owned(), stage.theory(k))));
        }
        measured.theory = Some(theory);
        Ok(())
    }
}

impl Stage {
    fn theory(&self, k: usize) -> Theory {
        let block = &self.blocks[k];
        let residual = &block.residual;
        let (means, deviations) = (residual.means(), residual.deviations());
        let moving = means.iter().zip(&deviations).filter(|(_, d)| **d > 0.0);
        let relative: Vec<f64> = moving.map(|(m, d)| m.abs() / d).collect();
        let standard_error = |d: f64| d / residual.count().sqrt();
        let plausible = means.iter().zip(&deviations).filter(|(m, d)| m.abs() <= Z95 * standard_error(**d)).count();
        let (before, after) = (self.errors[k].deviations(), self.errors[k + 1].deviations());
        // A unit without error before and after, such as one that is never active, says nothing.
        let erring: Vec<_> = before.iter().zip(&after).filter(|(b, a)| **b > 0.0 || **a > 0.0).collect();
        let falls = erring.iter().filter(|(before, after)| after < before).count();
        let gates = block.gates(&before);
        let of = |gate: fn(&(f64, f64)) -> f64| average(gates.iter().map(gate));
        let fit = correlation(&gates);
        let gated = |value: f64| (!gates.is_empty()).then_some(value);
        Theory {
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
        defined.map(|(((e, g), d), t)| ((e * e + d * d - g * g) / (2.0 * d * d), *t)).collect()
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
