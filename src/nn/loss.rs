//! The cross-entropy loss.

use burn::tensor::{Tensor, TensorData, activation};

use super::parameters::tensor_to_vec;
use crate::kernel::{self, CrossEntropy, Kernels};

/// The result of [`cross_entropy`].
pub struct Loss {
    /// Mean loss over the samples with the smoothed target, nats, `[1]`.
    pub mean: Tensor<1>,
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
        self.mean.clone().mul_scalar(self.per_sample.len() as f64 / streams as f64)
    }
}

/// Computes the cross-entropy of logits, `[batch, classes]`.
///
/// With label smoothing `s` the target is `1 - s` for the label plus `s / classes` for every class, as in PyTorch.
pub fn cross_entropy(kernels: Kernels, logits: Tensor<2>, labels: &[u32], smoothing: f64) -> Loss {
    let agree = |best: usize, label: u32| u64::from(best == label as usize);
    if kernels == Kernels::Native {
        let CrossEntropy { mean, losses, best } = kernel::cross_entropy(logits, labels, smoothing);
        let correct = tensor_to_vec(best).iter().zip(labels).map(|(&best, &label)| agree(best as usize, label)).sum();
        return Loss { mean, per_sample: tensor_to_vec(losses).into_iter().map(f64::from).collect(), correct };
    }
    let [batch, classes] = logits.dims();
    let smoothed = smoothing / classes as f64;
    // The factor -1/batch is folded into the target.
    let scale = -1.0 / batch as f64;
    let mut target = vec![(scale * smoothed) as f32; batch * classes];
    for (row, &label) in target.chunks_exact_mut(classes).zip(labels) {
        row[label as usize] = (scale * (1.0 - smoothing + smoothed)) as f32;
    }
    let target = Tensor::<2>::from_data(TensorData::new(target, [batch, classes]), &logits.device());
    let log_p = activation::log_softmax(logits, 1);
    let rows = tensor_to_vec(log_p.clone());
    let rows = || rows.chunks_exact(classes).zip(labels);
    let argmax = |row: &[f32]| row.iter().enumerate().fold(0, |best, (k, z)| if *z > row[best] { k } else { best });
    Loss {
        mean: (log_p * target).sum(),
        per_sample: rows().map(|(row, &label)| -f64::from(row[label as usize])).collect(),
        correct: rows().map(|(row, &label)| agree(argmax(row), label)).sum(),
    }
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
            let loss = cross_entropy(kernels, logits.clone(), &labels, 0.0);
            assert_eq!(loss.correct, 1);
            assert!(loss.per_sample.iter().zip(losses).all(|(found, expected)| (found - expected).abs() < 1e-6));
            let mean: f32 = loss.mean.into_scalar();
            assert!((f64::from(mean) - (losses[0] + losses[1]) / 2.0).abs() < 1e-6, "{mean}");
        }
    }
}
