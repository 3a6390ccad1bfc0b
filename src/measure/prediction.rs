//! What a network predicts for one sample.

use serde::{Deserialize, Serialize};

use crate::nn::AnswerKind;

/// What a network predicts for one sample, along one route. Where a network answers at several positions of a sample,
/// figures are means over the positions that count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The number of positions whose answers count; 1 for most networks.
    pub positions: u32,
    /// The part of the data that the sample belongs to: for a word its sentence, else the sample itself. Predictions of
    /// different parts are independent.
    pub group: u32,
    /// The share of the positions whose highest output is the label; of equal outputs the first counts, as in `argmax`. An
    /// answer with a NaN is never correct. NaN for answers that are no classes.
    pub accuracy: f64,
    /// The cross-entropy, nats. For answers that are no classes, how far they are from those of the whole network: 1 minus
    /// the cosine, or the mean squared error.
    pub loss: f64,
    /// The Kullback-Leibler divergence of this distribution `q` from that of the whole network `p`, `Σ p·ln(p/q)`, nats.
    /// NaN for answers that are no classes.
    pub kl: f64,
    /// The probability of the predicted class. NaN for answers that are no classes.
    pub confidence: f64,
    /// The share of the positions whose highest output is that of the whole network. NaN for answers that are no classes.
    pub agreement: f64,
}

impl Prediction {
    /// Returns the prediction for one row of logits. `whole` is the row of the whole network.
    pub fn new(logits: &[f32], label: u32, whole: &[f32]) -> Self {
        WholeAnswer::new(whole).prediction(logits, label)
    }

    /// Returns how far an answer that is no class is from that of the whole network.
    pub(super) fn distance(kind: AnswerKind, answer: &[f32], whole: &[f32]) -> Self {
        let sum = |product: fn(f64, f64) -> f64| -> f64 {
            answer.iter().zip(whole).map(|(a, w)| product(f64::from(*a), f64::from(*w))).sum()
        };
        let loss = match kind {
            AnswerKind::Mse => sum(|a, w| (a - w) * (a - w)) / answer.len() as f64,
            _ if std::ptr::eq(answer, whole) => 0.0,
            _ => 1.0 - sum(|a, w| a * w) / (sum(|a, _| a * a) * sum(|_, w| w * w)).sqrt(),
        };
        let [accuracy, kl, confidence, agreement] = [f64::NAN; 4];
        Self { positions: 1, group: 0, accuracy, loss, kl, confidence, agreement }
    }

    /// Returns the prediction for a sample from those at its positions: their means.
    pub(super) fn mean(positions: impl Iterator<Item = Self>) -> Self {
        let mut sum = Self::default();
        for one in positions {
            // A single position is kept as it is.
            if sum.positions == 0 {
                sum = one;
                continue;
            }
            sum.positions += one.positions;
            sum.accuracy += one.accuracy;
            sum.loss += one.loss;
            sum.kl += one.kl;
            sum.confidence += one.confidence;
            sum.agreement += one.agreement;
        }
        if sum.positions > 1 {
            let share = 1.0 / f64::from(sum.positions);
            let Self { accuracy, loss, kl, confidence, agreement, .. } = &mut sum;
            [accuracy, loss, kl, confidence, agreement].into_iter().for_each(|figure| *figure *= share);
        }
        sum
    }

    /// Returns the same prediction for a sample without a label: its loss is its divergence from the whole network.
    pub(super) fn unlabelled(self) -> Self {
        Self { loss: self.kl, ..self }
    }
}

/// The logits of the whole network at one position, with what every comparison with them needs.
pub(super) struct WholeAnswer<'a> {
    logits: &'a [f32],
    softmax: LogSoftmax,
    class: usize,
    /// The log-probability and the probability of each class; empty until something else is compared.
    probabilities: Vec<(f64, f64)>,
}

impl<'a> WholeAnswer<'a> {
    pub(super) fn new(logits: &'a [f32]) -> Self {
        Self { logits, softmax: LogSoftmax::new(logits), class: highest(logits), probabilities: Vec::new() }
    }

    /// Returns the prediction for a row of logits; for that of the whole network itself where it is the same slice.
    pub(super) fn prediction(&mut self, logits: &[f32], label: u32) -> Prediction {
        let is_whole = std::ptr::eq(logits, self.logits);
        let (ours, class) =
            if is_whole { (self.softmax, self.class) } else { (LogSoftmax::new(logits), highest(logits)) };
        let at_label = logits[label as usize];
        let is_correct = class == label as usize && at_label.is_finite() && !logits.iter().any(|z| z.is_nan());
        Prediction {
            positions: 1,
            group: 0,
            accuracy: one_if(is_correct),
            loss: -ours.of(at_label),
            confidence: ours.of(logits[class]).exp(),
            kl: if is_whole { 0.0 } else { self.divergence(logits, ours) },
            agreement: one_if(class == self.class),
        }
    }

    /// Returns `Σ p·ln(p/q)`, where `q` is the softmax of these logits.
    fn divergence(&mut self, logits: &[f32], softmax: LogSoftmax) -> f64 {
        if self.probabilities.is_empty() {
            let probability = |&z: &f32| {
                let log = self.softmax.of(z);
                (log, log.exp())
            };
            self.probabilities = self.logits.iter().map(probability).collect();
        }
        let terms = logits.iter().zip(&self.probabilities).map(|(&z, &(log, p))| {
            // A class of probability 0 adds nothing, whatever q is.
            if log == f64::NEG_INFINITY { 0.0 } else { p * (log - softmax.of(z)) }
        });
        terms.sum::<f64>().max(0.0)
    }
}

/// Returns the place of the highest value; of equal values the first.
pub(super) fn highest(logits: &[f32]) -> usize {
    logits.iter().enumerate().fold(0, |best, (k, z)| if *z > logits[best] { k } else { best })
}

fn one_if(condition: bool) -> f64 {
    f64::from(u8::from(condition))
}

/// The logarithm of a softmax, `z - ln Σ exp(z)`, in f64.
#[derive(Clone, Copy)]
pub(super) struct LogSoftmax {
    greatest: f32,
    log_sum: f64,
}

impl LogSoftmax {
    pub(super) fn new(logits: &[f32]) -> Self {
        let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|&z| f64::from(z - greatest).exp()).sum();
        Self { greatest, log_sum: sum.ln() }
    }

    /// Returns the log-probability of the class with this logit.
    pub(super) fn of(&self, logit: f32) -> f64 {
        f64::from(logit - self.greatest) - self.log_sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nan_is_never_correct() {
        let nan = Prediction::new(&[f32::NAN, 0.0], 0, &[0.0, 0.0]);
        assert!(nan.accuracy == 0.0 && nan.loss.is_nan());
        assert_eq!(Prediction::new(&[1.0, f32::NAN], 0, &[0.0, 0.0]).accuracy, 0.0);
    }

    #[test]
    fn the_divergence_is_that_of_its_definition() {
        // p = (3/4, 1/4), q = (1/2, 1/2).
        let prediction = Prediction::new(&[0.0, 0.0], 1, &[3f32.ln(), 0.0]);
        let expected = 0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln();
        assert!((prediction.kl - expected).abs() < 1e-7, "{prediction:?} {expected}");
        assert_eq!(Prediction::new(&[3.0, 1.0], 1, &[3.0, 1.0]).kl, 0.0);
        assert_eq!((prediction.accuracy, prediction.confidence, prediction.agreement), (0.0, 0.5, 1.0));
    }

    #[test]
    fn a_prediction_is_the_mean_over_positions() {
        let at = |logits: [f32; 2], label| Prediction::new(&logits, label, &[1.0, 0.0]);
        let positions = [at([2.0, 0.0], 0), at([0.0, 1.0], 0), at([3.0, 0.0], 0)];
        let mean = Prediction::mean(positions.iter().copied());
        assert_eq!((mean.positions, mean.accuracy, mean.agreement), (3, 2.0 / 3.0, 2.0 / 3.0));
        let losses = positions.iter().map(|p| p.loss).sum::<f64>() / 3.0;
        assert!((mean.loss - losses).abs() < 1e-15);
        assert_eq!(Prediction::mean(positions[..1].iter().copied()), positions[0]);
        assert_eq!(Prediction::mean(std::iter::empty()).positions, 0);
    }

    #[test]
    fn answers_that_are_no_classes_are_compared_by_distance() {
        let cosine = Prediction::distance(AnswerKind::Cosine, &[1.0, 1.0], &[2.0, 0.0]);
        assert!((cosine.loss - (1.0 - 0.5_f64.sqrt())).abs() < 1e-12 && cosine.accuracy.is_nan());
        let mse = Prediction::distance(AnswerKind::Mse, &[1.0, 1.0], &[2.0, 0.0]);
        assert_eq!((mse.loss, mse.positions), (1.0, 1));
    }
}
