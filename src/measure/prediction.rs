//! What a network predicts for one sample.

use serde::{Deserialize, Serialize};

/// What a network predicts for one sample, along one route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The class of the highest output; of equal outputs the first, as `argmax` does.
    pub class: u32,
    /// Whether the class is the label. A prediction with a NaN is never correct.
    pub is_correct: bool,
    /// The cross-entropy, nats.
    pub loss: f64,
    /// The Kullback-Leibler divergence of this distribution `q` from that of the whole network `p`, `Σ p·ln(p/q)`, nats.
    pub kl: f64,
    /// The probability of the predicted class.
    pub confidence: f64,
}

impl Prediction {
    /// Returns the prediction for one row of logits. `whole` is the row of the whole network.
    pub fn new(logits: &[f32], label: u32, whole: &[f32]) -> Self {
        let class = logits.iter().enumerate().fold(0, |best, (k, z)| if *z > logits[best] { k } else { best });
        let is_whole = std::ptr::eq(logits, whole);
        let ours = LogSoftmax::new(logits);
        let theirs = if is_whole { ours } else { LogSoftmax::new(whole) };
        let divergence = |(q, p): (&f32, &f32)| {
            let p = theirs.of(*p);
            // A class of probability 0 adds nothing, whatever q is.
            if p == f64::NEG_INFINITY { 0.0 } else { p.exp() * (p - ours.of(*q)) }
        };
        let at_label = logits[label as usize];
        Self {
            class: class as u32,
            is_correct: class == label as usize && at_label.is_finite() && !logits.iter().any(|z| z.is_nan()),
            loss: -ours.of(at_label),
            confidence: ours.of(logits[class]).exp(),
            kl: if is_whole { 0.0 } else { logits.iter().zip(whole).map(divergence).sum::<f64>().max(0.0) },
        }
    }

    /// Returns 1 where the prediction is correct, 0 where not. The mean over samples is the accuracy.
    pub fn hit(&self) -> f64 {
        f64::from(u8::from(self.is_correct))
    }

    /// Returns the same prediction for a sample without a label: its loss is its divergence from the whole network.
    pub(super) fn unlabelled(self) -> Self {
        Self { loss: self.kl, ..self }
    }
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
        assert!(!nan.is_correct && nan.loss.is_nan());
        assert!(!Prediction::new(&[1.0, f32::NAN], 0, &[0.0, 0.0]).is_correct);
    }

    #[test]
    fn the_divergence_is_that_of_its_definition() {
        // p = (3/4, 1/4), q = (1/2, 1/2).
        let prediction = Prediction::new(&[0.0, 0.0], 1, &[3f32.ln(), 0.0]);
        let expected = 0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln();
        assert!((prediction.kl - expected).abs() < 1e-7, "{prediction:?} {expected}");
        assert_eq!(Prediction::new(&[3.0, 1.0], 1, &[3.0, 1.0]).kl, 0.0);
        assert_eq!((prediction.class, prediction.is_correct, prediction.confidence), (0, false, 0.5));
    }
}
