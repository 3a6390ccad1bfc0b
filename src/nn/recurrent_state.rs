//! The state that a recurrent network carries from one batch to the next.

use burn::tensor::{Device, Tensor};

/// The state of the recurrent layers for each stream of samples; empty for a network without such layers.
///
/// The samples of a text form parallel streams. Sample `n` of a batch belongs to stream `n % streams`, and follows the last
/// sample of that stream in the previous batch. Each route through a network needs a state of its own.
#[derive(Clone, Debug, Default)]
pub struct RecurrentState {
    streams: usize,
    /// h and c of each recurrent layer, `[streams, units]`; empty before the first batch.
    pub(crate) layers: Vec<[Tensor<2>; 2]>,
}

impl RecurrentState {
    /// Returns the state before the first batch. Samples that do not follow each other form one stream.
    pub fn new(streams: usize) -> Self {
        Self { streams, layers: Vec::new() }
    }

    /// Returns the number of streams, at least 1.
    pub fn streams(&self) -> usize {
        self.streams.max(1)
    }

    /// Returns h and c of a layer, `[streams, units]`: zeros before the first batch.
    pub(crate) fn layer(&self, layer: usize, units: usize, device: &Device) -> [Tensor<2>; 2] {
        let zeros = || Tensor::zeros([self.streams(), units], device);
        self.layers.get(layer).cloned().unwrap_or_else(|| [zeros(), zeros()])
    }
}
