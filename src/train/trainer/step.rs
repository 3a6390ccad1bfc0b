//! One step of a training: the loss of a batch, its gradient, and the step of the optimizer.

use burn::tensor::{Tensor, TensorData};

use super::{Trainer, shared};
use crate::data::Batch;
use crate::nn::{BATCH_NORM_MOMENTUM, ForwardContext, TrainingStep, cross_entropy};
use crate::ranks::Ranks;
use crate::{Error, Result};

impl Trainer {
    /// Runs a forward pass, a backward pass and a step of the optimizer.
    pub(super) fn step(&mut self, batch: Batch, per_epoch: u64) -> Result<()> {
        let samples = self.batch_len(self.state.progress.batch);
        let train = &self.experiment.train;
        let state = &mut self.state;
        let rate = state.schedule.rate(train, state.progress.step, per_epoch);
        let leaves = state.model.parameters.require_grad();
        let x = Tensor::<4>::from_data(TensorData::new(batch.images, batch.shape), leaves.device());
        let recurrent_state = std::mem::take(&mut state.recurrent_state);
        let norm_ranks = if train.sync_norm { self.ranks.clone() } else { Ranks::default() };
        let training = TrainingStep::new(train.seed, state.progress.step).with_state(recurrent_state.clone());
        let mut training = training.with_norm_ranks(norm_ranks).of_rank(self.ranks.rank());

        let logits = state.model.forward(&mut ForwardContext::training(&leaves, &mut training), x.clone());
        let loss = cross_entropy(state.model.parameters.kernels(), logits, &batch.labels, train.label_smoothing);
        // Divided by the streams of all processes, so that the sum of their gradients is that of the whole batch.
        let streams = if train.steps.is_some() { train.batch } else { samples };
        let gradient = leaves.gradient(&loss.stream_mean(streams).backward());
        let gradient = shared::sum_gradients(&self.ranks, gradient);
        let values = state.optimizer.step(train, rate, state.model.parameters.flatten(), gradient);
        // The only value that a step waits for, so that a device which computes on its own gets the whole step at once.
        let loss = loss.read();
        if !loss.mean.is_finite() {
            let mut training = TrainingStep::new(train.seed, state.progress.step).with_state(recurrent_state);
            let place = state.model.find_non_finite(&mut ForwardContext::training(&leaves, &mut training), x);
            let what = format!("the loss is {}; the first value that is not finite is in {place}", loss.mean);
            return Err(not_finite(state.progress.step + 1, &what));
        }

        state.model.parameters.unflatten(&values);
        state
            .model
            .parameters
            .update_running_statistics(std::mem::take(&mut training.statistics), |_| BATCH_NORM_MOMENTUM);
        if let Some(average) = state.average.take() {
            state.average = Some(average.mul_scalar(train.ema) + values.mul_scalar(1.0 - train.ema));
        }
        state.recurrent_state = training.state;
        let progress = &mut state.progress;
        let own = [loss.per_sample.iter().sum(), loss.correct as f64, batch.labels.len() as f64];
        let [loss, correct, seen] = self.ranks.sum_f64(own);
        progress.loss_sum += loss;
        progress.correct += correct as u64;
        progress.seen += seen as u64;
        progress.batch += 1;
        progress.step += 1;
        Ok(())
    }
}

/// Returns the error of a loss that is not finite.
pub(super) fn not_finite(step: u64, what: &str) -> Error {
    let what = format!("{what}; lower train.rate, or clip with train.clip_norm");
    Error::NonFinite { place: format!("step {step}"), what }
}
