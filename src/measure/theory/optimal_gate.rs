//! The gate of Section 3.3: the transform gate that combines an estimate and a new one with the least variance.

use serde::{Deserialize, Serialize};

use super::LEAST_DEVIATION;
use crate::float_json;
use crate::measure::moments::{Moments, average};

/// The optimal transform gate of a block with coupled gates, `T* = α1/(α1+α2)` (Section 3.3, Eqs. 10 and 11), against the
/// learned one. Figures are over the units for which `T*` is defined: those with a difference of new value and estimate that
/// varies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OptimalGate {
    /// The optimal gate, averaged over the units.
    #[serde(with = "float_json")]
    pub optimal_gate: f64,
    /// The learned gate, averaged over samples and units.
    #[serde(with = "float_json")]
    pub learned_gate: f64,
    /// The correlation over the units of optimal and learned gate.
    #[serde(with = "float_json")]
    pub gate_correlation: f64,
    /// The slope of the learned gate against the optimal one, least squares over the units.
    #[serde(with = "float_json")]
    pub gate_slope: f64,
    /// The slope of `logit T` against `log(α1/α2) = logit T*`, over the units with T* between 0 and 1.
    #[serde(default = "float_json::nan", with = "float_json")]
    pub logit_slope: f64,
    /// The share of the units with T* below 0 or above 1, which no gate can reach.
    #[serde(default = "float_json::nan", with = "float_json")]
    pub optimal_gate_outside_share: f64,
    /// The share of the units with `T ≤ 2 T*`: for these the new estimate would vary at most as much as the old one, were the gate
    /// the learned mean for every sample.
    #[serde(default = "float_json::nan", with = "float_json")]
    pub variance_bound_share: f64,
    /// The premise of T*, that the new value is unbiased: the bias `E[H - A]` of the units over the standard deviation of
    /// `H - A`, both as root mean squares over the units, the bias corrected for noise.
    #[serde(default = "float_json::nan", with = "float_json")]
    pub new_value_bias_over_std: f64,
}

/// What is observed of the gate and the new value of a block.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct GateMoments {
    /// The learned gate `T`.
    pub(super) gate: Moments,
    /// `H - A`.
    pub(super) new_error: Moments,
    /// `H - a_(k-1)`.
    pub(super) new_minus_old: Moments,
}

impl GateMoments {
    pub(super) fn merge(&mut self, other: &Self) {
        self.gate.merge(&other.gate);
        self.new_error.merge(&other.new_error);
        self.new_minus_old.merge(&other.new_minus_old);
    }

    /// Returns the figures of a block, given the standard deviation of every unit's error before it; `None` where T* is
    /// defined for no unit.
    pub(super) fn optimal_gate(&self, error: &[f64]) -> Option<OptimalGate> {
        let gates = self.gates(error);
        if gates.is_empty() {
            return None;
        }
        let share = |holds: fn(&(f64, f64)) -> bool| {
            gates.iter().filter(|gate| holds(gate)).count() as f64 / gates.len() as f64
        };
        let logit = |p: f64| (p / (1.0 - p)).ln();
        let inside =
            gates.iter().filter(|(optimal, learned)| [optimal, learned].iter().all(|g| **g > 0.0 && **g < 1.0));
        let logits: Vec<(f64, f64)> = inside.map(|(optimal, learned)| (logit(*optimal), logit(*learned))).collect();
        let (gate_correlation, gate_slope) = correlation(&gates);
        Some(OptimalGate {
            optimal_gate: average(gates.iter().map(|gate| gate.0)),
            learned_gate: average(gates.iter().map(|gate| gate.1)),
            gate_correlation,
            gate_slope,
            logit_slope: correlation(&logits).1,
            optimal_gate_outside_share: share(|(optimal, _)| !(0.0..=1.0).contains(optimal)),
            variance_bound_share: share(|(optimal, learned)| *learned <= 2.0 * optimal),
            new_value_bias_over_std: self.new_error.bias() / self.new_error.pooled_std(),
        })
    }

    /// Optimal and learned gate of every unit for which the difference of `H` and the old estimate varies.
    fn gates(&self, error: &[f64]) -> Vec<(f64, f64)> {
        let (new, apart) = (self.new_error.deviations(), self.new_minus_old.deviations());
        let least = LEAST_DEVIATION * self.new_minus_old.pooled_std();
        let units = error.iter().zip(&new).zip(&apart).zip(self.gate.units());
        let defined = units.filter(|(((_, _), d), _)| **d > least);
        defined.map(|(((e, g), d), [t, ..])| ((e * e + d * d - g * g) / (2.0 * d * d), t)).collect()
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

    /// Independent errors of variance 1 (old) and 3 (new): the least variance is reached at a quarter of the new one.
    #[test]
    fn the_optimal_gate_weighs_by_variance() {
        let mut moments = GateMoments::default();
        let mut error = Moments::default();
        for (e, g) in [(1.0, 3f64.sqrt()), (1.0, -(3f64.sqrt())), (-1.0, 3f64.sqrt()), (-1.0, -(3f64.sqrt()))] {
            error.add([e, e].into_iter());
            moments.new_error.add([g, g].into_iter());
            moments.new_minus_old.add([g - e, g - e].into_iter());
            // The variance falls up to T = 2 T* = 1/2.
            moments.gate.add([0.3, 0.6].into_iter());
        }
        let found = moments.optimal_gate(&error.deviations()).unwrap();
        assert!((found.optimal_gate - 0.25).abs() < 1e-12 && (found.learned_gate - 0.45).abs() < 1e-12, "{found:?}");
        assert_eq!((found.optimal_gate_outside_share, found.variance_bound_share), (0.0, 0.5));
        assert_eq!(found.new_value_bias_over_std, 0.0);
    }
}
