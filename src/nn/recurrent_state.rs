//! What a network carries from one batch to the next.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

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

    /// Returns the state as plain numbers.
    pub(crate) fn save(&self) -> SavedRecurrentState {
        let values = |tensor: &Tensor<2>| super::parameters_host(tensor.clone());
        let layers = self.state.iter().map(|layer| layer.each_ref().map(values)).collect();
        SavedRecurrentState { streams: self.streams, layers }
    }

    /// Returns a state that was saved, on the CPU.
    pub(crate) fn restore(saved: &SavedRecurrentState) -> Self {
        let streams = saved.streams.max(1);
        let tensor = |values: &Vec<f32>| {
            let data = TensorData::new(values.clone(), [streams, values.len() / streams]);
            Tensor::from_data(data, &Device::flex())
        };
        Self { streams: saved.streams, state: saved.layers.iter().map(|layer| layer.each_ref().map(tensor)).collect() }
    }

    /// What a layer of so many units remembers: zeros before the first batch.
    pub(crate) fn of(&self, layer: usize, units: usize, device: &Device) -> [Tensor<2>; 2] {
        let zeros = || Tensor::zeros([self.streams(), units], device);
        let state = self.state.get(layer).cloned();
        state.map_or_else(|| [zeros(), zeros()], |state| state.map(|tensor| tensor.to_device(device)))
    }
}

/// A [`RecurrentState`] as plain numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SavedRecurrentState {
    streams: usize,
    /// h and c of every recurrent layer, `[streams, units]`, row-major.
    layers: Vec<[Vec<f32>; 2]>,
}
