//! The state that a recurrent network carries from one batch to the next.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::ranks::Ranks;

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

    /// Returns the state of some of the streams.
    pub(crate) fn part(&self, streams: Range<usize>) -> Self {
        let rows = |tensor: &Tensor<2>| tensor.clone().narrow(0, streams.start, streams.len());
        let layers = self.layers.iter().map(|layer| layer.each_ref().map(rows)).collect();
        Self { streams: streams.len(), layers }
    }

    /// Returns the state of the streams of all processes, in the order of their ranks.
    pub(crate) fn of_all_ranks(&self, ranks: &Ranks) -> Self {
        if ranks.size() == 1 {
            return self.clone();
        }
        let mut all = Self { streams: ranks.sum_f64([self.streams as f64])[0] as usize, layers: Vec::new() };
        for layer in &self.layers {
            all.layers.push(layer.each_ref().map(|tensor| {
                let [_, units] = tensor.dims();
                let own = super::tensor_to_vec(tensor.clone()).iter().flat_map(|value| value.to_le_bytes()).collect();
                let bytes = ranks.all_gather(own).concat();
                let values = bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect::<Vec<_>>();
                Tensor::from_data(TensorData::new(values, [all.streams, units]), &tensor.device())
            }));
        }
        all
    }

    /// Copies the state to plain numbers.
    pub(crate) fn save(&self) -> SavedRecurrentState {
        let values = |tensor: &Tensor<2>| super::tensor_to_vec(tensor.clone());
        let layers = self.layers.iter().map(|layer| layer.each_ref().map(values)).collect();
        SavedRecurrentState { streams: self.streams, layers }
    }

    /// Returns a saved state. Its tensors are on the CPU.
    pub(crate) fn restore(saved: &SavedRecurrentState) -> Self {
        let streams = saved.streams.max(1);
        let tensor = |values: &Vec<f32>| {
            let data = TensorData::new(values.clone(), [streams, values.len() / streams]);
            Tensor::from_data(data, &Device::flex())
        };
        Self { streams: saved.streams, layers: saved.layers.iter().map(|layer| layer.each_ref().map(tensor)).collect() }
    }

    /// Returns h and c of a layer, `[streams, units]`, on a device: zeros before the first batch.
    pub(crate) fn layer(&self, layer: usize, units: usize, device: &Device) -> [Tensor<2>; 2] {
        let zeros = || Tensor::zeros([self.streams(), units], device);
        let state = self.layers.get(layer).cloned();
        state.map_or_else(|| [zeros(), zeros()], |state| state.map(|tensor| tensor.to_device(device)))
    }
}

/// A [`RecurrentState`] as plain numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SavedRecurrentState {
    streams: usize,
    /// h and c of each recurrent layer, `[streams, units]`, row-major.
    layers: Vec<[Vec<f32>; 2]>,
}
