//! Scores of predictions, and figures with their uncertainty.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::Prediction;
use super::interval::{change, position_mean, wilson};
use crate::nn::BlockId;
use crate::{Error, Result, float_json};

/// Results by block, in the order in which the blocks run.
pub type PerBlock<T> = IndexMap<BlockId, T>;

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
    /// The half width of the 95 % interval of the loss, by Student's t distribution; NaN where it has none, as of one sample.
    #[serde(rename = "loss_nats_ci95", alias = "loss_ci95", with = "float_json")]
    pub loss_ci95: f64,
}

/// A figure with its uncertainty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The figure over all samples.
    #[serde(with = "float_json")]
    pub value: f64,
    /// The half width of its 95 % interval; NaN where it has none, as of one sample.
    #[serde(with = "float_json")]
    pub ci95: f64,
}

impl Score {
    /// Returns the score of some predictions.
    pub fn of(predictions: &[Prediction]) -> Self {
        let is_single = predictions.iter().all(|p| p.positions == 1);
        let (accuracy, accuracy_ci95) = wilson(predictions.iter().map(|p| (p, p.accuracy)));
        let loss = position_mean(predictions.iter().map(|p| (p, p.loss)));
        Self {
            accuracy,
            loss: loss.value,
            samples: predictions.len() as u64,
            positions: (!is_single).then(|| predictions.iter().map(|p| u64::from(p.positions)).sum()),
            accuracy_ci95,
            loss_ci95: loss.ci95,
        }
    }

    /// Checks that the loss of a whole network is finite. Where it is not, its outputs are not, and nothing that is measured of it
    /// means anything.
    ///
    /// # Errors
    /// [`Error::NonFinite`] that names the network.
    pub fn check_finite(&self, network: &str) -> Result<()> {
        if self.loss.is_finite() {
            return Ok(());
        }
        let what = format!(
            "the loss of the whole network is {}: it needs weights and samples whose outputs are finite",
            self.loss
        );
        Err(Error::NonFinite { place: network.into(), what })
    }
}

impl Estimate {
    /// Returns whether the figure may be zero: its interval contains zero, or it has none.
    pub fn may_be_zero(self) -> bool {
        self.ci95.is_nan() || self.value.abs() <= self.ci95
    }
}

/// Returns how much more of the positions one prediction has correct than another, compared sample by sample.
pub(super) fn paired_accuracy(one: &[Prediction], other: &[Prediction]) -> Estimate {
    change(one.iter().zip(other).map(|(a, b)| (a, a.accuracy - b.accuracy)))
}

/// Returns how much greater the loss of one prediction is than that of another, compared sample by sample.
pub(super) fn paired_loss(one: &[Prediction], other: &[Prediction]) -> Estimate {
    position_mean(one.iter().zip(other).map(|(a, b)| (a, a.loss - b.loss)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::interval::t95;

    #[test]
    fn the_interval_is_wilsons() {
        let prediction = |is_correct| Prediction {
            positions: 1,
            accuracy: f64::from(u8::from(is_correct)),
            loss: 1.0,
            ..Prediction::default()
        };
        let score = Score::of(&(0..10).map(|i| Prediction { group: i, ..prediction(i < 8) }).collect::<Vec<_>>());
        // Wilson's interval for 8 of 10: 0.4902 to 0.9433.
        assert!((score.accuracy_ci95[0] - 0.4902).abs() < 1e-4, "{score:?}");
        assert!((score.accuracy_ci95[1] - 0.9433).abs() < 1e-4, "{score:?}");
        assert_eq!((score.loss, score.positions), (1.0, None));
        assert!(score.loss_ci95.is_nan(), "losses that are all alike have no interval");
    }

    /// Sentences of one and of three words.
    fn sentences(accuracies: &[(u32, f64)]) -> Score {
        let prediction = |(group, &(positions, accuracy)): (u32, &(u32, f64))| Prediction {
            positions,
            group,
            accuracy,
            loss: accuracy,
            ..Prediction::default()
        };
        Score::of(&(0..).zip(accuracies).map(prediction).collect::<Vec<_>>())
    }

    #[test]
    fn every_position_counts_once_and_samples_are_independent() {
        let score = sentences(&[(1, 0.0), (3, 1.0), (1, 1.0), (3, 1.0 / 3.0)]);
        assert_eq!((score.samples, score.positions), (4, Some(8)));
        assert!((score.accuracy - 5.0 / 8.0).abs() < 1e-15);
        // Σ (w·(x - 5/8))² over the sentences, times 4/3, is the variance of the sum of 8 positions.
        let squares = [-0.625_f64, 1.125, 0.375, -0.875].map(|e| e * e).iter().sum::<f64>();
        assert!((score.loss_ci95 - t95(3.0) * (4.0 / 3.0 * squares).sqrt() / 8.0).abs() < 1e-12, "{score:?}");
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
