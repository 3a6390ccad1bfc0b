//! A step of gradient descent in one pass over all parameters.

use burn::tensor::Tensor;

use super::operation::{Operation, Output, TensorView, apply};
use super::parallel::{SendPtr, VALUE, parallel_chunks, uninit};
use super::simd::{Isa, LANES, Lanes, Work, dispatch};

/// `g = ∇ + λ·w`, `v = μ·v + g`, and `w - rate·v`, or with Nesterov `w - rate·(g + μ·v)`, each rounded as PyTorch's `SGD` has
/// it; `λ` of no more than some of the parameters.
#[derive(Clone, Copy, Debug)]
pub struct Sgd {
    /// Learning rate.
    pub rate: f64,
    /// `μ`; without it there is no velocity.
    pub momentum: f64,
    /// Whether the momentum is Nesterov's.
    pub nesterov: bool,
    /// `λ`.
    pub weight_decay: f64,
    /// A gradient whose norm is above this is scaled down to it; 0 for no limit. As in PyTorch, the norm gets 1e-6 added
    /// before the division.
    pub clip_norm: f64,
}

impl Sgd {
    /// The parameters after a step, and the velocity where there is momentum. `decays`: 1 where `λ` applies, 0 elsewhere;
    /// without it nowhere. All of them `[parameters]`. On the CPU alone.
    pub fn step(
        self,
        values: Tensor<1>,
        gradient: Tensor<1>,
        decays: Option<Tensor<1>>,
        velocity: Option<Tensor<1>>,
    ) -> (Tensor<1>, Option<Tensor<1>>) {
        let operation = Step { rule: self, decays: decays.is_some(), moves: velocity.is_some() };
        let inputs = [Some(values), Some(gradient), decays, velocity].into_iter().flatten();
        let (values, rest) = apply(operation, inputs.map(Tensor::into_dispatch).collect());
        (values, rest.into_iter().next())
    }
}

/// Inputs: values, gradient, and where there are such what decays and the velocity. Outputs: values, and velocity.
#[derive(Clone, Debug)]
struct Step {
    rule: Sgd,
    decays: bool,
    moves: bool,
}

/// Parameters that are worked on while they lie in the first cache, and whose squares are summed by themselves: the sum
/// does not depend on the number of threads.
const CHUNK: usize = 2048;

impl Operation for Step {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let mut rest = inputs[2..].iter().map(|array| array.values);
        let decays = if self.decays { rest.next() } else { None };
        let velocity = if self.moves { rest.next() } else { None };
        let [values, gradient] = [inputs[0].values, inputs[1].values];
        let count = values.len();
        let factor = self.rule.factor(gradient);
        let mut next = vec![uninit(count)];
        if self.rule.momentum > 0.0 {
            next.push(uninit(count));
        }
        let shared: Vec<SendPtr> = next.iter_mut().map(|all| SendPtr::new(all)).collect();
        parallel_chunks(count.div_ceil(CHUNK), CHUNK * VALUE, |chunks| {
            for range in chunks.map(|chunk| chunk * CHUNK..((chunk + 1) * CHUNK).min(count)) {
                // SAFETY: every part has its own chunks.
                let mut to = shared.iter().map(|all| unsafe { all.part(range.clone()) });
                let chunk = Chunk {
                    rule: self.rule,
                    factor,
                    values: &values[range.clone()],
                    gradient: &gradient[range.clone()],
                    decays: decays.map(|all| &all[range.clone()]),
                    velocity: velocity.map(|all| &all[range.clone()]),
                    to: to.next().expect("room for values"),
                    moved: to.next(),
                };
                dispatch(Isa::best(), chunk);
            }
        });
        next.into_iter().map(|values| Output { values, shape: vec![count] }).collect()
    }

    fn backward(&self, _: &[TensorView], _: TensorView, _: &[bool]) -> Vec<Output> {
        unreachable!("nothing is learned through a step of learning")
    }
}

impl Sgd {
    /// What clipping multiplies a gradient with.
    fn factor(&self, gradient: &[f32]) -> f32 {
        if self.clip_norm <= 0.0 {
            return 1.0;
        }
        let sums = parallel_chunks(gradient.len().div_ceil(CHUNK), CHUNK * VALUE, |chunks| {
            let chunks = gradient.chunks(CHUNK).skip(chunks.start).take(chunks.len());
            chunks.map(|chunk| dispatch(Isa::best(), Squares(chunk))).collect::<Vec<f64>>()
        });
        let norm = sums.iter().flatten().sum::<f64>().sqrt();
        let factor = self.clip_norm / (norm + 1e-6);
        if factor < 1.0 { factor as f32 } else { 1.0 }
    }
}

/// The sum of squares, in as many sums as the loop is wide.
struct Squares<'a>(&'a [f32]);

impl Work for Squares<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<L: Lanes>(self) -> f64 {
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

/// A step of some parameters.
struct Chunk<'a> {
    rule: Sgd,
    factor: f32,
    values: &'a [f32],
    gradient: &'a [f32],
    decays: Option<&'a [f32]>,
    velocity: Option<&'a [f32]>,
    to: &'a mut [f32],
    moved: Option<&'a mut [f32]>,
}

impl Work for Chunk<'_> {
    type Output = ();

    /// Loops one behind the other, each simple enough for the compiler to make lanes of it.
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let [rate, momentum, decay] =
            [self.rule.rate, self.rule.momentum, self.rule.weight_decay].map(|value| value as f32);
        let mut along = [0.0; CHUNK];
        let along = &mut along[..self.values.len()];
        along.iter_mut().zip(self.gradient).for_each(|(g, gradient)| *g = gradient * self.factor);
        if let Some(decays) = self.decays {
            let decayed = self.values.iter().zip(decays).map(|(w, decays)| w * (decays * decay));
            along.iter_mut().zip(decayed).for_each(|(g, decayed)| *g += decayed);
        }
        if let Some(moved) = self.moved {
            match self.velocity {
                Some(before) => {
                    let both = before.iter().zip(along.iter());
                    moved.iter_mut().zip(both).for_each(|(v, (before, g))| *v = before * momentum + g);
                }
                None => moved.copy_from_slice(along),
            }
            if self.rule.nesterov {
                along.iter_mut().zip(moved.iter()).for_each(|(g, v)| *g += v * momentum);
            } else {
                along.copy_from_slice(moved);
            }
        }
        let before = self.values.iter().zip(along.iter());
        self.to.iter_mut().zip(before).for_each(|(to, (w, along))| *to = w - along * rate);
    }
}
