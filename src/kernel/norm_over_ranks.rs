//! Batch normalization whose statistics are those of the batches of several processes.

use burn::tensor::Tensor;

use super::norm::EPSILON;
use super::operation::{Operation, Output, TensorView, apply};
use crate::ranks::Ranks;

/// The sum of a tensor over all processes. So is its gradient: what every process computes from the sum depends on the tensor
/// of each of them.
///
/// Input and output: `[channels]`. All processes run the same graph, so that their calls meet.
#[derive(Clone, Debug)]
struct SumOverRanks(Ranks);

impl SumOverRanks {
    fn sum(&self, tensor: TensorView) -> Vec<Output> {
        let mut values = tensor.values.to_vec();
        self.0.sum(&mut values);
        vec![Output { values, shape: tensor.shape.to_vec() }]
    }
}

impl Operation for SumOverRanks {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        self.sum(inputs[0])
    }

    fn backward(&self, _: &[TensorView], gradient: TensorView, _: &[bool]) -> Vec<Output> {
        self.sum(gradient)
    }
}

/// Normalizes `[batch, channels, height, width]` with `scale` and `shift`; returns also mean and biased variance of every
/// channel, without a gradient. `count` is the number of values of a channel in all processes.
pub(super) fn normalize_over_ranks(
    x: Tensor<4>,
    [scale, shift]: [Tensor<1>; 2],
    ranks: &Ranks,
    count: f64,
) -> (Tensor<4>, [Tensor<1>; 2]) {
    let [_, channels, ..] = x.dims();
    let mean_over_ranks = |values: Tensor<4>| {
        let own = values.sum_dim(3).sum_dim(2).sum_dim(0).reshape([channels]).div_scalar(count);
        apply::<1>(SumOverRanks(ranks.clone()), vec![own.into_dispatch()]).0
    };
    let each = |of_channels: Tensor<1>| of_channels.reshape([1, channels, 1, 1]);
    let mean = mean_over_ranks(x.clone());
    // The deviations come after the mean, so that no digits cancel.
    let deviations = x - each(mean.clone());
    let variance = mean_over_ranks(deviations.clone() * deviations.clone());
    let factor = scale / variance.clone().add_scalar(EPSILON).sqrt();
    (deviations * each(factor) + each(shift), [mean.detach(), variance.detach()])
}
