//! Mean and variance of every channel, for a normalization whose values no convolution has just computed.

use super::norm::statistics;
use super::operation::{Operation, Output, TensorView};

/// Input: values `[images, blocks, height, width, 16]`. Outputs: mean and biased variance, `[channels]`.
#[derive(Clone, Debug)]
pub(super) struct Statistics {
    pub channels: usize,
}

impl Operation for Statistics {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let [_, _, height, width, _] = *inputs[0].shape else { unreachable!("five dimensions") };
        let both = statistics(inputs[0].values, [self.channels, height, width]);
        both.map(|values| Output { values, shape: vec![self.channels] }).into()
    }

    fn backward(&self, _: &[TensorView], _: TensorView, _: &[bool]) -> Vec<Output> {
        unreachable!("statistics are constants: the normalization's gradient knows of them")
    }
}
