//! The convolution itself.

use std::ops::Range;

use super::product::{SQUARE, Summands, Sums, product};
use super::{Conv, Images, blocks, image};
use crate::kernel::lanes::{LANES, Lanes};

/// A convolution that multiplies every weight.
pub(crate) struct Direct<'a> {
    pub conv: &'a Conv,
    /// Packed.
    pub weight: &'a [f32],
}

impl Direct<'_> {
    /// All images of a range: `y[o, y, x] = Σ weight[o, i, r, c]·x[i, s·y + r, s·x + c]`, counted from the border's
    /// corner.
    #[inline(always)]
    pub(crate) fn run<L: Lanes>(&self, all: Range<usize>, images: &mut impl Images) {
        let conv = self.conv;
        let mut scratch = conv.bordered();
        let (taps, columns) = conv.taps(scratch.row);
        let area = conv.size * conv.size * SQUARE;
        let summands = Summands {
            taps: &taps,
            channels: conv.input[0],
            x_block: scratch.block * LANES,
            w_block: area,
            w_out: blocks(conv.input[0]) * area,
        };
        assert_eq!(self.weight.len(), conv.packed());
        let [out, height, width] = conv.output;
        for one in all {
            scratch.fill::<L>(images.input(one));
            let to = images.output(one);
            assert_eq!(to.len(), image(conv.output));
            // Weights before rows: those of a few blocks stay in the second cache for all of an image.
            let mut first = 0;
            while first < blocks(out) {
                let w = self.weight[first * summands.w_out..].as_ptr();
                let mut some = 0;
                for y in 0..height {
                    let x = scratch.start().wrapping_add(y * conv.stride * scratch.row * LANES);
                    let row_of =
                        |block: usize| (block * height + y) * width * LANES..(block * height + y + 1) * width * LANES;
                    let block = height * width * LANES;
                    let sums = Sums { to: to[row_of(first)].as_mut_ptr(), pixel: LANES, block, count: width };
                    // SAFETY: the border and its slack hold what a row of pixels reads; `to` holds all blocks.
                    some = unsafe { row::<L>(columns, conv.stride, blocks(out) - first, x, w, summands, sums) };
                    for block in first..first + some {
                        images.row::<L>(one, block, row_of(block).start, &mut to[row_of(block)]);
                    }
                }
                first += some;
            }
            images.end::<L>(one, to);
        }
    }
}

/// A row of pixels of one or two blocks, of `left` that are left; returns how many.
///
/// # Safety
/// As [`product`], for `sums.count` pixels rounded up to the number computed at once.
#[inline(always)]
pub(super) unsafe fn row<L: Lanes>(
    columns: usize,
    stride: usize,
    left: usize,
    x: *const f32,
    w: *const f32,
    summands: Summands,
    sums: Sums,
) -> usize {
    // Pixels times blocks as the registers allow: sums, one row of weights, and one value.
    // SAFETY: the caller's promise.
    unsafe {
        match (L::WIDE, columns, stride, left) {
            (true, 3, 1, 1) => pixels::<L, 3, 1, 1, 16>(x, w, summands, sums),
            (true, 3, 1, _) if !sums.count.is_multiple_of(8) && sums.count.is_multiple_of(7) => {
                pixels::<L, 3, 1, 2, 7>(x, w, summands, sums)
            }
            (true, 3, 1, _) => pixels::<L, 3, 1, 2, 8>(x, w, summands, sums),
            (true, _, 1, 1) => pixels::<L, 1, 1, 1, 16>(x, w, summands, sums),
            (true, _, 1, _) if sums.count.is_multiple_of(10) => pixels::<L, 1, 1, 2, 10>(x, w, summands, sums),
            (true, _, 1, _) if sums.count.is_multiple_of(14) || !sums.count.is_multiple_of(8) => {
                pixels::<L, 1, 1, 2, 14>(x, w, summands, sums)
            }
            (true, _, 1, _) => pixels::<L, 1, 1, 2, 8>(x, w, summands, sums),
            (true, _, 2, 1) => pixels::<L, 1, 2, 1, 8>(x, w, summands, sums),
            (true, _, 2, _) => pixels::<L, 1, 2, 2, 8>(x, w, summands, sums),
            (false, 3, 1, _) => pixels::<L, 3, 1, 1, 4>(x, w, summands, sums),
            (false, _, 1, _) => pixels::<L, 1, 1, 1, 5>(x, w, summands, sums),
            (false, _, 2, _) => pixels::<L, 1, 2, 1, 5>(x, w, summands, sums),
            _ => unreachable!("a stride of {stride}"),
        }
    }
}

/// # Safety
/// As [`row`].
#[inline(always)]
unsafe fn pixels<L: Lanes, const KW: usize, const S: usize, const O: usize, const P: usize>(
    x: *const f32,
    w: *const f32,
    summands: Summands,
    sums: Sums,
) -> usize {
    for start in (0..sums.count).step_by(P) {
        let some = Sums { to: sums.to.wrapping_add(start * sums.pixel), count: (sums.count - start).min(P), ..sums };
        // SAFETY: the caller's promise.
        unsafe { product::<L, KW, S, O, P>(x.wrapping_add(start * S * LANES), w, summands, some) }
    }
    O
}
