//! The cross-entropy loss.

use burn::tensor::Tensor;

use super::parameters::tensor_to_vec;
use crate::kernel::{self, CrossEntropy, Kernels};

/// The loss of a batch on the device that computed it. Reading it waits for the device.
pub struct Loss {
    /// Mean loss over the samples with the smoothed target, nats, `[1]`.
    pub mean: Tensor<1>,
    labels: Vec<u32>,
    losses: Tensor<1>,
    best: Tensor<1>,
}

/// The figures of a [`Loss`].
#[derive(Clone, Debug)]
pub struct LossFigures {
    /// Mean loss over the samples with the smoothed target, nats.
    pub mean: f32,
    /// Loss `-ln p` of each sample's label without smoothing, nats.
    pub per_sample: Vec<f64>,
    /// Number of samples whose label is the most likely class.
    pub correct: u64,
}

impl Loss {
    /// Returns the loss that training minimizes: the sum over the samples of a stream, averaged over the streams.
    ///
    /// The learning rate and the gradient norm of Section 5.2 refer to this sum. If the samples do not follow each other,
    /// each one is a stream, and the loss is [`Loss::mean`].
    pub fn stream_mean(&self, streams: usize) -> Tensor<1> {
        self.mean.clone().mul_scalar(self.labels.len() as f64 / streams as f64)
    }

    /// Reads the figures, all at once.
    pub fn read(&self) -> LossFigures {
        let samples = self.labels.len();
        let figures = [self.mean.clone().detach(), self.losses.clone(), self.best.clone()];
        let figures = tensor_to_vec(Tensor::cat(figures.to_vec(), 0));
        let (losses, best) = figures[1..].split_at(samples);
        LossFigures {
            mean: figures[0],
            per_sample: losses.iter().copied().map(f64::from).collect(),
            correct: best.iter().zip(&self.labels).map(|(&best, &label)| u64::from(best == label as f32)).sum(),
        }
    }
}

/// Computes the cross-entropy of logits, `[batch, classes]`.
///
/// With label smoothing `s` the target is `1 - s` for the label plus `s / classes` for every class, as in PyTorch.
pub fn cross_entropy(kernels: Kernels, logits: Tensor<2>, labels: &[u32], smoothing: f64) -> Loss {
    let CrossEntropy { mean, losses, best } = kernel::cross_entropy(kernels, logits, labels, smoothing);
    Loss { mean, labels: labels.to_vec(), losses, best }
}

/// Returns the gradient of each sample's cross-entropy with respect to its row of `[batch, classes]` logits, scaled to unit
/// length. Before scaling it is `p - 1` for the label and `p` for the other classes.
///
/// The gradient is computed in f64 from the other classes. In f32, `p - 1` would be nothing but rounding where the label's
/// `p` is near 1.
pub(crate) fn unit_loss_gradients(logits: &[f32], labels: &[u32]) -> Vec<f32> {
    let classes = logits.len() / labels.len();
    let mut all = Vec::with_capacity(logits.len());
    for (row, &label) in logits.chunks_exact(classes).zip(labels) {
        let label = label as usize;
        let others = || row.iter().enumerate().filter(|(class, _)| *class != label);
        // A common factor drops out: the largest of the other classes stands for 1.
        let best = others().map(|(_, &z)| z).fold(f32::NEG_INFINITY, f32::max);
        let mut gradient: Vec<f64> = row.iter().map(|&z| f64::from(z - best).exp()).collect();
        gradient[label] = -others().map(|(class, _)| gradient[class]).sum::<f64>();
        let length = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        all.extend(gradient.iter().map(|g| (g / length) as f32));
    }
    all
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    #[test]
    fn unit_gradients_are_exact_for_a_certain_label() {
        // p of the label is 1 to 26 digits; the two other classes share the rest 3 to 1.
        let gradient = unit_loss_gradients(&[60.0, 3f32.ln(), 0.0], &[0]);
        let length = (16.0f32 + 9.0 + 1.0).sqrt();
        for (found, expected) in gradient.iter().zip([-4.0, 3.0, 1.0]) {
            assert!((found - expected / length).abs() < 1e-6, "{gradient:?}");
        }
    }

    #[test]
    fn both_kernels_count_correct_samples_and_average_their_losses() {
        let (rows, labels) = ([0.5f32, -1.0, 2.0, 0.0, 0.0, 0.0], [2, 1]);
        let losses: [f64; 2] = [(1.0 + (-1.5f64).exp() + (-3f64).exp()).ln(), 3f64.ln()];
        let logits = Tensor::<2>::from_data(TensorData::new(rows.to_vec(), [2, 3]), &burn::tensor::Device::flex());
        for kernels in [Kernels::Native, Kernels::Reference] {
            let loss = cross_entropy(kernels, logits.clone(), &labels, 0.0).read();
            assert_eq!(loss.correct, 1);
            assert!(loss.per_sample.iter().zip(losses).all(|(found, expected)| (found - expected).abs() < 1e-6));
            assert!((f64::from(loss.mean) - (losses[0] + losses[1]) / 2.0).abs() < 1e-6, "{}", loss.mean);
        }
    }
}
