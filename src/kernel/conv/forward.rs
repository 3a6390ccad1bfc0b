//! The convolution itself.

use super::product::{Summands, Sums, product};
use super::{Bordered, Conv, blocks, image};
use crate::kernel::lanes::{LANES, Lanes};

/// What is done to rows of the output while they lie in the cache.
pub(crate) trait Epilogue {
    /// For a row of a block that begins so many values behind the start of the image. Must be `#[inline(always)]`.
    fn row<L: Lanes>(&mut self, block: usize, start: usize, row: &mut [f32]);
}

/// Nothing.
impl Epilogue for () {
    #[inline(always)]
    fn row<L: Lanes>(&mut self, _: usize, _: usize, _: &mut [f32]) {}
}

/// One image: `to[o, y, x] = Σ weight[o, i, r, c]·from[i, s·y + r, s·x + c]`, counted from the border's corner.
#[inline(always)]
pub(crate) fn forward<L: Lanes>(
    conv: &Conv,
    weight: &[f32],
    from: &Bordered,
    to: &mut [f32],
    epilogue: &mut impl Epilogue,
) {
    assert_eq!((weight.len(), to.len()), (conv.packed(), image(conv.output)));
    let (taps, columns) = conv.taps(from.row);
    let area = conv.size * conv.size * super::product::SQUARE;
    let summands = Summands {
        taps: &taps,
        channels: conv.input[0],
        x_block: from.block * LANES,
        w_block: area,
        w_out: blocks(conv.input[0]) * area,
    };
    let [out, height, width] = conv.output;
    let all = blocks(out);
    for y in 0..height {
        let x = from.start().wrapping_add(y * conv.stride * from.row * LANES);
        let mut first = 0;
        while first < all {
            let start = (first * height + y) * width * LANES;
            let sums = Sums {
                to: to[start..].as_mut_ptr(),
                pixel: LANES,
                block: height * width * LANES,
                count: width,
                add: false,
            };
            // SAFETY: the border and its slack hold what a row of pixels reads; `to` holds all blocks.
            first += unsafe {
                let w = weight.as_ptr().add(first * summands.w_out);
                row::<L>(columns, conv.stride, all - first, x, w, summands, sums)
            };
        }
        for block in 0..all {
            let start = (block * height + y) * width * LANES;
            epilogue.row::<L>(block, start, &mut to[start..start + width * LANES]);
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
            (true, 3, 1, _) if sums.count % 8 != 0 && sums.count % 7 == 0 => {
                pixels::<L, 3, 1, 2, 7>(x, w, summands, sums)
            }
            (true, 3, 1, _) => pixels::<L, 3, 1, 2, 8>(x, w, summands, sums),
            (true, _, 1, 1) => pixels::<L, 1, 1, 1, 16>(x, w, summands, sums),
            (true, _, 1, _) if sums.count % 8 != 0 => pixels::<L, 1, 1, 2, 14>(x, w, summands, sums),
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
