//! What a forward pass needs besides its input: the parameters and, in training, randomness and a place for statistics.

use burn::tensor::{Tensor, TensorData};

use super::{Id, Parameters};
use crate::kernel::Map;
use crate::random::{Purpose, stream, uniform};

/// One forward pass through a network.
pub struct Pass<'a> {
    /// The values to compute with.
    pub parameters: &'a Parameters,
    training: Option<&'a mut Training>,
    keeps: bool,
}

/// What a training pass draws and what it leaves behind.
#[derive(Debug, Default)]
pub struct Training {
    seed: u64,
    step: u64,
    draws: u64,
    /// Statistics of the batch, mean and unbiased variance, by the running statistics that they move, in the order in
    /// which the layers ran: [`Parameters::follow`] moves them.
    pub statistics: Vec<(Id, Tensor<1>)>,
}

impl Training {
    /// For one training step; its random numbers depend on the seed and the step alone.
    pub fn new(seed: u64, step: u64) -> Self {
        Self { seed, step, draws: 0, statistics: Vec::new() }
    }
}

impl<'a> Pass<'a> {
    /// A pass that computes what the network answers.
    pub fn inference(parameters: &'a Parameters) -> Self {
        Self { parameters, training: None, keeps: false }
    }

    /// A pass that trains: normalizations use the statistics of the batch, dropout drops.
    pub fn training(parameters: &'a Parameters, training: &'a mut Training) -> Self {
        Self { parameters, training: Some(training), keeps: true }
    }

    /// Whether this pass trains.
    pub fn is_training(&self) -> bool {
        self.training.is_some()
    }

    /// The same pass, for what runs a second time: it keeps no statistics.
    pub(crate) fn quiet(&mut self) -> Pass<'_> {
        Pass { parameters: self.parameters, training: self.training.as_deref_mut(), keeps: false }
    }

    /// Keeps what a batch has in the place of a running statistic.
    pub(crate) fn keep(&mut self, id: Id, value: Tensor<1>) {
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
    pub(crate) fn dropout(&mut self, x: Map, probability: f64) -> Map {
        let Some(training) = &mut self.training else { return x };
        if probability <= 0.0 {
            return x;
        }
        training.draws += 1;
        let mut rng = stream(training.seed, Purpose::Dropout, &[training.step, training.draws]);
        let kept = (1.0 / (1.0 - probability)) as f32;
        let dims = x.dims();
        let mask: Vec<f32> = (0..dims.iter().product())
            .map(|_| if f64::from(uniform(&mut rng)) < probability { 0.0 } else { kept })
            .collect();
        let x = x.into_plain();
        let mask = Tensor::<4>::from_data(TensorData::new(mask, dims), &x.device());
        Map::from(x * mask)
    }
}
