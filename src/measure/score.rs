//! How well a network answers: accuracy and loss with their intervals.

use std::sync::Arc;

use rayon::prelude::*;

use super::moments::Stream;
use crate::data::{Augment, Batch, Batches, Dataset, LoaderConfig, Normalization, SampleOrder, batches};
use crate::nn::Outline;
use crate::nn::{Logits, Samples};
use crate::report::{Estimate, Score};
use crate::{Error, Result};

/// How a network answered one sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The class of the highest output; of equal outputs the first counts, as argmax does.
    pub prediction: u32,
    /// Whether that is the label. An answer with a NaN is never right.
    pub correct: bool,
    /// Cross-entropy, nats.
    pub loss: f64,
    /// Kullback-Leibler divergence of this answer's distribution from that of the whole network,
    /// `Σ p·ln(p/q)` with `p` the whole network's, nats.
    pub kl: f64,
    /// Probability of the predicted class.
    pub confidence: f64,
}

impl Prediction {
    /// For one row of logits, and that of the whole network.
    pub fn new(logits: &[f32], label: u32, whole: &[f32]) -> Self {
        let prediction = logits.iter().enumerate().fold(0, |best, (k, z)| if *z > logits[best] { k } else { best });
        let ours = LogSoftmax::new(logits);
        let theirs = if std::ptr::eq(logits, whole) { ours } else { LogSoftmax::new(whole) };
        let divergence = |(q, p): (&f32, &f32)| {
            let p = theirs.of(*p);
            // A class that the network is certain not to be adds nothing, however certain the other is.
            if p == f64::NEG_INFINITY { 0.0 } else { p.exp() * (p - ours.of(*q)) }
        };
        let at_label = logits[label as usize];
        Self {
            prediction: prediction as u32,
            correct: prediction == label as usize && at_label.is_finite() && !logits.iter().any(|z| z.is_nan()),
            loss: -ours.of(at_label),
            confidence: ours.of(logits[prediction]).exp(),
            // Of the whole network from itself there is none to add up.
            kl: if std::ptr::eq(logits, whole) {
                0.0
            } else {
                logits.iter().zip(whole).map(divergence).sum::<f64>().max(0.0)
            },
        }
    }

    /// 1 where it is correct, 0 where not: its mean is the accuracy.
    pub fn hit(&self) -> f64 {
        f64::from(u8::from(self.correct))
    }

    /// For every row of `[batch, classes]` logits, each with that of the whole network.
    pub fn all<'a>(
        logits: &'a [f32],
        classes: usize,
        labels: &'a [u32],
        whole: &'a [f32],
    ) -> impl Iterator<Item = Self> + 'a {
        let rows = logits.chunks_exact(classes).zip(whole.chunks_exact(classes));
        rows.zip(labels).map(|((row, whole), &label)| Self::new(row, label, whole))
    }

    /// The same answer where there are no labels: what it loses is its divergence from the whole network's.
    fn unlabelled(self) -> Self {
        Self { loss: self.kl, ..self }
    }
}

/// The logarithm of a softmax, `z - ln Σ exp(z)`, in f64.
#[derive(Clone, Copy)]
pub(super) struct LogSoftmax {
    best: f32,
    log_sum: f64,
}

impl LogSoftmax {
    pub(super) fn new(logits: &[f32]) -> Self {
        let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|&z| f64::from(z - best).exp()).sum();
        Self { best, log_sum: sum.ln() }
    }

    pub(super) fn of(&self, logit: f32) -> f64 {
        f64::from(logit - self.best) - self.log_sum
    }
}

/// Labelled samples to measure with, in the data set's order.
#[derive(Clone, Debug)]
pub struct EvalSet {
    /// The samples.
    pub dataset: Arc<Dataset>,
    /// What the network was trained with.
    pub normalization: Normalization,
    /// Samples that run through the network at once.
    pub batch: usize,
    /// The order in which they come. Answers are in the data set's order whatever this is.
    pub order: SampleOrder,
}

impl EvalSet {
    /// The samples of a data set in its order.
    pub fn new(dataset: Arc<Dataset>, normalization: Normalization, batch: usize) -> Self {
        Self { dataset, normalization, batch, order: SampleOrder::Sequential }
    }

    /// All batches in order, prepared ahead by one worker.
    ///
    /// # Errors
    /// [`Error::Config`] where the normalization does not fit.
    pub fn batches(&self) -> Result<Batches> {
        let plan = LoaderConfig {
            batch_size: whole_steps(self.batch, &self.dataset),
            order: self.order.clone(),
            augment: Augment::default(),
            normalization: self.normalization.clone(),
            drop_last: false,
            start: 0,
            workers: 1,
        };
        batches(&self.dataset, &plan)
    }

    /// An answer for one row of logits, and that of the whole network. Samples without labels are labelled with what
    /// the whole network says: an answer is right where it agrees, and loses what it diverges.
    pub fn answer(&self, logits: &[f32], label: u32, whole: &[f32]) -> Prediction {
        let answer = Prediction::new(logits, label, whole);
        if self.dataset.is_labelled() { answer } else { answer.unlabelled() }
    }

    /// The whole network's answers to the samples of a batch.
    pub(super) fn answers(&self, logits: &Logits, labels: &[u32]) -> Vec<Prediction> {
        let rows = logits.values.par_chunks_exact(logits.classes).zip(labels);
        rows.map(|(row, &label)| self.answer(row, label, row)).collect()
    }

    /// Checks that a network can take these samples and answers with as many classes.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Usage`] that names both sides.
    pub fn check(&self, outline: &Outline) -> Result<()> {
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

/// The number of samples next to `batch` that are whole steps of all streams.
fn whole_steps(batch: usize, dataset: &Dataset) -> usize {
    let streams = dataset.streams();
    (batch / streams).max(1) * streams
}

/// The samples of a batch as a network takes them, and their labels.
pub fn samples(batch: Batch) -> (Samples, Vec<u32>) {
    (Samples { values: batch.images, shape: batch.shape }, batch.labels)
}

/// The quantile of the normal distribution that leaves 2.5 % above it.
pub(super) const Z95: f64 = 1.959_963_984_540_054;

/// Accuracy with its Wilson interval and mean loss with its normal interval.
pub fn score(answers: &[Prediction]) -> Score {
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
        // At the ends the bounds are exact; rounding would leave 1e-19 of them.
        accuracy_ci95: [
            if accuracy == 0.0 { 0.0 } else { (centre - half).max(0.0) },
            if accuracy == 1.0 { 1.0 } else { (centre + half).min(1.0) },
        ],
        loss_ci95: loss.ci95,
    }
}

/// The mean of independent values and the half width of its normal interval; 0 where a single value gives none.
pub fn mean(values: impl Iterator<Item = f64>) -> Estimate {
    let mut stream = Stream::default();
    values.for_each(|value| stream.add(value));
    stream.estimate()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        let answer = |correct| Prediction { prediction: 0, correct, loss: 1.0, kl: 0.0, confidence: 1.0 };
        let answers: Vec<Prediction> = (0..10).map(|i| answer(i < 8)).collect();
        let score = score(&answers);
        // Wilson's interval for 8 of 10: 0.4902 to 0.9433.
        assert!((score.accuracy_ci95[0] - 0.4902).abs() < 1e-4, "{score:?}");
        assert!((score.accuracy_ci95[1] - 0.9433).abs() < 1e-4, "{score:?}");
        assert_eq!((score.loss, score.loss_ci95), (1.0, 0.0));
    }

    #[test]
    fn a_nan_is_never_right() {
        let nan = Prediction::new(&[f32::NAN, 0.0], 0, &[0.0, 0.0]);
        assert!(!nan.correct && nan.loss.is_nan());
        assert!(!Prediction::new(&[1.0, f32::NAN], 0, &[0.0, 0.0]).correct);
    }

    #[test]
    fn the_divergence_is_that_of_its_definition() {
        // p = (3/4, 1/4), q = (1/2, 1/2).
        let answer = Prediction::new(&[0.0, 0.0], 1, &[3f32.ln(), 0.0]);
        let expected = 0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln();
        assert!((answer.kl - expected).abs() < 1e-7, "{answer:?} {expected}");
        assert_eq!(Prediction::new(&[3.0, 1.0], 1, &[3.0, 1.0]).kl, 0.0);
        assert_eq!((answer.prediction, answer.correct, answer.confidence), (0, false, 0.5));
    }
}
