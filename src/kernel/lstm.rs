//! Long short-term memory: all time steps of some streams of samples in one operation.

mod backward;

use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::OnceLock;

use super::conv::{Addend, Dense, channel_blocks, pack, transpose};
use super::matrix::{Matrix, add_product, product};
use super::memory::{as_uninit, assume_init, uninit};
use super::operation::{Operation, Output, TensorView};
use super::parallel::{Chunks, parallel_chunks};
use super::simd::{self, F32x16, LANES, Simd, SimdOp};
use backward::Backward;

/// An LSTM layer: `i, f, o = σ(·)` and `g = tanh(·)` of `x + W·h`, in the order i, f, g, o, then `c = f·c + i·g` and
/// `h = o·tanh(c)`, with h and c of the step before.
///
/// Inputs: x `[samples, 4·units]`, W `[4·units, units]`, and h and c of every stream before the first step,
/// `[streams, units]` each. Sample `n` is step `n / streams` of stream `n % streams`; the last step may lack streams.
/// Outputs: h of every sample, `[samples, units]`, and h and c of every stream after its last step.
#[derive(Debug)]
pub(super) struct Lstm {
    streams: usize,
    units: usize,
    /// Whether a backward pass follows.
    trains: bool,
    saved: OnceLock<Saved>,
}

/// What the backward pass needs of the forward pass.
#[derive(Debug)]
struct Saved {
    /// i, f, g, o and c of every sample, each padded to whole channel blocks: `[samples, 5, padded units]`.
    gates: Vec<f32>,
    /// h, `[samples, units]`.
    outputs: Vec<f32>,
    /// W as the kernels read it.
    packed: Vec<f32>,
}

/// Places in [`Saved::gates`].
const I: usize = 0;
const F: usize = 1;
const G: usize = 2;
const O: usize = 3;
const C: usize = 4;
/// The number of these places.
const GATES: usize = 5;

impl Lstm {
    pub(super) fn new(streams: usize, units: usize, trains: bool) -> Self {
        Self { streams, units, trains, saved: OnceLock::new() }
    }

    /// Returns the number of units padded to whole channel blocks.
    fn padded(&self) -> usize {
        channel_blocks(self.units) * LANES
    }

    /// Returns the packed weights of the four gates, one after the other, each padded to whole channel blocks of outputs.
    fn pack(&self, weight: &[f32]) -> Vec<f32> {
        let gates = weight.chunks_exact(self.units * self.units);
        gates.flat_map(|gate| pack(gate, self.units, self.units, 1)).collect()
    }

    /// Returns the multiply-adds of one stream.
    fn cost(&self, samples: usize) -> usize {
        samples.div_ceil(self.streams) * 4 * self.units * self.units
    }

    /// Returns an array `[samples, size]` as rows of time steps, which threads can share by streams.
    fn steps<'a, V>(&self, values: &'a mut [V], size: usize) -> Vec<Chunks<'a, V>> {
        values.chunks_mut(self.streams * size).map(|step| Chunks::new(step, size)).collect()
    }
}

impl Operation for Lstm {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let [x, weight, h, c] = inputs else { unreachable!("four inputs") };
        let (samples, units) = (x.shape[0], self.units);
        let packed = self.pack(weight.values);
        let mut outputs = uninit(samples * units);
        let mut gates = uninit(if self.trains { samples * GATES * self.padded() } else { 0 });
        let mut state = [uninit(self.streams * units), uninit(self.streams * units)];
        let to = (
            (self.steps(&mut outputs, units), self.steps(&mut gates, GATES * self.padded())),
            state.each_mut().map(|values| Chunks::new(values, units)),
        );
        parallel_chunks(self.streams, self.cost(samples), to, |streams, ((outputs, gates), state)| {
            let steps = Steps::new(self, samples, streams);
            let before = [h.values, c.values];
            simd::run(Forward { steps, x: x.values, packed: &packed, before, outputs, gates, state })
        });
        // SAFETY: `Forward` wrote every sample of every stream, and the state of every stream.
        let (outputs, gates, state) =
            unsafe { (assume_init(outputs), assume_init(gates), state.map(|s| assume_init(s))) };
        let saved = Saved { gates, outputs: if self.trains { outputs.clone() } else { Vec::new() }, packed };
        self.saved.get_or_init(|| saved);
        let state = state.map(|values| Output { shape: vec![values.len()], values });
        std::iter::once(Output { values: outputs, shape: vec![samples, units] }).chain(state).collect()
    }

    fn backward(&self, inputs: &[TensorView], gradient: TensorView, wanted: &[bool]) -> Vec<Output> {
        let [x, weight, h, c] = inputs else { unreachable!("four inputs") };
        let (samples, units) = (x.shape[0], self.units);
        let saved = self.saved.get().expect("forward came before");
        let transposed = transpose(&saved.packed, 4 * channel_blocks(units), channel_blocks(units), 1);
        let mut dx = uninit(samples * 4 * units);
        let mut state = [uninit(self.streams * units), uninit(self.streams * units)];
        let to = (self.steps(&mut dx, 4 * units), state.each_mut().map(|values| Chunks::new(values, units)));
        parallel_chunks(self.streams, self.cost(samples), to, |streams, (dx, state)| {
            let steps = Steps::new(self, samples, streams);
            let (gates, gradient) = (saved.gates.as_slice(), gradient.values);
            simd::run(Backward { steps, gates, packed: &transposed, before: c.values, gradient, dx, state });
        });
        // SAFETY: `Backward` wrote every sample of every stream, and the state of every stream.
        let (dx, state) = unsafe { (assume_init(dx), state.map(|s| assume_init(s))) };
        let weight_gradient = wanted[1].then(|| {
            // The samples of the first step met the state before it, all others h of the sample one step earlier.
            let first = self.streams.min(samples);
            let (dx_first, dx_later) = dx.split_at(first * 4 * units);
            let gates = |values| Matrix::new(values, 4 * units).transposed();
            let mut values = product(gates(dx_first), Matrix::new(&h.values[..first * units], units));
            let earlier = &saved.outputs[..(samples - first) * units];
            add_product(&mut values, gates(dx_later), Matrix::new(earlier, units));
            Output { values, shape: weight.shape.to_vec() }
        });
        let [dh, dc] = state.map(|values| Output { values, shape: h.shape.to_vec() });
        let gradients = [Some(Output { values: dx, shape: x.shape.to_vec() }), weight_gradient, Some(dh), Some(dc)];
        gradients.into_iter().zip(wanted).filter_map(|(gradient, wanted)| gradient.filter(|_| *wanted)).collect()
    }
}

/// The time steps of the streams of one thread. The values of these streams are in the blocked layout, `[channel blocks,
/// streams, 16]`.
#[derive(Clone)]
struct Steps {
    /// The number of all streams.
    total: usize,
    /// The streams of this thread.
    streams: Range<usize>,
    samples: usize,
    units: usize,
}

impl Steps {
    fn new(lstm: &Lstm, samples: usize, streams: Range<usize>) -> Self {
        Self { total: lstm.streams, streams, samples, units: lstm.units }
    }

    fn count(&self) -> usize {
        self.samples.div_ceil(self.total)
    }

    /// Returns the samples of a time step, one of each stream.
    fn samples(&self, step: usize) -> Range<usize> {
        let end = (step * self.total + self.streams.end).min(self.samples);
        (step * self.total + self.streams.start).min(end)..end
    }

    /// Returns where the values of a stream begin in a channel block. Streams are counted from the first of this thread.
    fn offset(&self, block: usize, stream: usize) -> usize {
        (block * self.streams.len() + stream) * LANES
    }

    /// Returns zeros for a number of channel blocks, with the slack that [`Dense`] asks for.
    fn zeros(&self, blocks: usize) -> Vec<f32> {
        vec![0.0; blocks * self.streams.len() * LANES + Dense::SLACK]
    }

    /// Returns the units of a channel block.
    fn units_of(&self, block: usize) -> Range<usize> {
        block * LANES..((block + 1) * LANES).min(self.units)
    }

    /// Writes h and c of the streams, or their gradients, to `[streams, units]` each.
    #[inline(always)]
    fn store_state<S: Simd>(&self, simd: S, values: [&[f32]; 2], to: [Chunks<MaybeUninit<f32>>; 2]) {
        for (values, to) in values.into_iter().zip(to) {
            for (stream, row) in to.values.chunks_exact_mut(self.units).enumerate() {
                for block in 0..channel_blocks(self.units) {
                    let value = simd.load(&values[self.offset(block, stream)..]);
                    value.store_partial(&mut row[self.units_of(block)]);
                }
            }
        }
    }
}

/// The forward pass of the streams of one thread.
struct Forward<'a> {
    steps: Steps,
    x: &'a [f32],
    packed: &'a [f32],
    /// h and c before the first step.
    before: [&'a [f32]; 2],
    /// Where h goes, for each time step `[streams, units]`.
    outputs: Vec<Chunks<'a, MaybeUninit<f32>>>,
    /// Where the gates go if a backward pass follows, for each time step `[streams, 5, padded units]`.
    gates: Vec<Chunks<'a, MaybeUninit<f32>>>,
    /// Where h and c of every stream go after its last step.
    state: [Chunks<'a, MaybeUninit<f32>>; 2],
}

impl SimdOp for Forward<'_> {
    type Output = ();

    /// Writes every value of the outputs.
    #[inline(always)]
    fn eval<S: Simd>(mut self, simd: S) {
        let Steps { units, streams, .. } = self.steps.clone();
        let blocks = channel_blocks(units);
        let (mut h, mut c) = (self.steps.zeros(blocks), self.steps.zeros(blocks));
        let mut sums = self.steps.zeros(4 * blocks);
        for (values, before) in [(&mut h, self.before[0]), (&mut c, self.before[1])] {
            for (place, stream) in streams.clone().enumerate() {
                for block in 0..blocks {
                    let row = &before[stream * units..(stream + 1) * units];
                    let value = simd.load_partial(&row[self.steps.units_of(block)]);
                    value.store(&mut values[self.steps.offset(block, place)..]);
                }
            }
        }
        let dense = Dense { input: units, output: 4 * blocks, weight: self.packed };
        for step in 0..self.steps.count() {
            // SAFETY: the sums are initialized, and a layer writes nothing but sums.
            dense.run(simd, &h, streams.len(), Addend::NONE, unsafe { as_uninit(&mut sums) });
            for (stream, sample) in self.steps.samples(step).enumerate() {
                self.sample(simd, [step, sample, stream], &sums, &mut h, &mut c);
            }
        }
        self.steps.store_state(simd, [&h, &c], self.state);
    }
}

impl Forward<'_> {
    /// Computes one time step of one stream.
    #[inline(always)]
    fn sample<S: Simd>(
        &mut self,
        simd: S,
        [step, sample, stream]: [usize; 3],
        sums: &[f32],
        h: &mut [f32],
        c: &mut [f32],
    ) {
        let (steps, units) = (&self.steps, self.steps.units);
        let blocks = channel_blocks(units);
        let padded = blocks * LANES;
        let x = &self.x[sample * 4 * units..(sample + 1) * 4 * units];
        let to = &mut self.outputs[step].values[stream * units..(stream + 1) * units];
        let mut gates =
            self.gates.get_mut(step).map(|gates| &mut gates.values[stream * GATES * padded..][..GATES * padded]);
        for block in 0..blocks {
            let range = steps.units_of(block);
            let place = steps.offset(block, stream);
            let [i, f, g, o] = [0, 1, 2, 3].map(|gate| {
                let row = &x[gate * units..(gate + 1) * units];
                let sum = simd.load(&sums[steps.offset(gate * blocks + block, stream)..]);
                sum.add(simd.load_partial(&row[range.clone()]))
            });
            let (i, f, g, o) = (simd.sigmoid(i), simd.sigmoid(f), simd.tanh(g), simd.sigmoid(o));
            let new = i.mul(g).mul_add(f, simd.load(&c[place..]));
            let output = o.mul(simd.tanh(new));
            new.store(&mut c[place..]);
            output.store(&mut h[place..]);
            output.store_partial(&mut to[range]);
            if let Some(gates) = &mut gates {
                for (gate, value) in [(I, i), (F, f), (G, g), (O, o), (C, new)] {
                    value.store(&mut gates[gate * padded + block * LANES..]);
                }
            }
        }
    }
}
