//! Softmax and cross-entropy in one forward pass over the logits, and one backward pass.

use std::mem::MaybeUninit;
use std::sync::OnceLock;

use super::memory::{assume_init, uninit};
use super::operation::{Operation, Output, TensorView};
use super::parallel::{Chunks, parallel, parallel_chunks};
use super::simd::{self, F32x16, LANES, Simd, SimdOp};
use super::tuning::COST_PER_VALUE;

/// The mean cross-entropy of `[rows, classes]` logits, nats. With smoothing `s`, the target is `1 - s` for the label plus
/// `s / classes` for every class.
///
/// Outputs: the mean, `[1]`; `-ln p` of every row's label, `[rows]`; and every row's most probable class, `[rows]`.
#[derive(Clone, Debug)]
pub(super) struct SoftmaxCrossEntropy {
    labels: Vec<u32>,
    smoothing: f32,
    /// Saved for the backward pass.
    rows: OnceLock<Vec<RowSummary>>,
}

impl SoftmaxCrossEntropy {
    pub(super) fn new(labels: &[u32], smoothing: f64) -> Self {
        Self { labels: labels.to_vec(), smoothing: smoothing as f32, rows: OnceLock::new() }
    }
}

/// Sums over one row of logits z. Maximum and sum are kept apart, so that the difference between a logit and the maximum is
/// rounded once, relative to its own size.
#[derive(Clone, Copy, Debug)]
struct RowSummary {
    max: f32,
    /// `Σ exp(z - max)`.
    sum: f64,
    /// `Σ z`.
    total: f64,
    /// The class of the maximum.
    best: usize,
}

impl Operation for SoftmaxCrossEntropy {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let (logits, classes) = (inputs[0].values, inputs[0].shape[1]);
        let rows = parallel(self.labels.len(), classes * COST_PER_VALUE, |range| {
            let logits = &logits[range.start * classes..range.end * classes];
            simd::run(Forward { logits, classes })
        });
        let rows: Vec<RowSummary> = rows.into_iter().flatten().collect();
        let loss = |(row, (&label, logits)): (&RowSummary, (&u32, &[f32]))| {
            (row.sum.ln() - f64::from(logits[label as usize] - row.max)) as f32
        };
        let pairs = rows.iter().zip(self.labels.iter().zip(logits.chunks_exact(classes)));
        let losses: Vec<f32> = pairs.map(loss).collect();
        let smoothing = f64::from(self.smoothing);
        let smoothed = |(row, &loss): (&RowSummary, &f32)| {
            // Σ_c (ln Σ exp z - z_c) / classes is the loss of the uniform part of the target.
            let uniform =
                if smoothing > 0.0 { row.sum.ln() + f64::from(row.max) - row.total / classes as f64 } else { 0.0 };
            (1.0 - smoothing) * f64::from(loss) + smoothing * uniform
        };
        let total: f64 = rows.iter().zip(&losses).map(smoothed).sum();
        let best = rows.iter().map(|row| row.best as f32).collect();
        let count = rows.len();
        let mean = vec![(total / count.max(1) as f64) as f32];
        self.rows.get_or_init(|| rows);
        vec![
            Output { values: mean, shape: vec![1] },
            Output { values: losses, shape: vec![count] },
            Output { values: best, shape: vec![count] },
        ]
    }

    /// The gradient of a logit is `(p - target) / rows`.
    fn backward(&self, inputs: &[TensorView], gradient: TensorView, _: &[bool]) -> Vec<Output> {
        let (logits, classes) = (inputs[0].values, inputs[0].shape[1]);
        let summaries = self.rows.get().expect("forward came before");
        let factor = gradient.values[0] / self.labels.len() as f32;
        let uniform = factor * self.smoothing / classes as f32;
        let mut values = uninit(self.labels.len() * classes);
        let chunks = Chunks::new(&mut values, classes);
        parallel_chunks(self.labels.len(), classes * COST_PER_VALUE, chunks, |rows, to| {
            let logits = &logits[rows.start * classes..rows.end * classes];
            simd::run(Backward {
                logits,
                rows: &summaries[rows.clone()],
                labels: &self.labels[rows],
                classes,
                factor,
                uniform,
                target: factor * (1.0 - self.smoothing),
                to: to.values,
            });
        });
        // SAFETY: `Backward` wrote every row.
        let values = unsafe { assume_init(values) };
        vec![Output { values, shape: inputs[0].shape.to_vec() }]
    }
}

/// The forward pass of some rows.
struct Forward<'a> {
    logits: &'a [f32],
    classes: usize,
}

impl SimdOp for Forward<'_> {
    type Output = Vec<RowSummary>;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> Vec<RowSummary> {
        let mut rows = Vec::with_capacity(self.logits.len() / self.classes);
        for logits in self.logits.chunks_exact(self.classes) {
            rows.push(RowSummary::new(simd, logits));
        }
        rows
    }
}

impl RowSummary {
    #[inline(always)]
    fn new<S: Simd>(simd: S, logits: &[f32]) -> Self {
        let whole = logits.len() / LANES * LANES;
        let mut last = [f32::NEG_INFINITY; LANES];
        last[..logits.len() - whole].copy_from_slice(&logits[whole..]);
        let mut max = simd.load(&last);
        let mut total = simd.splat(0.0);
        for z in logits[..whole].chunks_exact(LANES) {
            let z = simd.load(z);
            max = max.max(z);
            total = total.add(z);
        }
        let max = max.to_array().into_iter().fold(f32::NEG_INFINITY, f32::max);
        let total = total.to_array().into_iter().chain(logits[whole..].iter().copied()).map(f64::from).sum::<f64>();
        let shift = simd.splat(max);
        let mut sum = simd.exp(simd.load(&last).sub(shift));
        for z in logits[..whole].chunks_exact(LANES) {
            sum = sum.add(simd.exp(simd.load(z).sub(shift)));
        }
        let sum = sum.to_array().into_iter().map(f64::from).sum::<f64>();
        // A maximum may hide a NaN, but a sum does not.
        let sum = if total.is_finite() { sum } else { f64::NAN };
        Self { max, sum, total, best: logits.iter().position(|&z| z == max).unwrap_or(0) }
    }
}

/// The backward pass of some rows.
struct Backward<'a> {
    logits: &'a [f32],
    rows: &'a [RowSummary],
    labels: &'a [u32],
    classes: usize,
    /// The factor of the probabilities.
    factor: f32,
    /// What is subtracted for every class.
    uniform: f32,
    /// What is subtracted for the label.
    target: f32,
    to: &'a mut [MaybeUninit<f32>],
}

impl SimdOp for Backward<'_> {
    type Output = ();

    /// Writes every value of `to`.
    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let uniform = simd.splat(self.uniform);
        let rows = self.logits.chunks_exact(self.classes).zip(self.to.chunks_exact_mut(self.classes));
        for ((logits, to), (row, &label)) in rows.zip(self.rows.iter().zip(self.labels)) {
            let scale = (f64::from(self.factor) / row.sum) as f32;
            let (shift, factor) = (simd.splat(row.max), simd.splat(scale));
            let whole = self.classes / LANES * LANES;
            for (z, to) in logits[..whole].chunks_exact(LANES).zip(to.chunks_exact_mut(LANES)) {
                simd.exp(simd.load(z).sub(shift)).mul(factor).sub(uniform).store(to);
            }
            for (z, to) in logits[whole..].iter().zip(&mut to[whole..]) {
                to.write((z - row.max).exp() * scale - self.uniform);
            }
            // SAFETY: the loops above wrote every class of the row.
            unsafe { *to[label as usize].assume_init_mut() -= self.target };
        }
    }
}
