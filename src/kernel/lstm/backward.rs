//! The backward pass through all time steps.

use std::mem::MaybeUninit;

use super::{C, F, G, GATES, I, O, Steps};
use crate::kernel::conv::{Addend, Dense, channel_blocks};
use crate::kernel::memory::as_uninit;
use crate::kernel::parallel::Chunks;
use crate::kernel::simd::{F32x16, LANES, Simd, SimdOp};

/// The backward pass of the streams of one thread.
pub(super) struct Backward<'a> {
    pub steps: Steps,
    /// The saved gates.
    pub gates: &'a [f32],
    /// The transposed weights.
    pub packed: &'a [f32],
    /// c before the first step.
    pub before: &'a [f32],
    /// The gradient of h of every sample.
    pub gradient: &'a [f32],
    /// Where the gradient of x goes, for each time step `[streams, 4·units]`.
    pub dx: Vec<Chunks<'a, MaybeUninit<f32>>>,
    /// Where the gradients of h and c before the first step go.
    pub state: [Chunks<'a, MaybeUninit<f32>>; 2],
}

impl SimdOp for Backward<'_> {
    type Output = ();

    /// Writes every value of the gradients.
    #[inline(always)]
    fn eval<S: Simd>(mut self, simd: S) {
        let Steps { units, streams, .. } = self.steps.clone();
        let blocks = channel_blocks(units);
        let (mut dh, mut dc) = (self.steps.zeros(blocks), self.steps.zeros(blocks));
        let mut sums = self.steps.zeros(4 * blocks);
        let dense = Dense { input: 4 * blocks * LANES, output: blocks, weight: self.packed };
        for step in (0..self.steps.count()).rev() {
            let samples = self.steps.samples(step);
            if samples.is_empty() {
                continue;
            }
            for (stream, sample) in samples.enumerate() {
                self.sample(simd, [step, sample, stream], &dh, &mut dc, &mut sums);
            }
            // Streams that the last step lacks have sums of 0, and so gradients of 0.
            // SAFETY: `dh` is initialized, and a layer writes nothing but sums.
            dense.run(simd, &sums, streams.len(), Addend::NONE, unsafe { as_uninit(&mut dh) });
        }
        self.steps.store_state(simd, [&dh, &dc], self.state);
    }
}

impl Backward<'_> {
    /// Computes one time step of one stream.
    #[inline(always)]
    fn sample<S: Simd>(
        &mut self,
        simd: S,
        [step, sample, stream]: [usize; 3],
        dh: &[f32],
        dc: &mut [f32],
        sums: &mut [f32],
    ) {
        let (steps, units) = (&self.steps, self.steps.units);
        let blocks = channel_blocks(units);
        let padded = blocks * LANES;
        let gates = &self.gates[sample * GATES * padded..(sample + 1) * GATES * padded];
        let gradient = &self.gradient[sample * units..(sample + 1) * units];
        let dx = &mut self.dx[step].values[stream * 4 * units..(stream + 1) * 4 * units];
        let one = simd.splat(1.0);
        for block in 0..blocks {
            let range = steps.units_of(block);
            let place = steps.offset(block, stream);
            let [i, f, g, o, c] = [I, F, G, O, C].map(|gate| simd.load(&gates[gate * padded + block * LANES..]));
            let before = if step == 0 {
                let start = (steps.streams.start + stream) * units;
                simd.load_partial(&self.before[start..start + units][range.clone()])
            } else {
                let earlier = (sample - steps.total) * GATES * padded + C * padded;
                simd.load(&self.gates[earlier + block * LANES..])
            };
            let tanh = simd.tanh(c);
            let dh = simd.load(&dh[place..]).add(simd.load_partial(&gradient[range.clone()]));
            let dc_new = simd.load(&dc[place..]).mul_add(dh.mul(o), one.sub(tanh.mul(tanh)));
            dc_new.mul(f).store(&mut dc[place..]);
            let slope = |gate: S::Vector| gate.mul(one.sub(gate));
            let own = [
                dc_new.mul(g).mul(slope(i)),
                dc_new.mul(before).mul(slope(f)),
                dc_new.mul(i).mul(one.sub(g.mul(g))),
                dh.mul(tanh).mul(slope(o)),
            ];
            for (gate, value) in own.into_iter().enumerate() {
                value.store(&mut sums[steps.offset(gate * blocks + block, stream)..]);
                value.store_partial(&mut dx[gate * units..(gate + 1) * units][range.clone()]);
            }
        }
    }
}
