//! Softmax and cross-entropy in one pass over the logits, and one back.

use std::sync::{Arc, OnceLock};

use super::norm::{lanes, put};
use super::operation::{Operation, Output, TensorView};
use super::parallel::{SendPtr, VALUE, parallel_chunks, uninit};
use super::simd::{Isa, LANES, Lanes, Work, dispatch};

/// The mean cross-entropy of `[rows, classes]` logits, nats; with smoothing `s` the target is `1 - s` for the label plus
/// `s / classes` for every class. Outputs: that mean; of every row `-ln p` of its label; and the likeliest class.
#[derive(Clone, Debug)]
pub(super) struct SoftmaxCrossEntropy {
    pub labels: Arc<Vec<u32>>,
    pub smoothing: f32,
    /// What every row came to, for the way back.
    rows: OnceLock<Vec<Row>>,
}

impl SoftmaxCrossEntropy {
    pub(super) fn new(labels: &[u32], smoothing: f64) -> Self {
        Self { labels: Arc::new(labels.to_vec()), smoothing: smoothing as f32, rows: OnceLock::new() }
    }
}

/// What one row comes to. Greatest value and sum apart: their difference from a logit is then rounded once, by its own
/// size.
#[derive(Clone, Copy, Debug)]
struct Row {
    most: f32,
    /// `Σ exp(z - most)`.
    sum: f64,
    /// `Σ z`.
    total: f64,
    best: usize,
}

impl Operation for SoftmaxCrossEntropy {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let (logits, classes) = (inputs[0].values, inputs[0].shape[1]);
        let rows: Vec<Row> = parallel_chunks(self.labels.len(), classes * VALUE, |range| {
            let logits = &logits[range.start * classes..range.end * classes];
            dispatch(Isa::best(), Forward { logits, classes })
        })
        .into_iter()
        .flatten()
        .collect();
        let own = |(row, (&label, logits)): (&Row, (&u32, &[f32]))| {
            (row.sum.ln() - f64::from(logits[label as usize] - row.most)) as f32
        };
        let losses: Vec<f32> = rows.iter().zip(self.labels.iter().zip(logits.chunks_exact(classes))).map(own).collect();
        let spread = f64::from(self.smoothing);
        let total: f64 = rows
            .iter()
            .zip(&losses)
            .map(|(row, &loss)| {
                // Σ_c (lse - z_c) / classes is the loss of the even part of the target.
                let even =
                    if spread > 0.0 { row.sum.ln() + f64::from(row.most) - row.total / classes as f64 } else { 0.0 };
                (1.0 - spread) * f64::from(loss) + spread * even
            })
            .sum();
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

    /// `(p - target) / rows` for every logit.
    fn backward(&self, inputs: &[TensorView], gradient: TensorView, _: &[bool]) -> Vec<Output> {
        let (logits, classes) = (inputs[0].values, inputs[0].shape[1]);
        let all = self.rows.get().expect("forward came before");
        let factor = gradient.values[0] / self.labels.len() as f32;
        let even = factor * self.smoothing / classes as f32;
        let mut values = uninit(logits.len());
        let shared = SendPtr::new(&mut values);
        parallel_chunks(self.labels.len(), classes * VALUE, |rows| {
            let range = rows.start * classes..rows.end * classes;
            // SAFETY: every part has its own rows.
            let to = unsafe { shared.part(range.clone()) };
            let (logits, all) = (&logits[range], &all[rows.clone()]);
            dispatch(Isa::best(), Backward { logits, rows: all, classes, factor, even, to: &mut *to });
            for (row, &label) in to.chunks_exact_mut(classes).zip(&self.labels[rows]) {
                row[label as usize] -= factor * (1.0 - self.smoothing);
            }
        });
        vec![Output { values, shape: inputs[0].shape.to_vec() }]
    }
}

struct Forward<'a> {
    logits: &'a [f32],
    classes: usize,
}

impl Work for Forward<'_> {
    type Output = Vec<Row>;

    #[inline(always)]
    fn run<L: Lanes>(self) -> Vec<Row> {
        let mut rows = Vec::with_capacity(self.logits.len() / self.classes);
        for logits in self.logits.chunks_exact(self.classes) {
            rows.push(Row::new::<L>(logits));
        }
        rows
    }
}

impl Row {
    #[inline(always)]
    fn new<L: Lanes>(logits: &[f32]) -> Self {
        let mut last = [f32::NEG_INFINITY; LANES];
        let whole = logits.len() / LANES * LANES;
        last[..logits.len() - whole].copy_from_slice(&logits[whole..]);
        let mut most = lanes::<L>(&last);
        let mut total = L::splat(0.0);
        for z in logits[..whole].chunks_exact(LANES) {
            let z = lanes::<L>(z);
            most = most.max(z);
            total = total.add(z);
        }
        let most = host(most).into_iter().fold(f32::NEG_INFINITY, f32::max);
        let total = host(total).into_iter().chain(logits[whole..].iter().copied()).map(f64::from).sum::<f64>();
        let shift = L::splat(most);
        let mut sum = lanes::<L>(&last).sub(shift).exp();
        for z in logits[..whole].chunks_exact(LANES) {
            sum = sum.add(lanes::<L>(z).sub(shift).exp());
        }
        let sum = host(sum).into_iter().map(f64::from).sum::<f64>();
        // A logit that is no number is hidden from a maximum, but not from a sum.
        let sum = if total.is_finite() { sum } else { f64::NAN };
        Self { most, sum, total, best: logits.iter().position(|&z| z == most).unwrap_or(0) }
    }
}

/// The sixteen values.
#[inline(always)]
fn host<L: Lanes>(value: L) -> [f32; LANES] {
    let mut all = [0.0; LANES];
    put(value, &mut all);
    all
}

struct Backward<'a> {
    logits: &'a [f32],
    rows: &'a [Row],
    classes: usize,
    factor: f32,
    even: f32,
    to: &'a mut [f32],
}

impl Work for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let even = L::splat(self.even);
        let rows = self.logits.chunks_exact(self.classes).zip(self.to.chunks_exact_mut(self.classes));
        for ((logits, to), row) in rows.zip(self.rows) {
            let scale = (f64::from(self.factor) / row.sum) as f32;
            let (shift, factor) = (L::splat(row.most), L::splat(scale));
            let whole = self.classes / LANES * LANES;
            for (z, to) in logits[..whole].chunks_exact(LANES).zip(to.chunks_exact_mut(LANES)) {
                put(lanes::<L>(z).sub(shift).exp().mul(factor).sub(even), to);
            }
            for (z, to) in logits[whole..].iter().zip(&mut to[whole..]) {
                *to = (z - row.most).exp() * scale - self.even;
            }
        }
    }
}
