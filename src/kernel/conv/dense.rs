//! A dense layer over samples that lie in blocks already: the product of a window of one pixel, with nothing around it.

use super::microkernel::{Operands, SQUARE};
use super::row::row;
use super::{Addend, blocks};
use crate::kernel::simd::{LANES, Lanes};

/// Channels in, blocks out, and packed weights.
pub(crate) struct Dense<'a> {
    pub input: usize,
    pub output: usize,
    pub weight: &'a [f32],
}

impl Dense<'_> {
    /// Values that there must be behind the input: a whole number of samples is computed at once.
    pub(crate) const SLACK: usize = LANES * LANES;

    /// `[input / 16, samples, 16]` to `[output, samples, 16]`, with [`Self::SLACK`] behind the input. A bias may be added.
    #[inline(always)]
    pub(crate) fn run<L: Lanes>(&self, x: &[f32], samples: usize, added: Addend, to: &mut [f32]) {
        let from = blocks(self.input);
        assert!(x.len() >= from * samples * LANES + Self::SLACK && to.len() >= self.output * samples * LANES);
        assert_eq!(self.weight.len(), from * self.output * SQUARE);
        let operands = Operands {
            taps: &[(0, 0)],
            channels: self.input,
            x_block: samples * LANES,
            w_block: SQUARE,
            w_out: from * SQUARE,
            ahead: None,
        };
        added.check([self.output * LANES, 1, samples]);
        let mut first = 0;
        while first < self.output {
            let start = first * samples * LANES;
            let sums = added.sums(first, start, samples * LANES, samples, to);
            // SAFETY: input and output hold what the assertions say.
            first += unsafe {
                let w = self.weight.as_ptr().add(first * operands.w_out);
                row::<L>(1, 1, self.output - first, x.as_ptr(), w, operands, sums)
            };
        }
    }
}
