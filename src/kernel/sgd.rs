//! A step of stochastic gradient descent in one pass over all parameters.

use std::mem::MaybeUninit;

use burn::tensor::Tensor;

use super::memory::{assume_init, uninit};
use super::operation::{Operation, Output, TensorView, apply};
use super::parallel::{Chunks, parallel, parallel_chunks};
use super::simd::{self, LANES, Simd, SimdOp};
use super::tuning::{COST_PER_VALUE, OPTIMIZER_CHUNK};

/// Stochastic gradient descent: `g = ∇ + λ·w`, `v = μ·v + g`, and the new parameters are `w - rate·v`, or with Nesterov
/// momentum `w - rate·(g + μ·v)`. Each operation is rounded as in PyTorch's `SGD`.
#[derive(Clone, Copy, Debug)]
pub struct Sgd {
    /// The learning rate.
    pub rate: f64,
    /// μ. With 0 there is no velocity.
    pub momentum: f64,
    /// Whether the momentum is Nesterov's.
    pub nesterov: bool,
    /// λ.
    pub weight_decay: f64,
    /// The maximum norm of the gradient, which is scaled down to it; 0 for no maximum. As in PyTorch, 1e-6 is added to the norm
    /// before the division.
    pub clip_norm: f64,
}

impl Sgd {
    /// Returns the parameters after a step, and the velocity if there is momentum. `decays` is 1 where λ applies and 0
    /// elsewhere; without it λ applies nowhere. All are `[parameters]`. Runs on the CPU only.
    pub fn step(
        self,
        values: Tensor<1>,
        gradient: Tensor<1>,
        decays: Option<Tensor<1>>,
        velocity: Option<Tensor<1>>,
    ) -> (Tensor<1>, Option<Tensor<1>>) {
        let operation = SgdStep { rule: self, has_decays: decays.is_some(), has_velocity: velocity.is_some() };
        let inputs = [Some(values), Some(gradient), decays, velocity].into_iter().flatten();
        let (values, rest) = apply(operation, inputs.map(Tensor::into_dispatch).collect());
        (values, rest.into_iter().next())
    }

    /// Returns the factor that clips the gradient.
    fn clip_factor(&self, gradient: &[f32]) -> f32 {
        if self.clip_norm <= 0.0 {
            return 1.0;
        }
        let count = gradient.len().div_ceil(OPTIMIZER_CHUNK);
        let sums = parallel(count, OPTIMIZER_CHUNK * COST_PER_VALUE, |chunks| {
            let chunks = gradient.chunks(OPTIMIZER_CHUNK).skip(chunks.start).take(chunks.len());
            chunks.map(|chunk| simd::run(SumOfSquares(chunk))).collect::<Vec<f64>>()
        });
        let norm = sums.iter().flatten().sum::<f64>().sqrt();
        let factor = self.clip_norm / (norm + 1e-6);
        if factor < 1.0 { factor as f32 } else { 1.0 }
    }
}

/// A step of [`Sgd`]. Inputs: values and gradient, and if they are there decays and velocity. Outputs: values, and the
/// velocity if there is momentum.
#[derive(Clone, Debug)]
struct SgdStep {
    rule: Sgd,
    has_decays: bool,
    has_velocity: bool,
}

impl Operation for SgdStep {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let mut rest = inputs[2..].iter().map(|tensor| tensor.values);
        let decays = if self.has_decays { rest.next() } else { None };
        let velocity = if self.has_velocity { rest.next() } else { None };
        let [values, gradient] = [inputs[0].values, inputs[1].values];
        let count = values.len();
        let factor = self.rule.clip_factor(gradient);
        let mut new_values = uninit(count);
        let mut new_velocity = (self.rule.momentum > 0.0).then(|| uninit(count));
        let to = (
            Chunks::new(&mut new_values, OPTIMIZER_CHUNK),
            new_velocity.as_mut().map(|velocity| Chunks::new(velocity, OPTIMIZER_CHUNK)),
        );
        let chunks = count.div_ceil(OPTIMIZER_CHUNK);
        parallel_chunks(chunks, OPTIMIZER_CHUNK * COST_PER_VALUE, to, |chunks, (to, new_velocity)| {
            let mut to = to.values.chunks_mut(OPTIMIZER_CHUNK);
            let mut new_velocity = new_velocity.map(|velocity| velocity.values.chunks_mut(OPTIMIZER_CHUNK));
            for start in chunks.map(|chunk| chunk * OPTIMIZER_CHUNK) {
                let range = start..(start + OPTIMIZER_CHUNK).min(count);
                simd::run(Chunk {
                    rule: self.rule,
                    factor,
                    values: &values[range.clone()],
                    gradient: &gradient[range.clone()],
                    decays: decays.map(|all| &all[range.clone()]),
                    velocity: velocity.map(|all| &all[range.clone()]),
                    new_values: to.next().expect("as many chunks as are counted"),
                    new_velocity: new_velocity.as_mut().and_then(Iterator::next),
                });
            }
        });
        let outputs = [Some(new_values), new_velocity].into_iter().flatten();
        // SAFETY: `Chunk` wrote every parameter of every chunk to both.
        outputs.map(|values| Output { values: unsafe { assume_init(values) }, shape: vec![count] }).collect()
    }

    fn backward(&self, _: &[TensorView], _: TensorView, _: &[bool]) -> Vec<Output> {
        unreachable!("an optimizer step has no gradient")
    }
}

/// The sum of the squares of a chunk, in as many sums as the loop has lanes.
struct SumOfSquares<'a>(&'a [f32]);

impl SimdOp for SumOfSquares<'_> {
    type Output = f64;

    #[inline(always)]
    fn eval<S: Simd>(self, _: S) -> f64 {
        let (rows, rest) = self.0.as_chunks::<LANES>();
        let mut sums = [0.0; LANES];
        for row in rows {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += f64::from(*value) * f64::from(*value);
            }
        }
        let rest: f64 = rest.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
        sums.iter().sum::<f64>() + rest
    }
}

/// The step of one chunk of parameters. All slices have the length of the chunk.
struct Chunk<'a> {
    rule: Sgd,
    /// What the gradient is multiplied by.
    factor: f32,
    values: &'a [f32],
    gradient: &'a [f32],
    decays: Option<&'a [f32]>,
    velocity: Option<&'a [f32]>,
    new_values: &'a mut [MaybeUninit<f32>],
    new_velocity: Option<&'a mut [MaybeUninit<f32>]>,
}

impl SimdOp for Chunk<'_> {
    type Output = ();

    /// Writes every value of the new values and velocity. Each loop is simple enough for the compiler to vectorize it.
    #[inline(always)]
    fn eval<S: Simd>(self, _: S) {
        let [rate, momentum, decay] =
            [self.rule.rate, self.rule.momentum, self.rule.weight_decay].map(|value| value as f32);
        let mut direction = [0.0; OPTIMIZER_CHUNK];
        let direction = &mut direction[..self.new_values.len()];
        direction.iter_mut().zip(self.gradient).for_each(|(g, gradient)| *g = gradient * self.factor);
        if let Some(decays) = self.decays {
            let decayed = self.values.iter().zip(decays).map(|(w, decays)| w * (decays * decay));
            direction.iter_mut().zip(decayed).for_each(|(g, decayed)| *g += decayed);
        }
        if let Some(new_velocity) = self.new_velocity {
            let new_velocity: &[f32] = match self.velocity {
                Some(before) => {
                    assert_eq!(before.len(), direction.len());
                    let terms = before.iter().zip(direction.iter());
                    new_velocity.iter_mut().zip(terms).for_each(|(v, (before, g))| {
                        v.write(before * momentum + g);
                    });
                    // SAFETY: all three slices have the same length, so that the loop wrote every value.
                    unsafe { new_velocity.assume_init_ref() }
                }
                None => new_velocity.write_copy_of_slice(direction),
            };
            if self.rule.nesterov {
                direction.iter_mut().zip(new_velocity).for_each(|(g, v)| *g += v * momentum);
            } else {
                direction.copy_from_slice(new_velocity);
            }
        }
        assert_eq!(self.values.len(), direction.len());
        let terms = self.values.iter().zip(direction.iter());
        self.new_values.iter_mut().zip(terms).for_each(|(to, (w, direction))| {
            to.write(w - direction * rate);
        });
    }
}
