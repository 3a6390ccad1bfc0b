//! Scores of predictions, and figures with their uncertainty.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::Prediction;
use crate::float_json;
use crate::nn::BlockId;

/// Results by block, in the order in which the blocks run.
pub type PerBlock<T> = IndexMap<BlockId, T>;

/// The quantile of the normal distribution that leaves 2.5 % above it.
pub(super) const Z95: f64 = 1.959_963_984_540_054;

/// How well a network predicts the labels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The share of answers whose highest output is the label. NaN for answers that are no classes.
    #[serde(rename = "accuracy_fraction", alias = "accuracy", with = "float_json")]
    pub accuracy: f64,
    /// The mean cross-entropy, nats; for answers that are no classes, the mean distance from the whole network's.
    #[serde(rename = "loss_nats", alias = "loss", with = "float_json")]
    pub loss: f64,
    /// The number of samples.
    pub samples: u64,
    /// The number of answers, where a sample has one at each of its positions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positions: Option<u64>,
    /// The ends of the Wilson score interval of the accuracy. Positions of a sample are not independent: they count as as many
    /// samples as would give the same variance.
    #[serde(rename = "accuracy_fraction_ci95", alias = "accuracy_ci95", with = "float_json")]
    pub accuracy_ci95: [f64; 2],
    /// The half width of the normal interval of the loss.
    #[serde(rename = "loss_nats_ci95", alias = "loss_ci95", with = "float_json")]
    pub loss_ci95: f64,
}

/// A figure with its uncertainty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The figure over all samples.
    #[serde(with = "float_json")]
    pub value: f64,
    /// The half width of its 95 % interval.
    #[serde(with = "float_json")]
    pub ci95: f64,
}

impl Score {
    /// Returns the score of some predictions.
    pub fn of(predictions: &[Prediction]) -> Self {
        let answers: u64 = predictions.iter().map(|p| u64::from(p.positions)).sum();
        let is_single = predictions.iter().all(|p| p.positions == 1);
        let share = position_mean(predictions.iter().map(|p| (p.positions, p.accuracy)));
        let loss = position_mean(predictions.iter().map(|p| (p.positions, p.loss)));
        let accuracy = share.value;
        let counted = predictions.iter().filter(|p| p.positions > 0).count() as f64;
        let variance = (share.ci95 / Z95).powi(2);
        let n = match accuracy * (1.0 - accuracy) / variance {
            // Where all answers are alike, how alike the positions of a sample are is not known.
            independent if !is_single && independent.is_finite() && variance > 0.0 => independent.min(answers as f64),
            _ => counted,
        };
        let z2 = Z95 * Z95;
        let centre = (accuracy + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let half = Z95 / (1.0 + z2 / n) * (accuracy * (1.0 - accuracy) / n + z2 / (4.0 * n * n)).sqrt();
        Self {
            accuracy,
            loss: loss.value,
            samples: predictions.len() as u64,
            positions: (!is_single).then_some(answers),
            // At the ends the bounds are exact; rounding would leave 1e-19 of them.
            accuracy_ci95: [
                if accuracy == 0.0 { 0.0 } else { (centre - half).max(0.0) },
                if accuracy == 1.0 { 1.0 } else { (centre + half).min(1.0) },
            ],
            loss_ci95: loss.ci95,
        }
    }
}

/// Returns the mean of independent values and the half width of its normal interval; 0 where a single value gives none.
pub fn mean(values: impl Iterator<Item = f64>) -> Estimate {
    let values: Vec<f64> = values.collect();
    let n = values.len() as f64;
    // A sum, so that shares of counts are exact.
    let value = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x - value).powi(2)).sum();
    Estimate { value, ci95: Z95 * (squares / (n - 1.0).max(1.0) / n).sqrt() }
}

/// Returns the mean over all positions of a figure that is known as the mean over the positions of each sample, and the half
/// width of its normal interval. `values` are the number of positions of every sample, and its figure.
///
/// Samples are independent, their positions are not: the variance is that of the ratio `Σ w·x / Σ w` of two sums over
/// samples, `n/(n-1) · Σ w²·(x - mean)² / (Σ w)²`. Samples without positions are left out.
pub(super) fn position_mean(values: impl Iterator<Item = (u32, f64)>) -> Estimate {
    let values: Vec<(f64, f64)> = values.filter(|(w, _)| *w > 0).map(|(w, x)| (f64::from(w), x)).collect();
    if values.windows(2).all(|pair| pair[0].0 == pair[1].0) {
        return mean(values.iter().map(|(_, x)| *x));
    }
    let n = values.len() as f64;
    let total: f64 = values.iter().map(|(w, _)| w).sum();
    let value = values.iter().map(|(w, x)| w * x).sum::<f64>() / total;
    let squares: f64 = values.iter().map(|(w, x)| (w * (x - value)).powi(2)).sum();
    Estimate { value, ci95: Z95 * (n / (n - 1.0) * squares).sqrt() / total }
}

/// Returns the mean over all positions of the difference of two predictions of each sample.
pub(super) fn paired(one: &[Prediction], other: &[Prediction], figure: fn(&Prediction) -> f64) -> Estimate {
    position_mean(one.iter().zip(other).map(|(a, b)| (a.positions, figure(a) - figure(b))))
}

/// Returns how often something is so, with its interval.
pub(super) fn share(values: impl Iterator<Item = bool>) -> Estimate {
    mean(values.map(|value| f64::from(u8::from(value))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        let prediction = |is_correct| Prediction {
            positions: 1,
            accuracy: f64::from(u8::from(is_correct)),
            loss: 1.0,
            ..Prediction::default()
        };
        let score = Score::of(&(0..10).map(|i| prediction(i < 8)).collect::<Vec<_>>());
        // Wilson's interval for 8 of 10: 0.4902 to 0.9433.
        assert!((score.accuracy_ci95[0] - 0.4902).abs() < 1e-4, "{score:?}");
        assert!((score.accuracy_ci95[1] - 0.9433).abs() < 1e-4, "{score:?}");
        assert_eq!((score.loss, score.loss_ci95, score.positions), (1.0, 0.0, None));
    }

    /// Sentences of one and of three words.
    fn sentences(accuracies: &[(u32, f64)]) -> Score {
        let prediction =
            |&(positions, accuracy)| Prediction { positions, accuracy, loss: accuracy, ..Prediction::default() };
        Score::of(&accuracies.iter().map(prediction).collect::<Vec<_>>())
    }

    #[test]
    fn every_position_counts_once_and_samples_are_independent() {
        let score = sentences(&[(1, 0.0), (3, 1.0), (1, 1.0), (3, 1.0 / 3.0)]);
        assert_eq!((score.samples, score.positions), (4, Some(8)));
        assert!((score.accuracy - 5.0 / 8.0).abs() < 1e-15);
        // Σ (w·(x - 5/8))² over the sentences, times 4/3, is the variance of the sum of 8 positions.
        let squares = [-0.625_f64, 1.125, 0.375, -0.875].map(|e| e * e).iter().sum::<f64>();
        assert!((score.loss_ci95 - Z95 * (4.0 / 3.0 * squares).sqrt() / 8.0).abs() < 1e-12, "{score:?}");
        // As wide as that of fewer than eight independent answers, wider than that of eight.
        let [low, high] = score.accuracy_ci95;
        assert!(high - low > 0.6 && low > 0.0 && high < 1.0, "{score:?}");
    }

    #[test]
    fn masked_samples_count_nowhere() {
        let with = sentences(&[(2, 0.5), (0, f64::NAN), (3, 1.0)]);
        let without = sentences(&[(2, 0.5), (3, 1.0)]);
        assert_eq!((with.accuracy, with.loss_ci95, with.positions), (without.accuracy, without.loss_ci95, Some(5)));
    }

    #[test]
    fn answers_that_all_agree_have_the_interval_of_as_many_samples() {
        let sure = sentences(&[(3, 1.0), (3, 1.0)]);
        let two = sentences(&[(1, 1.0), (1, 1.0)]);
        assert_eq!(sure.accuracy_ci95, two.accuracy_ci95);
    }
}
