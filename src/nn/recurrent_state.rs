//! What a network carries from one batch to the next.

use burn::tensor::{Device, Tensor};

/// What a network carries from one batch to the next along one route: nothing, or what its recurrent layers remember of
/// every stream of samples.
///
/// Sample `n` of a batch belongs to stream `n % streams`, and continues the last sample of that stream in the batch before.
#[derive(Clone, Debug, Default)]
pub struct RecurrentState {
    streams: usize,
    /// h and c of every recurrent layer, `[streams, units]`; empty before the first batch.
    pub(crate) state: Vec<[Tensor<2>; 2]>,
}

impl RecurrentState {
    /// Before the first batch of samples that form so many streams; of samples that do not follow each other there is one.
    pub fn new(streams: usize) -> Self {
        Self { streams, state: Vec::new() }
    }

    /// How many streams there are, at least one.
    pub fn streams(&self) -> usize {
        self.streams.max(1)
    }

    /// What a layer of so many units remembers: zeros before the first batch.
    pub(crate) fn of(&self, layer: usize, units: usize, device: &Device) -> [Tensor<2>; 2] {
        let zeros = || Tensor::zeros([self.streams(), units], device);
        self.state.get(layer).cloned().unwrap_or_else(|| [zeros(), zeros()])
    }
}
