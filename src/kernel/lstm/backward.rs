//! Back through all steps.

use super::{C, F, G, I, INSIDE, O, Steps};
use crate::kernel::conv::{Addend, Dense, blocks};
use crate::kernel::norm::{give, lanes, put, take};
use crate::kernel::parallel::SendPtr;
use crate::kernel::simd::{LANES, Lanes, Work};

pub(super) struct Backward<'a> {
    pub steps: Steps,
    pub inside: &'a [f32],
    /// W turned round.
    pub packed: &'a [f32],
    /// c before the first step.
    pub before: &'a [f32],
    pub gradient: &'a [f32],
    /// Of x, of every sample.
    pub to: SendPtr,
    /// Of h and c before the first step.
    pub ends: [SendPtr; 2],
}

impl Work for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Steps { units, own, .. } = self.steps.clone();
        let blocks = blocks(units);
        let (mut dh, mut dc) = (self.steps.room(blocks), self.steps.room(blocks));
        let mut sums = self.steps.room(4 * blocks);
        let dense = Dense { input: 4 * blocks * LANES, output: blocks, weight: self.packed };
        for step in (0..self.steps.count()).rev() {
            let samples = self.steps.of(step);
            if samples.is_empty() {
                continue;
            }
            for (stream, sample) in samples.enumerate() {
                self.sample::<L>(step, sample, stream, &dh, &mut dc, &mut sums);
            }
            // Streams that the last step lacks have sums of 0 and get gradients of 0.
            dense.run::<L>(&sums, own.len(), Addend::NONE, &mut dh);
        }
        self.steps.leave::<L>([&dh, &dc], self.ends);
    }
}

impl Backward<'_> {
    /// Back through one stream's step.
    #[inline(always)]
    fn sample<L: Lanes>(
        &self,
        step: usize,
        sample: usize,
        stream: usize,
        dh: &[f32],
        dc: &mut [f32],
        sums: &mut [f32],
    ) {
        let (steps, units) = (&self.steps, self.steps.units);
        let blocks = blocks(units);
        let filled = blocks * LANES;
        let inside = &self.inside[sample * INSIDE * filled..(sample + 1) * INSIDE * filled];
        let gradient = &self.gradient[sample * units..(sample + 1) * units];
        // SAFETY: every part has its own streams, and a sample is of one.
        let to = unsafe { self.to.part(sample * 4 * units..(sample + 1) * 4 * units) };
        let one = L::splat(1.0);
        for block in 0..blocks {
            let range = steps.lanes(block);
            let place = steps.place(block, stream);
            let [i, f, g, o, c] = [I, F, G, O, C].map(|part| lanes::<L>(&inside[part * filled + block * LANES..]));
            let before = if step == 0 {
                let start = (steps.own.start + stream) * units;
                take(&self.before[start..start + units], range.clone())
            } else {
                let earlier = (sample - steps.all) * INSIDE * filled + C * filled;
                lanes(&self.inside[earlier + block * LANES..])
            };
            let tanh = c.tanh();
            let dh = lanes::<L>(&dh[place..]).add(take(gradient, range.clone()));
            let all = lanes::<L>(&dc[place..]).mul_add(dh.mul(o), one.sub(tanh.mul(tanh)));
            put(all.mul(f), &mut dc[place..]);
            let slope = |gate: L| gate.mul(one.sub(gate));
            let own = [
                all.mul(g).mul(slope(i)),
                all.mul(before).mul(slope(f)),
                all.mul(i).mul(one.sub(g.mul(g))),
                dh.mul(tanh).mul(slope(o)),
            ];
            for (gate, value) in own.into_iter().enumerate() {
                put(value, &mut sums[steps.place(gate * blocks + block, stream)..]);
                give(value, &mut to[gate * units..(gate + 1) * units], range.clone());
            }
        }
    }
}
