//! What the processes that share a training tell each other.

use std::path::PathBuf;

use burn::tensor::{Tensor, TensorData};

use super::Trainer;
use crate::Result;
use crate::nn::{Role, tensor_to_vec};
use crate::ranks::{Ranks, pack, unpack};
use crate::train::{RunDirectory, TrainingState};

/// Returns the sum of the gradients of all processes.
pub(super) fn sum_gradients(ranks: &Ranks, gradient: Tensor<1>) -> Tensor<1> {
    if ranks.size() == 1 {
        return gradient;
    }
    let device = gradient.device();
    let mut values = tensor_to_vec(gradient);
    ranks.sum(&mut values);
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), &device)
}

/// Returns the latest checkpoint of the run of the first process: its path and its bytes.
pub(super) fn latest_checkpoint(ranks: &Ranks, run: Option<&RunDirectory>) -> Result<Option<(PathBuf, Vec<u8>)>> {
    let own = run.map(RunDirectory::latest_checkpoint).transpose()?.flatten();
    if ranks.size() == 1 {
        return Ok(own);
    }
    let packed = own.map(|(path, bytes)| pack(&[path.to_string_lossy().into_owned().into_bytes(), bytes]));
    let parts = unpack(&ranks.broadcast(packed.unwrap_or_default()));
    Ok(<[Vec<u8>; 2]>::try_from(parts)
        .ok()
        .map(|[path, bytes]| (PathBuf::from(String::from_utf8_lossy(&path).into_owned()), bytes)))
}

impl Trainer {
    /// Returns the number of samples of a batch, those of all processes together.
    pub(super) fn batch_len(&self, number: u64) -> usize {
        let train = &self.experiment.train;
        let batch = train.samples_per_step();
        batch.min(self.samples.len() - (number as usize * batch).min(self.samples.len()))
    }

    /// Gives all processes the parameters and running statistics of the first one. Parameters are the same already, unless
    /// processors differ.
    pub(super) fn share_model(&mut self) {
        if self.ranks.size() == 1 {
            return;
        }
        let parameters = &mut self.state.model.parameters;
        let statistics: Vec<_> =
            parameters.iter().filter(|(_, p)| p.role == Role::Statistic).map(|(id, p)| (id, p.value.clone())).collect();
        let all = std::iter::once(parameters.flatten()).chain(statistics.iter().map(|(_, value)| value.clone()));
        let all: Vec<Vec<f32>> = all.map(tensor_to_vec).collect();
        let bytes = all.concat().iter().flat_map(|value| value.to_le_bytes()).collect();
        let bytes = self.ranks.broadcast(bytes);
        let mut values = bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
        let device = parameters.device().clone();
        let mut take = |length: usize| {
            let values: Vec<f32> = values.by_ref().take(length).collect();
            Tensor::<1>::from_data(TensorData::new(values, [length]), &device)
        };
        let trained = take(all[0].len());
        parameters.unflatten(&trained);
        for ((id, _), values) in statistics.iter().zip(&all[1..]) {
            parameters.set(*id, take(values.len()));
        }
    }

    /// Writes a checkpoint, which holds the recurrent state of the streams of all processes.
    pub(super) fn write_checkpoint(&mut self) -> Result<()> {
        let recurrent_state = self.state.recurrent_state.of_all_ranks(&self.ranks);
        let Some(run) = &self.run else { return Ok(()) };
        let state = TrainingState { recurrent_state, ..self.state.clone() };
        run.write_checkpoint(&state, &self.metadata, self.fingerprints, self.experiment.train.keep)
    }

    /// Writes the metrics of the finished epochs.
    pub(super) fn write_metrics(&self) -> Result<()> {
        self.run.as_ref().map_or(Ok(()), |run| run.write_metrics(&self.state.history))
    }
}
