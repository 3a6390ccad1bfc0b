//! What a forward pass needs besides its input: the parameters and, in training, randomness and a place for statistics.

use burn::tensor::{Tensor, TensorData};

use super::{ParameterId, Parameters, RecurrentState};
use crate::kernel::FeatureMap;
use crate::random::{Purpose, stream, uniform};

/// One forward pass through a network.
pub struct ForwardContext<'a> {
    /// The values to compute with.
    pub parameters: &'a Parameters,
    training: Option<&'a mut Training>,
    keeps: bool,
    /// In training that of [`Training`] takes its place.
    memory: RecurrentState,
}

/// What a training pass draws and what it leaves behind.
#[derive(Debug, Default)]
pub struct Training {
    seed: u64,
    step: u64,
    draws: u64,
    /// Statistics of the batch, mean and unbiased variance, by the running statistics that they move, in the order in
    /// which the layers ran: [`Parameters::update_running_statistics`] moves them.
    pub statistics: Vec<(ParameterId, Tensor<1>)>,
    /// What recurrent layers remember: of the step before, and after the pass of this one.
    pub memory: RecurrentState,
}

impl Training {
    /// For one training step; its random numbers depend on the seed and the step alone.
    pub fn new(seed: u64, step: u64) -> Self {
        Self { seed, step, draws: 0, statistics: Vec::new(), memory: RecurrentState::default() }
    }

    /// The same step, behind what recurrent layers remember of the one before.
    #[must_use]
    pub fn with_state(self, memory: RecurrentState) -> Self {
        Self { memory, ..self }
    }
}

impl<'a> ForwardContext<'a> {
    /// A pass that computes what the network answers.
    pub fn inference(parameters: &'a Parameters) -> Self {
        Self { parameters, training: None, keeps: false, memory: RecurrentState::default() }
    }

    /// A pass that trains: normalizations use the statistics of the batch, dropout drops.
    pub fn training(parameters: &'a Parameters, training: &'a mut Training) -> Self {
        Self { parameters, training: Some(training), keeps: true, memory: RecurrentState::default() }
    }

    /// Whether this pass trains.
    pub fn is_training(&self) -> bool {
        self.training.is_some()
    }

    /// The same pass, for what runs a second time: it keeps no statistics.
    pub(crate) fn without_statistics(&mut self) -> ForwardContext<'_> {
        let memory = self.memory.clone();
        ForwardContext { parameters: self.parameters, training: self.training.as_deref_mut(), keeps: false, memory }
    }

    /// The same pass with what recurrent layers remember; it is for passes that do not train.
    #[must_use]
    pub fn with_state(self, memory: RecurrentState) -> Self {
        Self { memory, ..self }
    }

    /// What recurrent layers remember.
    pub fn memory(&self) -> &RecurrentState {
        self.training.as_ref().map_or(&self.memory, |training| &training.memory)
    }

    pub(crate) fn memory_mut(&mut self) -> &mut RecurrentState {
        match &mut self.training {
            Some(training) => &mut training.memory,
            None => &mut self.memory,
        }
    }

    /// What a recurrent layer remembers, as constants of this pass.
    pub(crate) fn remembered(&self, layer: usize, units: usize) -> [Tensor<2>; 2] {
        let device = self.parameters.device();
        match &self.training {
            Some(training) => training.memory.of(layer, units, &device.clone().inner()).map(Tensor::from_inner),
            None => self.memory.of(layer, units, device),
        }
    }

    /// Keeps what a batch has in the place of a running statistic.
    pub(crate) fn keep(&mut self, id: ParameterId, value: Tensor<1>) {
        if let Some(training) = self.training.as_mut().filter(|_| self.keeps) {
            training.statistics.push((id, value.inner()));
        }
    }

    /// Whether something that survives training with this probability is kept in this pass. Always, when not training.
    pub(crate) fn survives(&mut self, probability: f64) -> bool {
        let Some(training) = &mut self.training else { return true };
        if probability >= 1.0 {
            return true;
        }
        training.draws += 1;
        let mut rng = stream(training.seed, Purpose::LayerDropout, &[training.step, training.draws]);
        f64::from(uniform(&mut rng)) < probability
    }

    /// Dropout: in training every unit is zeroed with `probability`, and the others grow to keep the mean.
    pub(crate) fn dropout(&mut self, x: FeatureMap, probability: f64) -> FeatureMap {
        match self.mask(x.dims(), probability) {
            Some(mask) => FeatureMap::from(x.into_plain() * mask),
            None => x,
        }
    }

    /// The same for `[samples, units]`.
    pub(crate) fn dropout_rows(&mut self, x: Tensor<2>, probability: f64) -> Tensor<2> {
        match self.mask(x.dims(), probability) {
            Some(mask) => x * mask,
            None => x,
        }
    }

    /// What dropout multiplies with; `None` where it drops nothing.
    fn mask<const D: usize>(&mut self, dims: [usize; D], probability: f64) -> Option<Tensor<D>> {
        let training = self.training.as_mut().filter(|_| probability > 0.0)?;
        training.draws += 1;
        let mut rng = stream(training.seed, Purpose::Dropout, &[training.step, training.draws]);
        let kept = (1.0 / (1.0 - probability)) as f32;
        let mask: Vec<f32> = (0..dims.iter().product())
            .map(|_| if f64::from(uniform(&mut rng)) < probability { 0.0 } else { kept })
            .collect();
        Some(Tensor::from_data(TensorData::new(mask, dims), self.parameters.device()))
    }
}
