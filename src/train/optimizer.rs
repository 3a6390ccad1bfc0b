//! SGD with momentum and AdamW.
//!
//! All trained parameters form one vector. A step is then a few operations, whatever the number of layers.

use burn::tensor::Tensor;

use super::{DecayScope, OptimizerKind, TrainConfig};
use crate::kernel::{Kernels, Sgd};
use crate::nn::{Parameters, Role, tensor_to_vec};

/// Is added to the square root of the second moment of AdamW, as by default in PyTorch.
const EPSILON: f64 = 1e-8;

/// An optimizer that computes the same steps as `SGD` and `AdamW` of PyTorch.
#[derive(Clone, Debug)]
pub struct Optimizer {
    /// 1 for parameters that weight decay applies to, otherwise 0; `None` without weight decay.
    decay_mask: Option<Tensor<1>>,
    /// Moments of the gradient: the velocity of SGD, or the first and the second moment of AdamW. Empty before the first
    /// step.
    moments: Vec<Tensor<1>>,
    steps: u64,
    kernels: Kernels,
}

impl Optimizer {
    /// Returns the optimizer before the first step.
    pub fn new(config: &TrainConfig, parameters: &Parameters) -> Self {
        let mask = parameters.iter().filter(|(_, p)| p.is_trainable()).flat_map(|(_, p)| {
            let decays = config.decay == DecayScope::All || p.role == Role::Weight;
            std::iter::repeat_n(f32::from(u8::from(decays)), p.shape.iter().product())
        });
        let mask: Vec<f32> = mask.collect();
        let decay_mask = (config.weight_decay > 0.0).then(|| Tensor::from_floats(mask.as_slice(), parameters.device()));
        Self { decay_mask, moments: Vec::new(), steps: 0, kernels: parameters.kernels() }
    }

    /// Returns the values of the parameters after a step. `values` and `gradient` hold those of all trained parameters, in
    /// the order of [`Parameters::flatten`].
    pub fn step(&mut self, config: &TrainConfig, rate: f64, values: Tensor<1>, gradient: Tensor<1>) -> Tensor<1> {
        self.steps += 1;
        match (config.optimizer, self.kernels) {
            (OptimizerKind::Sgd, Kernels::Native) => self.fused_sgd(config, rate, values, gradient),
            (OptimizerKind::Sgd, Kernels::Reference) => {
                self.sgd(config, rate, values, clip(gradient, config.clip_norm))
            }
            (OptimizerKind::AdamW, _) => self.adamw(config, rate, values, clip(gradient, config.clip_norm)),
        }
    }

    /// Computes the same as [`Self::sgd`] in one pass over the values.
    fn fused_sgd(&mut self, config: &TrainConfig, rate: f64, values: Tensor<1>, gradient: Tensor<1>) -> Tensor<1> {
        let TrainConfig { momentum, nesterov, weight_decay, clip_norm, .. } = *config;
        let rule = Sgd { rate, momentum, nesterov, weight_decay, clip_norm };
        let (values, velocity) = rule.step(values, gradient, self.decay_mask.clone(), self.moments.pop());
        self.moments.extend(velocity);
        values
    }

    /// `v = μ·v + (g + λ·w)`, `w = w - rate·v`, or with Nesterov `w = w - rate·(g + λ·w + μ·v)`.
    fn sgd(&mut self, config: &TrainConfig, rate: f64, values: Tensor<1>, gradient: Tensor<1>) -> Tensor<1> {
        let gradient = match &self.decay_mask {
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
        let direction = if config.nesterov { gradient + velocity.mul_scalar(config.momentum) } else { velocity };
        values - direction.mul_scalar(rate)
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
        let direction = first.div_scalar(1.0 - b1.powi(t)) / corrected;
        let decayed = match &self.decay_mask {
            Some(mask) => values.clone() - values * mask.clone().mul_scalar(rate * config.weight_decay),
            None => values,
        };
        decayed - direction.mul_scalar(rate)
    }

    /// Returns the moments and the number of steps, for a checkpoint.
    pub fn state(&self) -> (Vec<Vec<f32>>, u64) {
        (self.moments.iter().map(|m| tensor_to_vec(m.clone())).collect(), self.steps)
    }

    /// Sets the moments and the number of steps to those of a checkpoint.
    pub fn restore(&mut self, moments: &[Vec<f32>], steps: u64, parameters: &Parameters) {
        self.moments = moments.iter().map(|m| Tensor::from_floats(m.as_slice(), parameters.device())).collect();
        self.steps = steps;
    }
}

/// Scales a gradient down to a norm of at most `limit`; 0 is no limit. As in PyTorch, 1e-6 is added to the norm before the
/// division.
fn clip(gradient: Tensor<1>, limit: f64) -> Tensor<1> {
    if limit <= 0.0 {
        return gradient;
    }
    let norm = sum_of_squares(&gradient).sqrt();
    let factor = norm.add_scalar(1e-6).recip().mul_scalar(limit).clamp_max(1.0);
    gradient * factor
}

/// Returns the sum of the squares of a vector, `[1]`.
///
/// Burn sums a long vector on the CPU with any number of threads, in an order that varies. A resumed training must be
/// bit-identical, so that it is summed in rows, each of which has one order.
fn sum_of_squares(vector: &Tensor<1>) -> Tensor<1> {
    const ROW: usize = 1 << 12;
    let count = vector.dims()[0];
    let rows = count / ROW + 1;
    let zeros = Tensor::zeros([rows * ROW - count], &vector.device());
    let squares = Tensor::cat(vec![vector.clone() * vector.clone(), zeros], 0);
    let sums = squares.reshape([rows, ROW]).sum_dim(1);
    sums.reshape([1, rows]).sum_dim(1).reshape([1])
}
