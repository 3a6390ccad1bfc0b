//! Scores of predictions, and figures with their uncertainty.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::Prediction;
use super::moments::RunningMean;
use crate::float_json;
use crate::nn::BlockId;

/// Results by block, in the order in which the blocks run.
pub type PerBlock<T> = IndexMap<BlockId, T>;

/// The quantile of the normal distribution that leaves 2.5 % above it.
pub(super) const Z95: f64 = 1.959_963_984_540_054;

/// How well a network predicts the labels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The share of samples whose highest output is their label.
    #[serde(rename = "accuracy_fraction", alias = "accuracy", with = "float_json")]
    pub accuracy: f64,
    /// The mean cross-entropy, nats.
    #[serde(rename = "loss_nats", alias = "loss", with = "float_json")]
    pub loss: f64,
    /// The number of samples.
    pub samples: u64,
    /// The ends of the Wilson score interval of the accuracy.
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
        let n = predictions.len() as f64;
        let accuracy = predictions.iter().filter(|p| p.is_correct).count() as f64 / n;
        let loss = mean(predictions.iter().map(|p| p.loss));
        let z2 = Z95 * Z95;
        let centre = (accuracy + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let half = Z95 / (1.0 + z2 / n) * (accuracy * (1.0 - accuracy) / n + z2 / (4.0 * n * n)).sqrt();
        Self {
            accuracy,
            loss: loss.value,
            samples: predictions.len() as u64,
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
    let mut running = RunningMean::default();
    values.for_each(|value| running.add(value));
    running.estimate()
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
        let prediction = |is_correct| Prediction { class: 0, is_correct, loss: 1.0, kl: 0.0, confidence: 1.0 };
        let score = Score::of(&(0..10).map(|i| prediction(i < 8)).collect::<Vec<_>>());
        // Wilson's interval for 8 of 10: 0.4902 to 0.9433.
        assert!((score.accuracy_ci95[0] - 0.4902).abs() < 1e-4, "{score:?}");
        assert!((score.accuracy_ci95[1] - 0.9433).abs() < 1e-4, "{score:?}");
        assert_eq!((score.loss, score.loss_ci95), (1.0, 0.0));
    }
}
