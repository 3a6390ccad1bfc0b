//! Rows of pixels, by the kernel that suits their number and the registers.

use super::microkernel::{Accumulators, Operands, product};
use crate::kernel::simd::{LANES, Lanes};

/// The sums of a row of pixels of a few blocks, of `left` that are left; returns how many.
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
    operands: Operands,
    sums: Accumulators,
) -> usize {
    // Pixels times blocks as the registers allow: sums, one row of weights, and one value.
    // SAFETY: the caller's promise.
    unsafe {
        match (L::WIDE, columns, stride, left) {
            (true, 3, 1, 1) => pixels::<L, LANES, 3, 1, 1, 16, 8>(x, w, operands, sums),
            (true, 3, 1, _) if !sums.count.is_multiple_of(8) && sums.count.is_multiple_of(7) => {
                pixels::<L, LANES, 3, 1, 2, 7, 4>(x, w, operands, sums)
            }
            (true, 3, 1, _) => pixels::<L, LANES, 3, 1, 2, 8, 4>(x, w, operands, sums),
            (true, _, 1, 1) => pixels::<L, LANES, 1, 1, 1, 16, 8>(x, w, operands, sums),
            (true, _, 1, _) if sums.count.is_multiple_of(10) => {
                pixels::<L, LANES, 1, 1, 2, 10, 5>(x, w, operands, sums)
            }
            (true, _, 1, _) if sums.count.is_multiple_of(14) || !sums.count.is_multiple_of(8) => {
                pixels::<L, LANES, 1, 1, 2, 14, 7>(x, w, operands, sums)
            }
            (true, _, 1, _) => pixels::<L, LANES, 1, 1, 2, 8, 4>(x, w, operands, sums),
            (true, _, 2, 1) => pixels::<L, LANES, 1, 2, 1, 8, 4>(x, w, operands, sums),
            (true, _, 2, left) if left >= 3 && left != 4 && !sums.count.is_multiple_of(8) => {
                pixels::<L, LANES, 1, 2, 3, 7, 4>(x, w, operands, sums)
            }
            (true, _, 2, _) => pixels::<L, LANES, 1, 2, 2, 8, 4>(x, w, operands, sums),
            (false, 3, 1, _) => pixels::<L, LANES, 3, 1, 1, 4, 2>(x, w, operands, sums),
            (false, _, 1, _) => pixels::<L, LANES, 1, 1, 1, 5, 3>(x, w, operands, sums),
            (false, _, 2, _) => pixels::<L, LANES, 1, 2, 1, 5, 3>(x, w, operands, sums),
            _ => unreachable!("a stride of {stride}"),
        }
    }
}

/// Channels of an image in colours.
pub(crate) const COLOURS: usize = 3;

/// [`row`] where the colours of pixels lie side by side.
///
/// # Safety
/// As [`row`].
#[inline(always)]
pub(super) unsafe fn row_of_colours<L: Lanes>(
    stride: usize,
    left: usize,
    x: *const f32,
    w: *const f32,
    operands: Operands,
    sums: Accumulators,
) -> usize {
    // SAFETY: the caller's promise.
    unsafe {
        match (L::WIDE, stride, left) {
            (true, 1, 1) => pixels::<L, COLOURS, 1, 1, 1, 16, 8>(x, w, operands, sums),
            (true, 1, _) => pixels::<L, COLOURS, 1, 1, 2, 14, 7>(x, w, operands, sums),
            (true, 2, 1) => pixels::<L, COLOURS, 1, 2, 1, 14, 7>(x, w, operands, sums),
            (true, 2, _) => pixels::<L, COLOURS, 1, 2, 2, 14, 7>(x, w, operands, sums),
            (false, 1, _) => pixels::<L, COLOURS, 1, 1, 1, 5, 3>(x, w, operands, sums),
            (false, 2, _) => pixels::<L, COLOURS, 1, 2, 1, 5, 3>(x, w, operands, sums),
            _ => unreachable!("a stride of {stride}"),
        }
    }
}

/// `P` pixels at a time, and if no more than `T` are left, `T`.
///
/// # Safety
/// As [`row`].
#[inline(always)]
unsafe fn pixels<
    L: Lanes,
    const X: usize,
    const KW: usize,
    const S: usize,
    const O: usize,
    const P: usize,
    const T: usize,
>(
    x: *const f32,
    w: *const f32,
    operands: Operands,
    sums: Accumulators,
) -> usize {
    let calls = sums.count.div_ceil(P);
    for call in 0..calls {
        let start = call * P;
        let operands = Operands { ahead: operands.ahead.map(|ahead| ahead.part(call, calls)), ..operands };
        let some = sums.behind(start);
        let x = x.wrapping_add(start * S * X);
        // SAFETY: the caller's promise.
        unsafe {
            if some.count > T {
                product::<L, X, KW, S, O, P>(x, w, operands, some);
            } else {
                product::<L, X, KW, S, O, T>(x, w, operands, some);
            }
        }
    }
    O
}
