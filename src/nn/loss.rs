//! The loss that training lowers.

use burn::tensor::{Tensor, TensorData, activation};

/// The mean cross-entropy of `[batch, classes]` logits, nats. With smoothing `s` the target is `1 - s` for the label
/// plus `s / classes` for every class, as in PyTorch.
pub fn cross_entropy(logits: Tensor<2>, labels: &[u32], smoothing: f64) -> Tensor<1> {
    let [batch, classes] = logits.dims();
    let spread = smoothing / classes as f64;
    // The factor -1/batch is folded into the target.
    let scale = -1.0 / batch as f64;
    let mut target = vec![(scale * spread) as f32; batch * classes];
    for (row, &label) in target.chunks_exact_mut(classes).zip(labels) {
        row[label as usize] = (scale * (1.0 - smoothing + spread)) as f32;
    }
    let target = Tensor::<2>::from_data(TensorData::new(target, [batch, classes]), &logits.device());
    (activation::log_softmax(logits, 1) * target).sum()
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
    use crate::measure::Answer;

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
        let mean: f32 = cross_entropy(logits, &labels, 0.0).into_scalar();
        let answers: Vec<Answer> = Answer::all(&rows, 3, &labels, &rows).collect();
        let own = (answers[0].loss + answers[1].loss) / 2.0;
        assert!((f64::from(mean) - own).abs() < 1e-6, "{mean} {own}");
        assert!(answers[0].correct && !answers[1].correct);
        assert!((answers[1].loss - 3f64.ln()).abs() < 1e-12);
    }
}
