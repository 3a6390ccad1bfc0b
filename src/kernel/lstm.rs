//! Long short-term memory: all steps of some streams of samples in one operation.

mod backward;

use std::ops::Range;
use std::sync::OnceLock;

use super::conv::{Addend, Dense, blocks, pack, transpose};
use super::matrix::{Matrix, multiply};
use super::norm::{give, lanes, put, take};
use super::operation::{Operation, Output, TensorView};
use super::parallel::{SendPtr, parallel_chunks, uninit};
use super::simd::{Isa, LANES, Lanes, Work, dispatch};
use backward::Backward;

/// `i, f, o = σ(·)`, `g = tanh(·)`, `c = f·c + i·g`, `h = o·tanh(c)`, in the order i, f, g, o of what the four are made of:
/// `x + W·h`, with h and c of the step before.
///
/// Inputs: x `[samples, 4·units]`, W `[4·units, units]`, and of every stream h and c before the first step,
/// `[streams, units]`. Sample `n` belongs to step `n / streams` and stream `n % streams`; the last step may lack streams.
/// Outputs: h of every sample, `[samples, units]`, and h and c of every stream after its last step.
#[derive(Debug)]
pub(super) struct Lstm {
    streams: usize,
    units: usize,
    /// Whether what the way back needs is kept.
    keeps: bool,
    saved: OnceLock<Saved>,
}

/// What happened on the way.
#[derive(Debug)]
struct Saved {
    /// Of every sample i, f, g, o and c, each filled up to whole blocks.
    inside: Vec<f32>,
    /// h, `[samples, units]`.
    outputs: Vec<f32>,
    /// W as the kernels read it.
    packed: Vec<f32>,
}

/// Places in [`Saved::inside`].
const I: usize = 0;
const F: usize = 1;
const G: usize = 2;
const O: usize = 3;
const C: usize = 4;
const INSIDE: usize = 5;

impl Lstm {
    pub(super) fn new(streams: usize, units: usize, keeps: bool) -> Self {
        Self { streams, units, keeps, saved: OnceLock::new() }
    }

    /// Units filled up to whole blocks.
    fn filled(&self) -> usize {
        blocks(self.units) * LANES
    }

    /// The weights of the four gates behind each other, each filled up to whole blocks of outputs.
    fn pack(&self, weight: &[f32]) -> Vec<f32> {
        let gates = weight.chunks_exact(self.units * self.units);
        gates.flat_map(|gate| pack(gate, self.units, self.units, 1)).collect()
    }
}

impl Operation for Lstm {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let [x, weight, h, c] = inputs else { unreachable!("four inputs") };
        let (samples, units) = (x.shape[0], self.units);
        let packed = self.pack(weight.values);
        let mut outputs = uninit(samples * units);
        let mut inside = uninit(if self.keeps { samples * INSIDE * self.filled() } else { 0 });
        let mut last = [uninit(self.streams * units), uninit(self.streams * units)];
        let to = [&mut outputs, &mut inside].map(|values| SendPtr::new(values));
        let ends = last.each_mut().map(|values| SendPtr::new(values));
        parallel_chunks(self.streams, samples.div_ceil(self.streams) * 4 * units * units, |streams| {
            let before = [h.values, c.values];
            let steps = Steps::new(self, samples, streams);
            dispatch(Isa::best(), Forward { steps, x: x.values, packed: &packed, before, to, ends, keeps: self.keeps });
        });
        let saved = Saved { inside, outputs: if self.keeps { outputs.clone() } else { Vec::new() }, packed };
        self.saved.get_or_init(|| saved);
        let ends = last.map(|values| Output { shape: vec![values.len()], values });
        std::iter::once(Output { values: outputs, shape: vec![samples, units] }).chain(ends).collect()
    }

    fn backward(&self, inputs: &[TensorView], gradient: TensorView, wanted: &[bool]) -> Vec<Output> {
        let [x, weight, h, c] = inputs else { unreachable!("four inputs") };
        let (samples, units) = (x.shape[0], self.units);
        let saved = self.saved.get().expect("forward came before");
        let turned = transpose(&saved.packed, 4 * blocks(units), blocks(units), 1);
        let mut dx = uninit(samples * 4 * units);
        let mut first = [uninit(self.streams * units), uninit(self.streams * units)];
        let to = SendPtr::new(&mut dx);
        let ends = first.each_mut().map(|values| SendPtr::new(values));
        parallel_chunks(self.streams, samples.div_ceil(self.streams) * 4 * units * units, |streams| {
            let steps = Steps::new(self, samples, streams);
            let (inside, gradient) = (saved.inside.as_slice(), gradient.values);
            dispatch(Isa::best(), Backward { steps, inside, packed: &turned, before: c.values, gradient, to, ends });
        });
        let weight_gradient = wanted[1].then(|| {
            // Every sample's h of the step before: of the first step's what there was, of the others those a step earlier.
            let early = self.streams.min(samples);
            let (dfirst, dlater) = dx.split_at(early * 4 * units);
            let mut values = uninit(weight.values.len());
            let gates = |values| Matrix::new(values, 4 * units).transposed();
            multiply(&mut values, gates(dfirst), Matrix::new(&h.values[..early * units], units), false);
            let earlier = &saved.outputs[..(samples - early) * units];
            multiply(&mut values, gates(dlater), Matrix::new(earlier, units), true);
            Output { values, shape: weight.shape.to_vec() }
        });
        let [dh, dc] = first.map(|values| Output { values, shape: h.shape.to_vec() });
        let found = [Some(Output { values: dx, shape: x.shape.to_vec() }), weight_gradient, Some(dh), Some(dc)];
        found.into_iter().zip(wanted).filter_map(|(found, wanted)| found.filter(|_| *wanted)).collect()
    }
}

/// The steps of some of the streams, and where a stream's values lie: in blocks `[units / 16, streams, 16]`.
#[derive(Clone)]
struct Steps {
    /// All streams, and those of this part.
    all: usize,
    own: Range<usize>,
    samples: usize,
    units: usize,
}

impl Steps {
    fn new(lstm: &Lstm, samples: usize, own: Range<usize>) -> Self {
        Self { all: lstm.streams, own, samples, units: lstm.units }
    }

    fn count(&self) -> usize {
        self.samples.div_ceil(self.all)
    }

    /// The samples of a step, one a stream.
    fn of(&self, step: usize) -> Range<usize> {
        let end = (step * self.all + self.own.end).min(self.samples);
        (step * self.all + self.own.start).min(end)..end
    }

    /// Where a stream's part of a block begins.
    fn place(&self, block: usize, stream: usize) -> usize {
        (block * self.own.len() + stream) * LANES
    }

    /// Room for so many blocks, and for what a kernel reads beyond the last stream.
    fn room(&self, blocks: usize) -> Vec<f32> {
        vec![0.0; blocks * self.own.len() * LANES + Dense::SLACK]
    }

    /// Writes h and c of the streams, or their gradients, to `[streams, units]` each.
    #[inline(always)]
    fn leave<L: Lanes>(&self, values: [&[f32]; 2], to: [SendPtr; 2]) {
        for (values, to) in values.into_iter().zip(to) {
            for (place, stream) in self.own.clone().enumerate() {
                // SAFETY: every part has its own streams.
                let row = unsafe { to.part(stream * self.units..(stream + 1) * self.units) };
                for block in 0..blocks(self.units) {
                    give(lanes::<L>(&values[self.place(block, place)..]), row, self.lanes(block));
                }
            }
        }
    }

    /// The lanes that a block has within a row of so many units.
    fn lanes(&self, block: usize) -> Range<usize> {
        block * LANES..((block + 1) * LANES).min(self.units)
    }
}

struct Forward<'a> {
    steps: Steps,
    x: &'a [f32],
    packed: &'a [f32],
    /// h and c.
    before: [&'a [f32]; 2],
    /// h, and what is kept, of every sample.
    to: [SendPtr; 2],
    /// h and c of every stream.
    ends: [SendPtr; 2],
    keeps: bool,
}

impl Work for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Steps { units, own, .. } = self.steps.clone();
        let blocks = blocks(units);
        let (mut h, mut c, mut sums) = (self.steps.room(blocks), self.steps.room(blocks), self.steps.room(4 * blocks));
        for (values, before) in [(&mut h, self.before[0]), (&mut c, self.before[1])] {
            for (place, stream) in own.clone().enumerate() {
                for block in 0..blocks {
                    let row = &before[stream * units..(stream + 1) * units];
                    put(take::<L>(row, self.steps.lanes(block)), &mut values[self.steps.place(block, place)..]);
                }
            }
        }
        let dense = Dense { input: units, output: 4 * blocks, weight: self.packed };
        for step in 0..self.steps.count() {
            dense.run::<L>(&h, own.len(), Addend::NONE, &mut sums);
            for (stream, sample) in self.steps.of(step).enumerate() {
                self.sample::<L>(sample, stream, &sums, &mut h, &mut c);
            }
        }
        self.steps.leave::<L>([&h, &c], self.ends);
    }
}

impl Forward<'_> {
    /// One stream's step.
    #[inline(always)]
    fn sample<L: Lanes>(&self, sample: usize, stream: usize, sums: &[f32], h: &mut [f32], c: &mut [f32]) {
        let (steps, units) = (&self.steps, self.steps.units);
        let blocks = blocks(units);
        let x = &self.x[sample * 4 * units..(sample + 1) * 4 * units];
        let filled = blocks * LANES;
        let saved = if self.keeps { INSIDE * filled } else { 0 };
        // SAFETY: every part has its own streams, and a sample is of one.
        let (to, inside) = unsafe {
            (
                self.to[0].part(sample * units..(sample + 1) * units),
                self.to[1].part(sample * saved..(sample + 1) * saved),
            )
        };
        for block in 0..blocks {
            let range = steps.lanes(block);
            let place = steps.place(block, stream);
            let [i, f, g, o] = [0, 1, 2, 3].map(|gate| {
                let row = &x[gate * units..(gate + 1) * units];
                lanes::<L>(&sums[steps.place(gate * blocks + block, stream)..]).add(take(row, range.clone()))
            });
            let (i, f, g, o) = (i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid());
            let new = i.mul(g).mul_add(f, lanes(&c[place..]));
            let output = o.mul(new.tanh());
            put(new, &mut c[place..]);
            put(output, &mut h[place..]);
            give(output, to, range);
            if self.keeps {
                for (part, value) in [(I, i), (F, f), (G, g), (O, o), (C, new)] {
                    put(value, &mut inside[part * filled + block * LANES..]);
                }
            }
        }
    }
}
