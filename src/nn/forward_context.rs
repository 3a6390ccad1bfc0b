//! The context of a forward pass: the parameters, the recurrent state and, in training, random numbers and statistics.

use burn::tensor::{Tensor, TensorData};

use super::{ParameterId, Parameters, RecurrentState};
use crate::kernel::FeatureMap;
use crate::random::{Purpose, stream, uniform};
use crate::ranks::Ranks;

/// What a forward pass needs besides its input.
pub struct ForwardContext<'a> {
    /// The values to compute with.
    pub parameters: &'a Parameters,
    training: Option<&'a mut TrainingStep>,
    records_statistics: bool,
    /// State of recurrent layers in inference; in training [`TrainingStep::state`] is used instead.
    state: RecurrentState,
}

/// One step of training: its random numbers, and the statistics and state that its forward pass computes.
#[derive(Debug, Default)]
pub struct TrainingStep {
    seed: u64,
    step: u64,
    draws: u64,
    /// Mean and unbiased variance of the batch with the running statistic that each belongs to, in the order in which the
    /// layers ran; the argument of [`Parameters::update_running_statistics`].
    pub statistics: Vec<(ParameterId, Tensor<1>)>,
    /// State of recurrent layers: before the forward pass that of the previous step, after it that of this step.
    pub state: RecurrentState,
    /// The processes over whose samples batch normalization takes its statistics.
    norm_ranks: Ranks,
    /// Which of the processes that share a batch this is.
    rank: u64,
}

impl TrainingStep {
    /// Returns a step whose random numbers depend only on the seed and the number of the step.
    pub fn new(seed: u64, step: u64) -> Self {
        Self { seed, step, ..Self::default() }
    }

    /// Sets the processes that share the batch: batch normalization takes its statistics over the samples of all of them.
    #[must_use]
    pub fn with_norm_ranks(self, ranks: Ranks) -> Self {
        Self { norm_ranks: ranks, ..self }
    }

    /// Sets which of the processes that share a batch this is. Dropout draws other numbers in each; layer dropout, which a
    /// whole batch shares, the same.
    #[must_use]
    pub fn of_rank(self, rank: usize) -> Self {
        Self { rank: rank as u64, ..self }
    }

    /// Sets the state of recurrent layers after the previous step.
    #[must_use]
    pub fn with_state(self, state: RecurrentState) -> Self {
        Self { state, ..self }
    }
}

impl<'a> ForwardContext<'a> {
    /// Returns the context of inference: normalizations use running statistics, and dropout does nothing.
    pub fn inference(parameters: &'a Parameters) -> Self {
        Self { parameters, training: None, records_statistics: false, state: RecurrentState::default() }
    }

    /// Returns the context of a training step: normalizations use the statistics of the batch, and dropout is active.
    pub fn training(parameters: &'a Parameters, step: &'a mut TrainingStep) -> Self {
        Self { parameters, training: Some(step), records_statistics: true, state: RecurrentState::default() }
    }

    /// Whether this is the context of a training step.
    pub fn is_training(&self) -> bool {
        self.training.is_some()
    }

    /// Returns the same context without recording of batch statistics, for a layer that runs a second time.
    pub(crate) fn without_statistics(&mut self) -> ForwardContext<'_> {
        ForwardContext {
            parameters: self.parameters,
            training: self.training.as_deref_mut(),
            records_statistics: false,
            state: self.state.clone(),
        }
    }

    /// Sets the state of recurrent layers in inference. For training use [`TrainingStep::with_state`].
    #[must_use]
    pub fn with_state(self, state: RecurrentState) -> Self {
        Self { state, ..self }
    }

    /// Returns the state of recurrent layers.
    pub fn state(&self) -> &RecurrentState {
        self.training.as_ref().map_or(&self.state, |training| &training.state)
    }

    pub(crate) fn state_mut(&mut self) -> &mut RecurrentState {
        match &mut self.training {
            Some(training) => &mut training.state,
            None => &mut self.state,
        }
    }

    /// Returns h and c of a recurrent layer as constants, without a gradient.
    pub(crate) fn layer_state(&self, layer: usize, units: usize) -> [Tensor<2>; 2] {
        let device = self.parameters.device();
        match &self.training {
            Some(training) => training.state.layer(layer, units, &device.clone().inner()).map(Tensor::from_inner),
            None => self.state.layer(layer, units, device),
        }
    }

    /// Records the value that a running statistic has in this batch.
    pub(crate) fn record_statistic(&mut self, id: ParameterId, value: Tensor<1>) {
        if let Some(training) = self.training.as_mut().filter(|_| self.records_statistics) {
            training.statistics.push((id, value.inner()));
        }
    }

    /// The processes over whose samples batch normalization takes its statistics.
    pub(crate) fn norm_ranks(&self) -> Option<&Ranks> {
        self.training.as_ref().map(|training| &training.norm_ranks).filter(|ranks| ranks.size() > 1)
    }

    /// Draws whether layer dropout keeps a block of this survival probability. Always true in inference.
    pub(crate) fn draw_survival(&mut self, probability: f64) -> bool {
        let Some(training) = &mut self.training else { return true };
        if probability >= 1.0 {
            return true;
        }
        training.draws += 1;
        let mut rng = stream(training.seed, Purpose::LayerDropout, &[training.step, training.draws]);
        f64::from(uniform(&mut rng)) < probability
    }

    /// Applies dropout: in training every unit is zeroed with `probability`, and the others are divided by
    /// `1 - probability`.
    pub(crate) fn dropout(&mut self, x: FeatureMap, probability: f64) -> FeatureMap {
        match self.dropout_mask(x.dims(), probability) {
            Some(mask) => FeatureMap::from(x.into_plain() * mask),
            None => x,
        }
    }

    /// Applies dropout to `[samples, units]`.
    pub(crate) fn dropout_rows(&mut self, x: Tensor<2>, probability: f64) -> Tensor<2> {
        match self.dropout_mask(x.dims(), probability) {
            Some(mask) => x * mask,
            None => x,
        }
    }

    /// Returns the factors of dropout; `None` if it drops nothing.
    fn dropout_mask<const D: usize>(&mut self, dims: [usize; D], probability: f64) -> Option<Tensor<D>> {
        let training = self.training.as_mut().filter(|_| probability > 0.0)?;
        training.draws += 1;
        let place = [training.step, training.draws, training.rank];
        // The first process draws what a process alone does.
        let place = if training.rank == 0 { &place[..2] } else { &place };
        let mut rng = stream(training.seed, Purpose::Dropout, place);
        let scale = (1.0 / (1.0 - probability)) as f32;
        let mask: Vec<f32> = (0..dims.iter().product())
            .map(|_| if f64::from(uniform(&mut rng)) < probability { 0.0 } else { scale })
            .collect();
        Some(Tensor::from_data(TensorData::new(mask, dims), self.parameters.device()))
    }
}
