//! The loss that training lowers.

use burn::tensor::{Tensor, TensorData, activation};

use super::parameters::host;
use crate::kernel::{self, CrossEntropy, Kernels};

/// What [`cross_entropy`] finds.
pub struct Loss {
    /// The mean over the samples, nats, with the smoothed target. `[1]`.
    pub mean: Tensor<1>,
    /// `-ln p` of every sample's label, nats.
    pub each: Vec<f64>,
    /// Samples whose label is the likeliest class.
    pub correct: u64,
}

impl Loss {
    /// What training lowers: the losses of a stream added up, the mean over so many streams. Of samples that do not follow
    /// each other every one is a stream. Learning rate and gradient norm of Section 5.2 are meant for such a sum.
    pub fn of_streams(&self, streams: usize) -> Tensor<1> {
        self.mean.clone().mul_scalar(self.each.len() as f64 / streams as f64)
    }
}

/// The cross-entropy of `[batch, classes]` logits. With smoothing `s` the target is `1 - s` for the label plus
/// `s / classes` for every class, as in PyTorch.
pub fn cross_entropy(kernels: Kernels, logits: Tensor<2>, labels: &[u32], smoothing: f64) -> Loss {
    let agree = |best: usize, label: u32| u64::from(best == label as usize);
    if kernels == Kernels::Native {
        let CrossEntropy { mean, losses, best } = kernel::cross_entropy(logits, labels, smoothing);
        let correct = host(best).iter().zip(labels).map(|(&best, &label)| agree(best as usize, label)).sum();
        return Loss { mean, each: host(losses).into_iter().map(f64::from).collect(), correct };
    }
    let [batch, classes] = logits.dims();
    let spread = smoothing / classes as f64;
    // The factor -1/batch is folded into the target.
    let scale = -1.0 / batch as f64;
    let mut target = vec![(scale * spread) as f32; batch * classes];
    for (row, &label) in target.chunks_exact_mut(classes).zip(labels) {
        row[label as usize] = (scale * (1.0 - smoothing + spread)) as f32;
    }
    let target = Tensor::<2>::from_data(TensorData::new(target, [batch, classes]), &logits.device());
    let likely = activation::log_softmax(logits, 1);
    let rows = host(likely.clone());
    let rows = || rows.chunks_exact(classes).zip(labels);
    let best = |row: &[f32]| row.iter().enumerate().fold(0, |best, (k, z)| if *z > row[best] { k } else { best });
    Loss {
        mean: (likely * target).sum(),
        each: rows().map(|(row, &label)| -f64::from(row[label as usize])).collect(),
        correct: rows().map(|(row, &label)| agree(best(row), label)).sum(),
    }
}

/// The gradient of every sample's cross-entropy with respect to its row of `[batch, classes]` logits, scaled to unit
/// length: `p - 1` of the label, `p` of the others.
///
/// Computed in f64 from the other classes: where p of the label is near 1, `p - 1` in f32 is rounding and nothing else.
pub(crate) fn loss_directions(logits: &[f32], labels: &[u32]) -> Vec<f32> {
    let classes = logits.len() / labels.len();
    let mut all = Vec::with_capacity(logits.len());
    for (row, &label) in logits.chunks_exact(classes).zip(labels) {
        let label = label as usize;
        let others = || row.iter().enumerate().filter(|(class, _)| *class != label);
        // Any common factor drops out: the largest of the other classes stands for 1.
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
    use crate::measure::Prediction;

    #[test]
    fn directions_survive_certainty() {
        // p of the label is 1 to 26 digits; the two others share the rest 3 to 1.
        let certain = loss_directions(&[60.0, 3f32.ln(), 0.0], &[0]);
        let length = (16.0f32 + 9.0 + 1.0).sqrt();
        for (found, expected) in certain.iter().zip([-4.0, 3.0, 1.0]) {
            assert!((found - expected / length).abs() < 1e-6, "{certain:?}");
        }
    }

    #[test]
    fn an_answer_is_the_tensor_loss_of_its_row() {
        let rows = [0.5f32, -1.0, 2.0, 0.0, 0.0, 0.0];
        let labels = [2, 1];
        let device = burn::tensor::Device::flex();
        let logits = Tensor::<2>::from_data(TensorData::new(rows.to_vec(), [2, 3]), &device);
        let [native, reference] =
            [Kernels::Native, Kernels::Reference].map(|k| cross_entropy(k, logits.clone(), &labels, 0.0));
        let mean: f32 = native.mean.into_scalar();
        assert_eq!((native.correct, reference.correct), (1, 1));
        let answers: Vec<Prediction> = Prediction::all(&rows, 3, &labels, &rows).collect();
        let own = (answers[0].loss + answers[1].loss) / 2.0;
        assert!((f64::from(mean) - own).abs() < 1e-6, "{mean} {own}");
        assert!(answers[0].correct && !answers[1].correct);
        assert!((answers[1].loss - 3f64.ln()).abs() < 1e-12);
    }
}
