//! SGD with momentum and AdamW over all trained parameters as one long vector.
//!
//! One vector means a handful of operations a step, whatever the number of layers, and a gradient norm, an average
//! or a checkpoint that is one line.

use burn::tensor::Tensor;

use super::{Decay, Method, TrainConfig};
use crate::kernel::{Kernels, Sgd};
use crate::nn::{Parameters, Role, parameters_host};

/// Added to the root of the second moment, PyTorch's default.
const EPSILON: f64 = 1e-8;

/// Changes parameters by gradients, as PyTorch's `SGD` and `AdamW` do.
#[derive(Clone, Debug)]
pub struct Optimizer {
    /// 1 where weight decay applies; absent where it applies nowhere.
    decays: Option<Tensor<1>>,
    /// Moments of the gradient: the velocity of SGD, or the first and second of AdamW. Empty before the first step.
    moments: Vec<Tensor<1>>,
    steps: u64,
    kernels: Kernels,
}

impl Optimizer {
    /// Before the first step.
    pub fn new(config: &TrainConfig, parameters: &Parameters) -> Self {
        let mask = parameters.iter().filter(|(_, p)| p.is_trained()).flat_map(|(_, p)| {
            let decays = config.decay == Decay::All || p.role == Role::Weight;
            std::iter::repeat_n(f32::from(u8::from(decays)), p.shape.iter().product())
        });
        let mask: Vec<f32> = mask.collect();
        let decays = (config.weight_decay > 0.0).then(|| Tensor::from_floats(mask.as_slice(), parameters.device()));
        Self { decays, moments: Vec::new(), steps: 0, kernels: parameters.kernels() }
    }

    /// The parameters after a step along a gradient; both hold all trained values, in order.
    pub fn step(&mut self, config: &TrainConfig, rate: f64, values: Tensor<1>, gradient: Tensor<1>) -> Tensor<1> {
        self.steps += 1;
        match (config.optimizer, self.kernels) {
            (Method::Sgd, Kernels::Native) => self.descend(config, rate, values, gradient),
            (Method::Sgd, Kernels::Reference) => self.sgd(config, rate, values, clip(gradient, config.clip_norm)),
            (Method::AdamW, _) => self.adamw(config, rate, values, clip(gradient, config.clip_norm)),
        }
    }

    /// The same as [`Self::sgd`] in one pass.
    fn descend(&mut self, config: &TrainConfig, rate: f64, values: Tensor<1>, gradient: Tensor<1>) -> Tensor<1> {
        let TrainConfig { momentum, nesterov, weight_decay, clip_norm, .. } = *config;
        let rule = Sgd { rate, momentum, nesterov, weight_decay, clip_norm };
        let (values, velocity) = rule.step(values, gradient, self.decays.clone(), self.moments.pop());
        self.moments.extend(velocity);
        values
    }

    /// `v = μ·v + (g + λ·w)`, `w = w - rate·v`, or with Nesterov `w = w - rate·(g + λ·w + μ·v)`.
    fn sgd(&mut self, config: &TrainConfig, rate: f64, values: Tensor<1>, gradient: Tensor<1>) -> Tensor<1> {
        let gradient = match &self.decays {
            Some(mask) => gradient + values.clone() * mask.clone().mul_scalar(config.weight_decay),
            None => gradient,
        };
        if config.momentum == 0.0 {
            return values - gradient.mul_scalar(rate);
        }
        let velocity = match self.moments.pop() {
            Some(velocity) => velocity.mul_scalar(config.momentum) + gradient.clone(),
            None => gradient.clone(),
        };
        self.moments = vec![velocity.clone()];
        let along = if config.nesterov { gradient + velocity.mul_scalar(config.momentum) } else { velocity };
        values - along.mul_scalar(rate)
    }

    /// `w = w·(1 - rate·λ) - rate · m̂ / (sqrt(v̂) + ε)` with the bias-corrected moments `m̂`, `v̂`.
    fn adamw(&mut self, config: &TrainConfig, rate: f64, values: Tensor<1>, gradient: Tensor<1>) -> Tensor<1> {
        let [b1, b2] = config.betas;
        let square = gradient.clone() * gradient.clone();
        let (first, second) = match (self.moments.pop(), self.moments.pop()) {
            (Some(second), Some(first)) => (
                first.mul_scalar(b1) + gradient.mul_scalar(1.0 - b1),
                second.mul_scalar(b2) + square.mul_scalar(1.0 - b2),
            ),
            _ => (gradient.mul_scalar(1.0 - b1), square.mul_scalar(1.0 - b2)),
        };
        self.moments = vec![first.clone(), second.clone()];
        let t = self.steps as i32;
        let corrected = second.div_scalar(1.0 - b2.powi(t)).sqrt().add_scalar(EPSILON);
        let along = first.div_scalar(1.0 - b1.powi(t)) / corrected;
        let shrunk = match &self.decays {
            Some(mask) => values.clone() - values * mask.clone().mul_scalar(rate * config.weight_decay),
            None => values,
        };
        shrunk - along.mul_scalar(rate)
    }

    /// The moments on the host and the number of steps, for a checkpoint.
    pub fn state(&self) -> (Vec<Vec<f32>>, u64) {
        (self.moments.iter().map(|m| parameters_host(m.clone())).collect(), self.steps)
    }

    /// Continues from a checkpoint's moments and number of steps.
    pub fn restore(&mut self, moments: &[Vec<f32>], steps: u64, parameters: &Parameters) {
        self.moments = moments.iter().map(|m| Tensor::from_floats(m.as_slice(), parameters.device())).collect();
        self.steps = steps;
    }
}

/// Scales a gradient down to a norm of at most `limit`, over all parameters; 0 is no limit. As in PyTorch, the norm
/// gets 1e-6 added before the division.
fn clip(gradient: Tensor<1>, limit: f64) -> Tensor<1> {
    if limit <= 0.0 {
        return gradient;
    }
    // On the host and in order: the engine sums long vectors by as many threads as are free, and resuming is to the bit.
    let squares: f64 = parameters_host(gradient.clone()).iter().map(|&g| f64::from(g) * f64::from(g)).sum();
    let factor = limit / (squares.sqrt() + 1e-6);
    if factor < 1.0 { gradient.mul_scalar(factor) } else { gradient }
}
