//! How well a network answers: accuracy and loss with their intervals.

use std::sync::Arc;

use crate::data::{Augment, Batch, Batches, Dataset, Normalization, Order, Plan, batches};
use crate::nn::{Network, Samples};
use crate::report::{Estimate, Score};
use crate::{Error, Result};

/// How a network answered one sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// Whether the highest output is the label's.
    pub correct: bool,
    /// Cross-entropy, nats.
    pub loss: f64,
}

impl Answer {
    /// For one row of logits.
    pub fn new(logits: &[f32], label: u32) -> Self {
        let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|&z| f64::from(z - best).exp()).sum();
        let at_label = logits[label as usize];
        // Of equal outputs the first counts, as argmax does; a NaN is never right.
        let first_best = logits.iter().position(|&z| z >= best);
        Self {
            correct: first_best == Some(label as usize) && at_label.is_finite(),
            loss: sum.ln() - f64::from(at_label - best),
        }
    }

    /// 1 where it is correct, 0 where not: its mean is the accuracy.
    pub fn hit(&self) -> f64 {
        f64::from(u8::from(self.correct))
    }

    /// For every row of `[batch, classes]` logits.
    pub fn all<'a>(logits: &'a [f32], classes: usize, labels: &'a [u32]) -> impl Iterator<Item = Self> + 'a {
        logits.chunks_exact(classes).zip(labels).map(|(row, &label)| Self::new(row, label))
    }
}

/// Labelled samples to measure with, in the data set's order.
#[derive(Clone, Debug)]
pub struct Source {
    /// The samples.
    pub dataset: Arc<Dataset>,
    /// What the network was trained with.
    pub normalization: Normalization,
    /// Samples that run through the network at once.
    pub batch: usize,
}

impl Source {
    /// All batches in order, prepared ahead by one worker.
    ///
    /// # Errors
    /// [`Error::Config`] where the normalization does not fit.
    pub fn batches(&self) -> Result<Batches> {
        let plan = Plan {
            batch: self.batch,
            order: Order::Sequential,
            augment: Augment::default(),
            normalization: self.normalization.clone(),
            drop_last: false,
            start: 0,
            workers: 1,
        };
        batches(&self.dataset, &plan)
    }

    /// Checks that a network can take these samples and answers with as many classes.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Usage`] that names both sides.
    pub fn check(&self, network: &impl Network) -> Result<()> {
        let outline = network.outline();
        if outline.input != self.dataset.shape() {
            return Err(Error::Shape {
                name: "samples of the data set, [channels, height, width]".into(),
                found: self.dataset.shape().to_vec(),
                expected: outline.input.clone(),
            });
        }
        let (have, need) = (self.dataset.classes().len(), outline.classes);
        if have != need {
            return Err(Error::Usage(format!("the data set has {have} classes, the network answers with {need}")));
        }
        Ok(())
    }
}

/// The samples of a batch as a network takes them, and their labels.
pub fn samples(batch: Batch) -> (Samples, Vec<u32>) {
    (Samples { values: batch.images, shape: batch.shape }, batch.labels)
}

/// The quantile of the normal distribution that leaves 2.5 % above it.
const Z95: f64 = 1.959_963_984_540_054;

/// Accuracy with its Wilson interval and mean loss with its normal interval.
pub fn score(answers: &[Answer]) -> Score {
    let n = answers.len() as f64;
    let accuracy = answers.iter().filter(|a| a.correct).count() as f64 / n;
    let loss = mean(answers.iter().map(|a| a.loss));
    let z2 = Z95 * Z95;
    let centre = (accuracy + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z95 / (1.0 + z2 / n) * (accuracy * (1.0 - accuracy) / n + z2 / (4.0 * n * n)).sqrt();
    Score {
        accuracy,
        loss: loss.value,
        samples: answers.len() as u64,
        accuracy_ci95: [(centre - half).max(0.0), (centre + half).min(1.0)],
        loss_ci95: loss.ci95,
    }
}

/// The mean of independent values and the half width of its normal interval; 0 where a single value gives none.
pub fn mean(values: impl Iterator<Item = f64> + Clone) -> Estimate {
    let n = values.clone().count() as f64;
    let value = values.clone().sum::<f64>() / n;
    let variance = values.map(|v| (v - value) * (v - value)).sum::<f64>() / (n - 1.0).max(1.0);
    Estimate { value, ci95: Z95 * (variance / n).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        let answer = |correct| Answer { correct, loss: 1.0 };
        let answers: Vec<Answer> = (0..10).map(|i| answer(i < 8)).collect();
        let score = score(&answers);
        // Wilson's interval for 8 of 10: 0.4902 to 0.9433.
        assert!((score.accuracy_ci95[0] - 0.4902).abs() < 1e-4, "{score:?}");
        assert!((score.accuracy_ci95[1] - 0.9433).abs() < 1e-4, "{score:?}");
        assert_eq!((score.loss, score.loss_ci95), (1.0, 0.0));
    }

    #[test]
    fn a_nan_is_never_right() {
        assert!(!Answer::new(&[f32::NAN, 0.0], 0).correct);
        assert!(Answer::new(&[f32::NAN, 0.0], 0).loss.is_nan());
    }
}
