//! A dense layer of samples in the blocked layout: a 1x1 convolution without padding.

use std::mem::MaybeUninit;

use super::microkernel::{MAX_PIXELS, Operands, SQUARE};
use super::row::row;
use super::{Addend, channel_blocks};
use crate::kernel::simd::{LANES, Simd};

/// A dense layer.
pub(crate) struct Dense<'a> {
    /// Channels of the input.
    pub input: usize,
    /// Channel blocks of the output.
    pub output: usize,
    /// Packed weights.
    pub weight: &'a [f32],
}

impl Dense<'_> {
    /// Values that must follow the input, because a microkernel reads a whole number of tiles.
    pub(crate) const SLACK: usize = MAX_PIXELS * LANES;

    /// Computes `[input / 16, samples, 16]` to `[output, samples, 16]`, and writes every value of the latter. [`Self::SLACK`]
    /// values must follow the input.
    #[inline(always)]
    pub(crate) fn run<S: Simd>(&self, simd: S, x: &[f32], samples: usize, addend: Addend, to: &mut [MaybeUninit<f32>]) {
        let blocks = channel_blocks(self.input);
        assert!(x.len() >= blocks * samples * LANES + Self::SLACK && to.len() >= self.output * samples * LANES);
        assert_eq!(self.weight.len(), blocks * self.output * SQUARE);
        let operands = Operands {
            taps: &[(0, 0)],
            channels: self.input,
            x_block: samples * LANES,
            w_block: SQUARE,
            w_out: blocks * SQUARE,
            prefetch: None,
        };
        addend.check([self.output * LANES, 1, samples]);
        let mut first = 0;
        while first < self.output {
            let start = first * samples * LANES;
            let sums = addend.accumulators(first, start, samples * LANES, samples, to);
            // SAFETY: the assertions above hold for input with slack, weights and output; `check` for what is added.
            first += unsafe {
                let w = self.weight.as_ptr().add(first * operands.w_out);
                row(simd, 1, 1, self.output - first, x.as_ptr(), w, operands, sums)
            };
        }
    }
}
